"""Bars in, feature frame out; one function for history, the newest bar and the server.

The numeric core (:mod:`base`, :mod:`rolling` and the feature sets) works on NumPy arrays; only
:mod:`frame` and :mod:`labels` know pandas and are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fx_assets.features.base import Bars, Feature, FeatureSet, FeatureSetDefinition, feature_set

if TYPE_CHECKING:
    from fx_assets.features.frame import build_features
    from fx_assets.features.labels import add_labels, labelled_frame

__all__ = [
    "Bars",
    "Feature",
    "FeatureSet",
    "FeatureSetDefinition",
    "add_labels",
    "build_features",
    "feature_set",
    "labelled_frame",
]

_NEED_PANDAS = {"build_features": "frame", "add_labels": "labels", "labelled_frame": "labels"}


def __getattr__(name: str) -> Any:
    if name not in _NEED_PANDAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEED_PANDAS[name]}"), name)
