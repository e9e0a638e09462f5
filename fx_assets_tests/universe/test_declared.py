"""A universe is declared by one short file, whose mistakes are named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets.components.declared import candidate_mistakes, declared
from fx_assets.errors import SpecError
from fx_assets.settings import PACKAGED_DECLARATIONS
from fx_assets.specs.files import load_declared

GOOD = (PACKAGED_DECLARATIONS / "universes" / "ecb" / "defs.yaml").read_text(encoding="utf-8")


def test_every_ecb_currency_is_declared_in_at_most_25_lines() -> None:
    assert len(GOOD.splitlines()) <= 25
    spec = declared().universes["ecb_universe"]
    assert {target.kind for target in spec.targets} == {"direction", "volatility"}
    assert spec.significance == 0.05


@pytest.mark.parametrize(
    ("found", "written", "said"),
    [
        ("min_history", "min_histry", "no setting 'min_histry'. Did you mean 'min_history'?"),
        ("ewma", "ewmaa", "no family 'ewmaa'"),
        ("[ewma,", "[logistic_regression,", "logistic_regression does not predict volatility"),
        ("[ewma,", "[expanding_mean,", "expanding_mean is what the candidates are compared with"),
        ("base: EUR", "base: EURO", "String should match pattern"),
        ("min_history: 1008", "min_history: 100", "needs more fixings than the 250 returns"),
        ("[ewma,", "[{family: ewma, params: {decay: 2}},", "targets.1.candidates.0.params"),
        ("name: ecb_universe", "name: ecb_eurusd", "already a feed, declared at"),
        ("kind: volatility", "kind: direction", "targets declared twice: direction 1"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, found: str, written: str, said: str
) -> None:
    assert found in GOOD
    feed = PACKAGED_DECLARATIONS / "feeds" / "ecb_eurusd" / "defs.yaml"
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "defs.yaml").write_text(feed.read_text())
    (tmp_path / "universe").mkdir()
    (tmp_path / "universe" / "defs.yaml").write_text(GOOD.replace(found, written))
    with pytest.raises(SpecError) as error:
        load_declared(tmp_path, candidate_mistakes)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 2
    assert "defs.yaml:" in str(error.value)


def test_part_of_the_gate_can_be_set_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "defs.yaml").write_text(GOOD + "  gate: {jumps: {limit: 30}}\n")
    spec = load_declared(tmp_path).universes["ecb_universe"]
    assert spec.gate.jumps.limit == 30
    assert spec.gate.zero_returns.severity == "off"
    assert spec.gate.missing_days.severity == "warn"
