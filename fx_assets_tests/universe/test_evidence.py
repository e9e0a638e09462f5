"""Every candidate of every member is weighed by its live rows, as those of a forecast are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.bundles.universes import Member, of_member
from fx_assets.evaluation import reign
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.family import decide_family
from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import judgeable_rows, skill_of
from fx_assets.lake import Lake
from fx_assets.lake.below import Below, member_folder
from fx_assets.lake.location import Location
from fx_assets.lake.panel import Panel
from fx_assets.lake.reader import Reader
from fx_assets.reporting.universe import universe_sections
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.champion import restated
from fx_assets.stages.members import each_member, said_by, walked_rows
from fx_assets.stages.panel_decide import decide_panel
from fx_assets.stages.panel_issue import issue_panel
from fx_assets.stages.score import score_panel
from fx_assets.stages.upkeep import tidy
from fx_assets.tables import UNIVERSE_LIVE_EVIDENCE, UNIVERSE_SHADOW_PREDICTIONS
from fx_assets_tests.universe.helpers import issued, prices_of, universe, walk
from serving.queries.history import backtest_rows
from serving.queries.members import MemberReader

TARGETS = [
    {"kind": "direction", "candidates": ["logistic_regression"]},
    {"kind": "volatility", "candidates": ["ewma", "log_har"]},
]
SPEC = universe(targets=TARGETS, workers=1)
NAMES = ["EURAAA", "EURBBB"]
MEMBER = ["instrument", "kind"]


def walked(prices: pd.DataFrame, spec: UniverseSpec = SPEC) -> pd.DataFrame:
    table = membership(prices, spec.membership, spec.market)
    return walk_universe(spec, prices, table, pd.DataFrame())


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Walk-forward rows of all bars."""
    return walked(prices())


def prices() -> pd.DataFrame:
    return prices_of({name: walk(900, seed) for seed, name in enumerate(NAMES)})


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> Lake:
    """A universe that has issued from two bars, and knows what came of the first."""
    root, known = tmp_path_factory.mktemp("lake"), prices()
    newest = known["event_time"].max()
    before = known[known["event_time"] < newest]
    past = rows[rows["event_time"] < newest]
    past = past.assign(target=past["target"].where(past["label_available_at"] < newest))
    issued(root, SPEC, before, past, before["available_at"].max().to_pydatetime())
    lake, now = Lake(str(root)), known["available_at"].max().to_pydatetime()
    readings = {name: SPEC.feed(name).reading for name in NAMES}
    bar = known[known["event_time"] == newest]
    lake.append("raw_prices", SPEC.name, bar.assign(reading=bar["instrument"].map(readings)))
    lake.append("prices", SPEC.name, bar)
    assert issue_panel(SPEC, lake, NAMES, now).unshadowed == {}
    assert score_panel(SPEC, lake, NAMES) == 4
    return lake


@pytest.fixture
def lake(lived: Lake, tmp_path: Path) -> Lake:
    """A copy, to change."""
    shutil.copytree(lived.root, tmp_path / "lake")
    return Lake(str(tmp_path / "lake"))


def test_every_candidate_says_beside_each_live_prediction_what_it_would_have_said(
    lived: Lake,
) -> None:
    shadows = lived.read("shadow_predictions", SPEC.name)
    served = lived.read("predictions", SPEC.name)
    assert set(shadows) == set(UNIVERSE_SHADOW_PREDICTIONS.names)
    assert (shadows["issued_at"] < shadows["target_time"]).all()
    assert (shadows["label_end"] <= shadows["decision_time"]).all()
    assert (shadows["mode"] == "shadow").all()
    of = {"direction": {"base_rate", "logistic_regression"}}
    of["volatility"] = {"expanding_mean", "ewma", "log_har"}
    keys = [*MEMBER, "event_time"]
    said = shadows.groupby(keys)["candidate"].agg(set)
    assert said.to_dict() == {key: of[key[1]] for key in served[keys].itertuples(index=False)}
    both = shadows.merge(served, on=[*keys, "series"], suffixes=("", "_served"))
    champion = both[both["candidate"] == both["champion_served"]]
    assert len(champion) == 8
    assert (champion["prediction"] == champion["prediction_served"]).all()
    best = both[both["candidate"] == both["candidate_served"]]
    assert (best["prediction"] == best["candidate_prediction"]).all()
    assert len(best) == 8
    assert lived.verify("shadow_predictions", SPEC.name).findings == ()


def test_live_rows_of_each_are_weighed_when_the_outcome_comes(lived: Lake) -> None:
    found = lived.read("live_evidence", SPEC.name)
    assert set(found) == set(UNIVERSE_LIVE_EVIDENCE.names)
    assert (
        sorted(found["candidate"]) == ["ewma"] * 2 + ["log_har"] * 2 + ["logistic_regression"] * 2
    )
    assert (found["rows"] == 1).all()
    assert (found["scale"] > 0).all()
    assert (found["e_better"] * found["e_worse"] > 0).all()
    came = lived.read("outcomes", SPEC.name).set_index(MEMBER)
    said = lived.read("shadow_predictions", SPEC.name).sort_values("event_time")
    for row in found.itertuples():
        (first, *_) = said[(said["candidate"] == row.candidate) & (said["series"] == row.series)][
            "prediction"
        ]
        outcome = came.loc[(row.instrument, row.kind)]
        (target,) = (t for t in SPEC.targets if t.kind == row.kind)
        loss = target.definition.loss(np.array([outcome["target"]]), np.array([first]))
        assert row.loss == pytest.approx(float(loss[0]))
        assert row.champion_loss == outcome["loss"]
    score_panel(SPEC, lived, NAMES)
    assert len(lived.read("live_evidence", SPEC.name)) == len(found), "once a row"


def test_a_report_tells_what_each_candidate_would_have_done(lived: Lake) -> None:
    now = prices()["available_at"].max().to_pydatetime()
    sections = {one.title: one.parts for one in universe_sections(lived, SPEC, now)}
    said = str(sections["Live, and drift"])
    for row in lived.read("live_evidence", SPEC.name).itertuples():
        assert f"| {row.instrument} | {row.kind} 1 | {row.candidate} |" in said


def decided(
    lake: Lake, rows: pd.DataFrame, now: datetime, spec: UniverseSpec = SPEC
) -> dict[tuple[str, str], Decision]:
    """What is decided where EWMA may predict."""
    judged = judgeable_rows(spec, rows, lake.read("universe", spec.name))
    skill = skill_of(spec, judged)
    lake.replace("skill", spec.name, skill.assign(may_predict=skill["candidate"] == "ewma"))
    table = lake.read("skill", spec.name)
    about = {
        spec.series(name, target).id: (name, target.kind)
        for name in NAMES
        for target in spec.targets
    }
    return {about[made.series]: made for made in decide_panel(spec, lake, table, judged, now)}


@pytest.mark.slow
def test_a_champion_that_its_live_rows_contradict_does_not_predict_whatever_its_backtest_says(
    lake: Lake, rows: pd.DataFrame
) -> None:
    now = prices()["available_at"].max().to_pydatetime()
    first = decided(lake, rows, now)
    assert {key: made.champion for key, made in first.items()} == {
        (name, "volatility"): "ewma" for name in NAMES
    }
    evidence = lake.read("live_evidence", SPEC.name)
    mine = (evidence["candidate"] == "ewma") & (evidence["instrument"] == "EURAAA")
    worse = evidence[mine].assign(rows=300, e_worse=150.0, skill=-0.2, skill_upper=-0.1)
    hours = [evidence[mine].assign(rows=n) for n in range(2, 300)]
    lake.append("live_evidence", SPEC.name, pd.concat([*hours, worse]))
    assert sum(done.thinned for done in tidy(lake, timedelta(0), now + timedelta(days=9))) == 299
    deaf = SPEC.model_copy(update={"live_level": 0.0})
    assert decided(lake, rows, now + timedelta(minutes=1), deaf) == {}
    made = decided(lake, rows, now + timedelta(minutes=1))
    assert list(made) == [("EURAAA", "volatility")]
    (out,) = made.values()
    assert (out.verdict, out.ground, out.champion) == ("demote", "live", "expanding_mean")
    assert "its 300 live rows since" in out.sentence
    assert "ewma does not predict" in out.sentence
    assert decided(lake, rows, now + timedelta(minutes=2)) == {}, "nor does it come back"


@pytest.mark.slow
def test_a_lake_of_before_candidates_were_kept_goes_on_and_casts_shadows(
    lake: Lake, rows: pd.DataFrame
) -> None:
    for name in NAMES:
        for target in SPEC.targets:
            folder = Path(lake.root) / member_folder(SPEC.name, name, target.kind, 1)
            shutil.rmtree(folder / "candidates")
    for table in ("shadow_predictions", "live_evidence"):
        shutil.rmtree(Path(lake.root) / table)
    lake, known = Lake(lake.root), prices()
    now = known["available_at"].max().to_pydatetime()
    served = lake.read("predictions", SPEC.name)
    judged = judgeable_rows(SPEC, rows, lake.read("universe", SPEC.name))
    assert decide_panel(SPEC, lake, lake.read("skill", SPEC.name), judged, now) == []
    last = served["event_time"] == served["event_time"].max()
    lake.replace("predictions", SPEC.name, served[~last])
    issued_again = issue_panel(SPEC, lake, NAMES, now)
    assert issued_again.unshadowed == {}
    assert len(issued_again.new_rows) == 4
    assert len(lake.read("shadow_predictions", SPEC.name)) == 2 * (2 + 3)


def test_a_candidate_that_is_declared_later_is_fitted_and_noted_in_the_ledger(
    lake: Lake,
) -> None:
    more = [TARGETS[0], {**TARGETS[1], "candidates": ["ewma", "log_har", "har"]}]
    spec = universe(targets=more, workers=1)
    known = prices()
    now, rows = known["available_at"].max().to_pydatetime(), walked(known, spec)
    judged = judgeable_rows(spec, rows, lake.read("universe", spec.name))
    skill = skill_of(spec, judged).assign(may_predict=False)
    lake.replace("backtest", spec.name, rows)
    made = decide_panel(spec, lake, skill, judged, now)
    assert {each.verdict for each in made} == {"keep"}
    assert [len(each.recipes_seen) for each in made] == [3, 3]
    assert decide_panel(spec, lake, skill, judged, now + timedelta(minutes=1)) == []
    for name in NAMES:
        folder = member_folder(spec.name, name, "volatility", 1)
        assert lake.blob_exists(f"{folder}candidates/{spec.name}/har/draft.json")


def judged_now(lake: Lake, rows: pd.DataFrame) -> tuple[datetime, pd.DataFrame, pd.DataFrame]:
    """When the newest price was known, the rows that are judged then, and the verdicts."""
    now = prices()["available_at"].max().to_pydatetime()
    judged = judgeable_rows(SPEC, rows, lake.read("universe", SPEC.name))
    return now, judged, skill_of(SPEC, judged)


def test_another_coverage_is_stated_from_the_next_decision_on(
    lake: Lake, rows: pd.DataFrame
) -> None:
    now, judged, skill = judged_now(lake, rows)
    decide_panel(SPEC, lake, skill, judged, now)
    told = {}
    for later, coverage in enumerate((0.9, 0.8, 0.8, 0.9), start=1):
        spec = universe(targets=TARGETS, workers=1, coverage=coverage)
        at = now + timedelta(minutes=later)
        told[later] = {each.verdict for each in decide_panel(spec, lake, skill, judged, at)}
        for name in NAMES:
            bundle = load(Below(lake, member_folder(SPEC.name, name, "volatility", 1)), SPEC.name)
            assert bundle.manifest.intervals.coverage == coverage
    assert told == {1: set(), 2: {"refresh"}, 3: set(), 4: {"refresh"}}


def test_another_share_of_rows_that_abstain_is_a_reason_to_publish_anew(
    lake: Lake, rows: pd.DataFrame
) -> None:
    now, judged, skill = judged_now(lake, rows)
    able = skill.assign(may_predict=skill["kind"] == "volatility", suspicious=False)
    assert decide_panel(SPEC, lake, able, judged, now)
    known = lake.read("universe", SPEC.name)
    champions = []
    for member in each_member(SPEC, Panel(lake, SPEC.name, NAMES), NAMES, known):
        # Of so few rows one in a thousand is none, as declared.
        for abstain in (member.forecast.abstain, 0.0, 0.01):
            asked = member.forecast.model_copy(update={"abstain": abstain})
            own = SeriesTables(member.store, asked, member.feed)
            other = abstain == 0.01
            models = member.ledger[-1].champion != member.forecast.baseline.name
            said = "another share of rows that abstain"
            assert (said in restated(own, member.ledger)) == (other and models)
            champions.append(models)
    assert set(champions) == {True, False}


def test_a_members_backtest_is_of_what_is_declared_and_of_the_last_batch(
    lake: Lake, rows: pd.DataFrame
) -> None:
    forecast = SPEC.forecast("EURAAA", SPEC.targets[1])
    mine = rows[(rows["instrument"] == "EURAAA") & (rows["kind"] == "volatility")]
    ewma, log_har = (mine[mine["candidate"] == name] for name in ("ewma", "log_har"))
    until = ewma["event_time"].iloc[-50]
    revised = log_har[log_har["event_time"] == until]
    former = revised.assign(recipe="former", event_time=until - timedelta(days=9000))
    lake.replace(
        "backtest",
        SPEC.name,
        pd.concat(
            [
                revised.assign(baseline=7.0, prediction=7.0, batch=2),
                ewma[ewma["event_time"] <= until].assign(batch=0),
                former.assign(batch=0),
                log_har.assign(batch=1),
            ]
        ),
    )
    files = Below(lake, member_folder(SPEC.name, "EURAAA", "volatility", 1))
    manifest = of_member(load(files, SPEC.name).manifest)
    recipe = forecast.recipe_hash(forecast.candidates[1])
    for changes in ({}, {"recipe": recipe, "candidate": "log_har", "baseline_predicts": False}):
        member = Member.model_construct(**dict(manifest) | changes)
        told = backtest_rows(MemberReader(Reader(Location(lake.root)), member), member)
        assert told is not None
        assert told["event_time"].to_pylist() == log_har["event_time"].tolist()
        assert told["prediction"].to_pylist().count(7.0) == 1
    (known,) = walked_rows(SPEC, lake, ["EURAAA"]).values()
    for name in ("log_har", "expanding_mean", "ewma"):
        said = said_by(known, forecast, name)
        assert former["event_time"].iloc[0] not in set(said["event_time"])
    assert set(said_by(known, forecast, "log_har")["recipe"]) == {recipe}


def of_family(
    judged: pd.DataFrame, ledgers: dict[str, list[Decision]], able: Sequence[str], minutes: int = 0
) -> dict[str, Decision]:
    """What is decided about each volatility from these rows, and added to its ledger."""
    now = prices()["available_at"].max().to_pydatetime() + timedelta(minutes=minutes)
    skill = skill_of(SPEC, judged)
    skill = skill.assign(may_predict=skill["candidate"].isin(able))
    about = {SPEC.series(name, SPEC.targets[1]).id: (name, SPEC.targets[1]) for name in NAMES}
    made = decide_family(SPEC, skill, judged, about, ledgers, (), now)
    for series, decision in made.items():
        ledgers.setdefault(series, []).append(decision)
    return {about[series][0]: decision for series, decision in made.items()}


def test_holm_promotes_and_what_came_since_sends_away(rows: pd.DataFrame) -> None:
    table = membership(prices(), SPEC.membership, SPEC.market)
    judged = judgeable_rows(SPEC, rows, table)
    judged = judged[judged["kind"] == "volatility"].reset_index(drop=True)
    half = judged["event_time"] <= np.sort(judged["event_time"].unique())[299]
    ledgers: dict[str, list[Decision]] = {}
    first = of_family(judged[half], ledgers, ["ewma"])
    assert {made.champion for made in first.values()} == {"ewma"}
    assert all(made.fall is not None and made.fall.history == 300 for made in first.values())
    assert all(made.fall.rate == 0.05 for made in first.values() if made.fall)
    assert of_family(judged, dict(ledgers), []) == {}, "its p-value alone sends nobody away"

    died = judged.copy()
    mine = ~half & (died["instrument"] == "EURAAA") & (died["candidate"] == "ewma")
    died.loc[mine, "prediction"] *= 6.0
    made = of_family(died, ledgers, ["ewma"], 1)
    assert list(made) == ["EURAAA"]
    (out,) = made.values()
    assert (out.verdict, out.ground, out.champion) == ("demote", "fall", "expanding_mean")
    assert "falls by more than" in out.sentence
    assert "in 5% of years" in out.sentence
    assert of_family(died, ledgers, ["ewma"], 2) == {}, "its whole backtest does not bring it back"


def test_one_that_barely_was_better_may_fall_further(rows: pd.DataFrame) -> None:
    table = membership(prices(), SPEC.membership, SPEC.market)
    judged = judgeable_rows(SPEC, rows, table)
    judged = judged[judged["kind"] == "volatility"].reset_index(drop=True)
    skill = skill_of(SPEC, judged)
    skill = skill.assign(may_predict=skill["candidate"] == "ewma", p_clark_west=1e-9)
    needed = SPEC.significance / skill["tests"].iloc[0]
    about = {SPEC.series(NAMES[0], SPEC.targets[1]).id: (NAMES[0], SPEC.targets[1])}
    now = prices()["available_at"].max().to_pydatetime()

    def chosen(p: float) -> Decision:
        told = skill.assign(p_diebold_mariano=p, p_value=p)
        (made,) = decide_family(SPEC, told, judged, about, {}, (), now).values()
        return made

    sure, barely = chosen(1e-9), chosen(0.99 * needed)
    assert sure.fall is not None
    assert barely.fall is not None
    assert barely.fall.gain < sure.fall.gain, "its choice overstates what it gains"
    assert barely.fall.limit > sure.fall.limit


def test_a_limit_is_found_once_in_a_reign(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = membership(prices(), SPEC.membership, SPEC.market)
    judged = judgeable_rows(SPEC, rows, table)
    judged = judged[judged["kind"] == "volatility"].reset_index(drop=True)
    half = judged["event_time"] <= np.sort(judged["event_time"].unique())[299]
    ledgers: dict[str, list[Decision]] = {}
    of_family(judged[half], ledgers, ["ewma"])
    monkeypatch.setattr(reign, "fall_limit", None)
    assert of_family(judged, ledgers, ["ewma"], 1) == {}
