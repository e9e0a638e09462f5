"""What following a member would have earned after its own costs stands beside its verdict."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from fx_assets.bundles.bundle import load
from fx_assets.bundles.universes import UniverseFacts, of_member, universe_path
from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import judgeable_rows
from fx_assets.lake import Lake
from fx_assets.lake.below import Below, member_folder
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader
from fx_assets.reporting.universe import universe_sections
from fx_assets.run_universe import show_evidence
from fx_assets.stages.panel_decide import decide_panel
from fx_assets_tests.universe.helpers import issued, prices_of, universe, walk
from serving.queries.measures import economics
from serving.queries.members import MemberReader

DEAR = {"unit": "pips", "spread": 20.0, "commission": 0.0, "swap_long": 0.0, "swap_short": 0.0}
CHEAP = {**DEAR, "spread": 0.5}
TARGETS = [
    {"kind": "direction", "candidates": ["logistic_regression"]},
    {"kind": "volatility", "candidates": ["ewma"]},
]
STRATEGIES = ("sign", "risk_target")
SPEC = universe(
    targets=[
        {**target, "strategy": {"kind": kind, "costs": {**CHEAP, "pip": 0.0001}}}
        for target, kind in zip(TARGETS, STRATEGIES, strict=True)
    ],
    costs={"EURBBB": {**DEAR, "pip": 0.0001}},
    workers=1,
)
NAMES = ("EURAAA", "EURBBB")
MEMBER = ["instrument", "kind"]


def prices() -> pd.DataFrame:
    return prices_of({name: walk(900, 0) for name in NAMES})


def decided(lake: Lake, days: int) -> int:
    """How many decisions a look makes so many days later."""
    known = prices()
    now = known["available_at"].max().to_pydatetime() + timedelta(days=days)
    judged = judgeable_rows(
        SPEC, lake.read("backtest", SPEC.name), lake.read("universe", SPEC.name)
    )
    return len(decide_panel(SPEC, lake, lake.read("skill", SPEC.name), judged, now))


@pytest.mark.slow
def test_every_members_strategy_is_weighed_with_the_costs_of_its_instrument(
    tmp_path: Path,
) -> None:
    known = prices()
    table = membership(known, SPEC.membership, SPEC.market)
    rows = walk_universe(SPEC, known, table, pd.DataFrame())
    now = known["available_at"].max().to_pydatetime()
    issued(tmp_path, SPEC, known, rows, now)
    lake = Lake(str(tmp_path))
    figures = lake.read("economics", SPEC.name)
    assert set(zip(figures["instrument"], figures["kind"], strict=True)) == {
        (name, target["kind"]) for name in NAMES for target in TARGETS
    }
    assert "refused" not in set(figures["figure"])
    bars = lake.read("strategy_rows", SPEC.name)
    cost = bars.groupby(["instrument", "kind", "candidate"])["cost"].sum().unstack("instrument")
    assert cost["EURBBB"].to_numpy() == pytest.approx(40 * cost["EURAAA"].to_numpy())
    assert set(bars["kind"]) == {"direction", "volatility"}, "one target leaves the other's rows"
    assert len(lake.history("strategy_rows", SPEC.name)) == 1

    weighed = len(figures)
    assert decided(lake, 1) == 0
    assert len(lake.read("economics", SPEC.name)) == weighed, "figures stay for a week"
    other = figures.assign(
        strategy="other", measured_at=figures["measured_at"] + timedelta(hours=1)
    )
    lake.append("economics", SPEC.name, other)
    assert decided(lake, 1) == 0
    assert len(lake.read("economics", SPEC.name)) == 3 * weighed, "unless others came since"
    lake.replace("economics", SPEC.name, figures)
    assert decided(lake, 8) == 0
    assert len(lake.read("economics", SPEC.name)) == 2 * weighed
    again = lake.read("strategy_rows", SPEC.name)
    pd.testing.assert_frame_equal(
        *(
            each.sort_values([*MEMBER, "candidate", "filled_at"], ignore_index=True)
            for each in (bars, again)
        )
    )

    (section,) = (
        one
        for one in universe_sections(lake, SPEC, now)
        if one.title == "What it would have earned"
    )
    costs = {**DEAR, "spread": 30.0, "pip": 0.0001}
    dearer = [{"kind": kind, "costs": costs} for kind in STRATEGIES]
    for strategies in (dearer, [{"kind": "none"}] * 2):
        declared = zip(TARGETS, strategies, strict=True)
        targets = [{**target, "strategy": strategy} for target, strategy in declared]
        anew = universe(targets=targets, workers=1)
        titles = {one.title for one in universe_sections(lake, anew, now)}
        assert "What it would have earned" not in titles, "it was weighed as it was declared before"
    said = str(section.parts[1])
    assert said.count("EURAAA") == 2
    published = UniverseFacts.model_validate_json(lake.read_blob(universe_path(SPEC.name)))
    member = published.of("EURBBB")
    assert member is not None
    for target, strategy in zip(TARGETS, member.strategies, strict=True):
        files = Below(lake, member_folder(SPEC.name, "EURBBB", str(target["kind"]), 1))
        manifest = of_member(load(files, SPEC.name).manifest)
        reader = MemberReader(Reader(Location(lake.root)), manifest)
        served = economics(reader, manifest, strategy)
        assert served is not None
        assert economics(reader, manifest, "another") is None
        assert served.sentence in said
        text = io.StringIO()
        show_evidence(Console(file=text, soft_wrap=True), lake, SPEC)
        shown = text.getvalue().splitlines()
        assert f"economics: {SPEC.name} EURBBB {target['kind']} 1: {served.sentence}" in shown
        assert {one.figure for one in served.backtest} >= {"sharpe", "net_return"}
