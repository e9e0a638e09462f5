"""Model families behind one small interface; each is one class, loaded on demand.

Ours are modules of this package, and come through the same door as other people's
(:mod:`fx_assets.doors`): an entry point of the group ``fx_assets.families``, or a class in a
project's plug-in folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fx_assets.code_identity import CodeIdentity, code_identity, installed_version
from fx_assets.doors import FAMILIES
from fx_assets.errors import SpecError
from fx_assets.models.base import (
    FEATURES,
    Columns,
    FeatureWindow,
    InputSpec,
    Model,
    NoParams,
    Params,
    Window,
    model_inputs,
)
from fx_assets.specs.forecast import TargetSpec

__all__ = [
    "FEATURES",
    "Columns",
    "FeatureWindow",
    "InputSpec",
    "Model",
    "NoParams",
    "Params",
    "Window",
    "build_model",
    "code_reached",
    "code_version",
    "model_class",
    "model_inputs",
]


def model_class(family: str) -> type[Model[Any]]:
    """The class of a family.

    Raises
    ------
    SpecError
        There is no such family.
    """
    found: type[Model[Any]] = FAMILIES[family]
    return found


def build_model(
    family: str, target: TargetSpec, params: Mapping[str, Any] | None = None, seed: int = 0
) -> Model[Any]:
    """An unfitted model.

    Raises
    ------
    SpecError
        The family does not exist, does not predict this kind of target, does not know a
        hyper-parameter or its value, or needs a library that is not installed; the message names
        what is allowed or missing.
    """
    found = model_class(family)
    if target.kind not in found.targets:
        able = sorted(name for name, other in FAMILIES.items() if target.kind in other.targets)
        raise SpecError(
            f"{family} does not predict {target.kind}.", remedy=f"Choose one of {', '.join(able)}."
        )
    for library in found.libraries:
        if not installed_version(library):
            extra = f"[{found.extra}]" if found.extra else ""
            raise SpecError(
                f"{family} needs {library}, which is not installed.",
                remedy=f"Run pip install 'fx-assets{extra}', or take the candidate out.",
            )
    return found(target=target, seed=seed, **dict(params or {}))


@lru_cache(maxsize=256)
def code_version(family: str) -> str:
    """A short hash of the code that decides what a family's fit and prediction compute.

    It covers what of ours they reach, the numeric packages that this calls, and the libraries that
    fit the family (:mod:`fx_assets.code_identity`). Imports none of those libraries.
    """
    return code_reached(family).digest


def code_reached(family: str) -> CodeIdentity:
    """The code that a family's inputs, fit and prediction reach; their ONNX graph is not in it."""
    found = model_class(family)
    return code_identity(
        (found.__module__, found.__name__),
        (f"{__name__}.base", "model_inputs"),
        methods=("fit", "predict"),
        libraries=found.libraries,
    )
