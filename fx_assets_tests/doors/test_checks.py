"""A check of a stranger looks at bars, refuses what it finds, and is proved."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from fx_assets.quality import checks_of
from fx_assets.specs import FeedSpec, GateSpec
from fx_assets.testing import prove
from fx_assets.testing.checks import CheckCase

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
(CODE,) = (
    text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "GateCheck" in text
)


def broken(name: str) -> set[str]:
    return {verdict.check for verdict in prove(name) if not verdict.holds}


def test_the_documentations_check_is_proved_and_refuses_what_it_finds(
    plugin: Callable[[str], Path],
) -> None:
    plugin(CODE)
    assert broken("round_closes") == set()
    case = CheckCase("round_closes", "1d")
    assert checks_of(case.feed)["round_closes"].startswith("Closes are not whole numbers")
    spoilt = case.plugin.planted(case.world())
    found = case.found_in(spoilt)
    assert (found.severity, found.passed, found.count) == ("block", False, 5)


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        pytest.param("% 1 == 0", "> 0", "clean bars pass", marks=pytest.mark.slow),
        ("% 1 == 0", "< 0", "what is planted is found"),
        pytest.param(
            "        rows =",
            "        evidence.stored.iloc[0]\n        rows =",
            "a first load",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_fault_in_a_check_is_found(
    right: str, wrong: str, check: str, plugin: Callable[[str], Path]
) -> None:
    plugin(CODE.replace(right, wrong, 1))
    assert any(each.startswith(check) for each in broken("round_closes"))


def test_a_check_that_nobody_offers_is_refused_with_those_that_are(
    plugin: Callable[[str], Path],
) -> None:
    plugin(CODE)
    with pytest.raises(ValidationError, match="no check 'round_close'; plug-ins offer"):
        GateSpec.model_validate({"own": {"round_close": {}}})
    with pytest.raises(ValidationError, match="write it beside own"):
        GateSpec.model_validate({"own": {"jumps": {}}})


TWO = """
from fx_assets.quality import GateCheck, Outcome


class Scribbler(GateCheck):
    "Nothing is asserted."

    name = "a_scribbler"

    def look(self, evidence):
        evidence.batch.loc[:, "close"] = evidence.stored.loc[:, "close"] = 1.5
        return Outcome(0, "")

    @classmethod
    def planted(cls, bars):
        return bars


class Reader(Scribbler):
    "No close is 1.5."

    name = "b_reader"

    def look(self, evidence):
        return Outcome(int((evidence.batch["close"] == 1.5).sum()), "seen")
"""


class Both(CheckCase):
    """Looked at by the two checks."""

    @property
    def feed(self) -> FeedSpec:
        own = {"a_scribbler": {}, "b_reader": {"severity": "block"}}
        feed = super().feed
        return feed.model_copy(update={"gate": GateSpec.model_validate({"own": own})})


def test_what_a_check_writes_into_its_evidence_no_other_sees(plugin: Callable[[str], Path]) -> None:
    plugin(TWO)
    case = Both("b_reader", "1d")
    bars = case.world()
    assert case.found_in(bars).passed
    assert not (bars["close"] == 1.5).any()
