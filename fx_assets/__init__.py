"""Honest exchange-rate forecasts as a Dagster asset graph.

>>> import fx_assets as fx
>>> desk = fx.open()  # doctest: +SKIP
>>> desk.forecast("eurusd_volatility")["prediction"]  # doctest: +SKIP

Importing this costs nothing; each name loads what it needs when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fx_assets.desk import Desk, open
    from fx_assets.evaluation.study import Study
    from fx_assets.judging.judgement import Judgement
    from fx_assets.models.base import Model

    __version__: str

__all__ = ["Desk", "Judgement", "Model", "Study", "__version__", "open"]

_HOMES = {
    "Desk": "fx_assets.desk",
    "Judgement": "fx_assets.judging.judgement",
    "Model": "fx_assets.models.base",
    "Study": "fx_assets.evaluation.study",
    "open": "fx_assets.desk",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fx-assets")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
