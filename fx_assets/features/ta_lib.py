"""TA-Lib without what it brings along; features take their indicators from here only.

``import talib`` also imports pandas (a second and 60 MB), only to accept Series, which the numeric
core never passes. A server that predicts from bars does without: the indicators are the same
compiled functions either way, so its features equal those of training to the last bit.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, cast


def _load() -> ModuleType:
    if "pandas" in sys.modules:
        return import_module("talib")
    modules = cast("dict[str, Any]", sys.modules)
    modules["pandas"] = None  # makes an import of it fail, which TA-Lib takes for its absence
    try:
        return import_module("talib")
    finally:
        del modules["pandas"]


_talib = _load()
CMO, EMA, MACD, MAX, MIN, ROCP, SMA = (
    getattr(_talib, name) for name in ("CMO", "EMA", "MACD", "MAX", "MIN", "ROCP", "SMA")
)
