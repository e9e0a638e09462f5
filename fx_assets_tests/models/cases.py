"""Every family with every target that it predicts, as the public suite tries them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from fx_assets.doors import FAMILIES
from fx_assets.testing.families import FamilyCase, cases_of

QUICK: dict[str, dict[str, Any]] = {
    "lstm": {"lookback": 5, "hidden": 8, "max_epochs": 4, "learning_rate": 0.02}
}
"""Hyper-parameters of families whose defaults take long to fit."""
INSTALLED = [family for family in FAMILIES if family != "lstm" or find_spec("torch")]
CASES: list[FamilyCase] = [
    case for family in INSTALLED for case in cases_of(family, QUICK.get(family))
]
