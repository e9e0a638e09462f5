"""Prometheus is told the verdict that every answer has."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from fx_assets.testing.lakes.hourly_lake import NOW
from serving.schemas import Benchmark, Skill, SkillVerdict
from serving.state.metrics import VERDICTS, observe
from serving.state.store import Store

MEMBER = {"instrument": "EURUSD", "target": "volatility", "horizon": "5"}


def observed(word: str | None, skill: float | None, on_reference: float | None) -> None:
    """A look at a forecast, and at a universe of one member, of whom a word is said."""
    told = {"lower": None, "upper": None, "clark_west_p": None, "diebold_mariano_p": None}
    benchmark = Benchmark(name="ewma", score=1.0, skill=on_reference, **told)
    said = word and SkillVerdict(word, "", 500, 0.05, 1, benchmark, benchmark)
    demonstrated = word == "demonstrated"
    service = SimpleNamespace(
        champion=SimpleNamespace(manifest=SimpleNamespace(version=1, label_end=NOW)),
        skill=Skill(demonstrated, "qlike", 1.0, 1.0, skill, None, None, 500, verdict=said or None),
        data=lambda _: None,
        paused=False,
        retired=False,
        **dict.fromkeys(("stale", "refused", "row", "drift", "live")),
    )
    member = SimpleNamespace(
        **(MEMBER | {"horizon": 5}), demonstrated=demonstrated, verdict=word, skill=skill,
        outcomes=0, live_skill=None, inside=None, event_time=NOW,
    )  # fmt: skip
    facts = SimpleNamespace(instruments=[], targets=[SimpleNamespace(kind="volatility", horizon=5)])
    store: dict[str, Any] = {
        "services": {"told": service},
        "universes": {"many": facts},
        "told": {"many": [member]},
        "refused": {},
        "foreign": {},
        "trust": SimpleNamespace(by_name=dict),
        "retired": lambda _: False,
    }
    observe(cast("Store", SimpleNamespace(**store)), NOW, 10)


def gauge(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None, f"{name} is not exposed"
    return value


@pytest.mark.parametrize("word", [*VERDICTS, None])
def test_exactly_the_word_in_force_is_told_of_forecasts_and_of_members(word: str | None) -> None:
    observed(word, 0.1, 0.02)
    many = {"forecast": "many", **MEMBER}
    for each, name in (("demonstrated", "demonstrated"), ("knows something", "knows_something")):
        assert gauge(f"fx_skill_{name}", forecast="told") == (each == word)
        assert gauge(f"fx_member_skill_{name}", **many) == (each == word)
    counted = {
        each: gauge(
            "fx_universe_members", forecast="many", target="volatility", horizon="5", verdict=each
        )
        for each in VERDICTS
    }
    assert counted == {each: each == word for each in VERDICTS}


def test_a_skill_that_the_next_champion_has_not_is_told_no_more() -> None:
    observed("demonstrated", 0.1, 0.02)
    assert gauge("fx_skill_on_reference", forecast="told") == 0.02
    observed("not demonstrated", None, None)
    assert math.isnan(gauge("fx_skill_on_reference", forecast="told"))
    assert math.isnan(gauge("fx_skill", forecast="told"))
