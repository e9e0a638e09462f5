"""Walk-forward rows of many instruments: paid for once, and the same however they are computed."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from multiprocessing import current_process
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision, read_ledger
from fx_assets.evaluation.intervals import fit_intervals
from fx_assets.evaluation.universe import (
    CACHE_COLUMNS,
    current_rows,
    spread,
    walk_universe,
    walked_with,
)
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import judgeable_rows, skill_of
from fx_assets.lake import Lake
from fx_assets.specs.suspicion import SuspicionRule
from fx_assets.stages.panel_decide import acknowledge_member, decide_panel
from fx_assets.stages.panel_issue import issue_panel
from fx_assets.stages.rollback import roll_back_member
from fx_assets_tests.universe.helpers import coin, issued, moment, prices_of, universe, walk

SPEC = universe(targets=[{"kind": "volatility", "candidates": ["ewma", "log_har"]}], workers=1)
N = 900
ORDER = ["instrument", "candidate", "event_time"]


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    return prices_of({name: walk(N, seed) for seed, name in enumerate(("EURAAA", "EURBBB"))})


@pytest.fixture(scope="module")
def stored(prices: pd.DataFrame) -> pd.DataFrame:
    return walked(prices)


def walked(prices: pd.DataFrame, stored: pd.DataFrame | None = None) -> pd.DataFrame:
    table = membership(prices, SPEC.membership, SPEC.market)
    return walk_universe(SPEC, prices, table, pd.DataFrame() if stored is None else stored)


def test_nothing_is_computed_twice(prices: pd.DataFrame, stored: pd.DataFrame) -> None:
    assert len(stored) > 1000
    assert not stored.duplicated(ORDER).any()
    assert walked(prices, stored[CACHE_COLUMNS]).empty


def test_a_new_bar_adds_one_row_for_each_candidate_and_instrument(
    prices: pd.DataFrame, stored: pd.DataFrame
) -> None:
    last = prices["event_time"].max()
    before = walked(prices[prices["event_time"] < last])
    new = walked(prices, before)
    assert len(new) == 4
    assert (new["batch"] == 1).all()
    both = pd.concat([before, new]).sort_values(ORDER, ignore_index=True)
    whole = stored.sort_values(ORDER, ignore_index=True)
    pd.testing.assert_frame_equal(both.drop(columns="batch"), whole.drop(columns="batch"))


def test_a_revision_that_is_taken_back_leaves_the_rows_as_they_were(
    prices: pd.DataFrame, stored: pd.DataFrame
) -> None:
    row = prices.index[(prices["instrument"] == "EURAAA")][-3]
    revised = prices.copy()
    revised.loc[row, "close"] *= 1.01
    changed = walked(revised, stored)
    assert set(changed["instrument"]) == {"EURAAA"}
    after = pd.concat([stored, changed])
    back = pd.concat([after, walked(prices, after)])
    kept = current_rows(back).sort_values(ORDER, ignore_index=True)
    whole = stored.sort_values(ORDER, ignore_index=True)
    pd.testing.assert_frame_equal(kept.drop(columns="batch"), whole.drop(columns="batch"))


@pytest.mark.slow
def test_the_rows_do_not_depend_on_how_many_processes_computed_them() -> None:
    spec = universe(targets=[{"kind": "volatility", "candidates": ["ewma"]}], workers=2)
    prices = prices_of({coin(i): walk(700, i) for i in range(4)})
    table = membership(prices, spec.membership, spec.market)
    spread = walk_universe(spec, prices, table, pd.DataFrame())
    alone = walk_universe(spec.model_copy(update={"workers": 1}), prices, table, pd.DataFrame())
    pd.testing.assert_frame_equal(spread, alone)


def test_work_is_spread_by_a_process_of_celery_as_well() -> None:
    billiard = pytest.importorskip("billiard", reason="pip install 'fx-assets[celery]'")
    process = billiard.Process(target=spread_names, daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0


def spread_names() -> None:
    found = spread(os.path.basename, ["a/1", "a/2", "a/3", "a/4"], 2)
    assert list(found) == ["1", "2", "3", "4"]
    assert vars(current_process())["_config"]["daemon"]


def test_batches_are_numbered_instrument_by_instrument_whoever_is_walked_beside_it(
    prices: pd.DataFrame,
) -> None:
    last = prices["event_time"].max()
    first = prices[prices["instrument"].eq("EURAAA") & prices["event_time"].lt(last)]
    table = membership(prices, SPEC.membership, SPEC.market)
    before = walk_universe(SPEC, first, table, pd.DataFrame())
    after = walk_universe(SPEC, prices, table, before)
    assert after.groupby("instrument")["batch"].max().to_dict() == {"EURAAA": 1, "EURBBB": 0}


def test_what_rows_were_made_with_changes_with_a_bar_and_not_with_their_order_or_company(
    prices: pd.DataFrame,
) -> None:
    table = membership(prices, SPEC.membership, SPEC.market)
    both = walked_with(SPEC, prices, table)
    assert both["instrument"].tolist() == ["EURAAA", "EURBBB"]
    mixed = prices.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(walked_with(SPEC, mixed, table), both)
    alone = walked_with(SPEC, prices[prices["instrument"] == "EURBBB"], table)
    assert alone["inputs"].tolist() == both["inputs"].tolist()[1:]
    revised = prices.copy()
    revised.loc[revised.index[-1], "close"] *= 1 + 1e-15
    told = walked_with(SPEC, revised, table)["inputs"] != both["inputs"]
    assert told.tolist() == [False, True]


def test_instruments_that_were_never_members_are_not_walked_forward(prices: pd.DataFrame) -> None:
    young = walk(N, 7).tail(300).assign(instrument="EURNEW")
    assert set(walked(pd.concat([prices, young]))["instrument"]) == {"EURAAA", "EURBBB"}


@pytest.mark.slow
def test_without_skill_the_baseline_predicts_and_the_candidate_is_shown_beside_it(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    now = prices["available_at"].max().to_pydatetime()
    made = issued(tmp_path / "none", SPEC, prices, stored, now)
    assert made["instrument"].tolist() == ["EURAAA", "EURBBB"]
    assert (made["prediction"] == made["baseline"]).all()
    assert (made["champion"] == "expanding_mean").all()
    assert (made["candidate_prediction"] != made["baseline"]).all()
    assert (made["mode"] == "live").all()
    assert (made["verdict"] == "not demonstrated").all()
    assert all(json.loads(said)["baseline"]["skill"] is None for said in made["claim"])
    assert all(json.loads(said)["reference"]["skill"] is not None for said in made["claim"])
    shown = issued(tmp_path / "some", SPEC, prices, stored, moment("2030-01-02"), may_predict=True)
    assert (shown["prediction"] == shown["candidate_prediction"]).all()
    assert (shown["champion"] == shown["candidate"]).all()
    assert (shown["mode"] == "late").all()


def test_every_prediction_has_its_interval_and_its_series(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    now = prices["available_at"].max().to_pydatetime()
    made = issued(tmp_path, SPEC, prices, stored, now).set_index("instrument")
    assert (made["lower"] < made["prediction"]).all()
    assert (made["prediction"] < made["upper"]).all()
    assert (made["coverage"] == 0.9).all()
    for name in made.index:
        assert made.loc[name, "series"] == SPEC.series(name, SPEC.targets[0]).id
        rows = stored[(stored["instrument"] == name) & (stored["candidate"] == "ewma")]
        learned = fit_intervals(rows.assign(prediction=rows["baseline"]), "volatility", 0.9)
        bounds = learned.interval(made.loc[name, "prediction"])
        assert bounds == (made.loc[name, "lower"], made.loc[name, "upper"])


def test_a_member_without_the_newest_fixing_is_predicted_as_of_its_own_newest_and_late(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    first, last = np.sort(prices["event_time"].unique())[-2:]
    missed = prices[(prices["instrument"] == "EURAAA") | (prices["event_time"] < last)]
    made = issued(tmp_path, SPEC, missed, walked(missed), moment("2030-01-02"))
    assert dict(zip(made["instrument"], made["event_time"], strict=True)) == {
        "EURAAA": pd.Timestamp(last),
        "EURBBB": pd.Timestamp(first),
    }
    assert set(made["mode"]) == {"late"}


@pytest.mark.slow
def test_every_missed_bar_is_predicted_from_once_by_who_was_champion_then(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    times = np.sort(prices["event_time"].unique())
    before = prices[prices["event_time"] <= times[-6]]
    then = before["available_at"].max().to_pydatetime()
    names = ["EURAAA", "EURBBB"]
    first = issued(tmp_path, SPEC, before, walked(before), then, may_predict=True)
    lake, later = Lake(str(tmp_path)), prices["available_at"].max().to_pydatetime()
    for table in ("raw_prices", "prices"):
        new = prices[prices["event_time"] > times[-6]]
        old = lake.read(table, SPEC.name)
        readings = old.drop_duplicates("instrument").set_index("instrument").get("reading")
        if readings is not None:
            new = new.assign(reading=new["instrument"].map(readings))
        lake.append(table, SPEC.name, new)
    assert first["p_holm"].notna().all()
    judged = lake.read("skill", SPEC.name)
    lake.replace("skill", SPEC.name, judged.assign(candidate=judged["candidate"] + "_since"))
    made = issue_panel(SPEC, lake, names, later).new_rows
    assert (made["candidate"] == made["champion"]).all()
    assert made["p_holm"].isna().all(), "that of another candidate is not the champion's"
    assert made.groupby("instrument")["event_time"].apply(list).to_dict() == {
        name: list(pd.DatetimeIndex(times[-5:])) for name in names
    }
    assert made.groupby("instrument")["mode"].apply(list).to_dict() == {
        name: ["late"] * 4 + ["live"] for name in names
    }
    assert (made["champion_version"] == "v1").all()
    assert (made["champion_decided_at"] <= made["decision_time"]).all()
    assert issue_panel(SPEC, lake, names, later).new_rows.empty
    assert len(lake.read("predictions", SPEC.name)) == len(first) + len(made)


@pytest.mark.slow
def test_a_result_that_is_too_good_is_held_back_until_somebody_vouches_for_it(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    wary = SPEC.model_copy(update={"suspicion": SuspicionRule(log_correlation=1e-6)})
    now = prices["available_at"].max().to_pydatetime()
    rows = stored.copy()
    noise = np.random.default_rng(0).lognormal(0, 0.1, len(rows))
    rows["prediction"] = np.maximum(rows["target"], 1e-9) * noise
    held = issued(tmp_path, wary, prices, rows, now)
    assert (held["champion"] == "expanding_mean").all()
    lake = Lake(str(tmp_path))
    ledger = read_ledger(lake.read("decisions", SPEC.name))
    assert len(ledger) == 2
    assert all("Too good: look for a leak" in decision.sentence for decision in ledger)
    assert all("--instrument EUR" in decision.sentence for decision in ledger)
    best = ledger[0].suspicions[0].candidate
    with pytest.raises(RegistryError, match="say which"):
        acknowledge_member(wary, lake, None, best, reason="I looked at it", by="me", now=now)
    acknowledge_member(wary, lake, "EURAAA", best, reason="I looked at it", by="me", now=now)
    later = now + timedelta(minutes=1)
    judged = judgeable_rows(wary, rows, lake.read("universe", SPEC.name))
    (made,) = decide_panel(wary, lake, skill_of(wary, judged), judged, later)
    assert (made.verdict, made.champion) == ("replace", best)
    assert made.acknowledgement is not None
    assert made.acknowledgement.by == "me"
    assert "I looked at it" in made.caveat


@pytest.mark.slow
def test_a_person_takes_a_recipe_out_of_a_member_and_the_rule_leaves_it_out(
    prices: pd.DataFrame, stored: pd.DataFrame, tmp_path: Path
) -> None:
    now = prices["available_at"].max().to_pydatetime()
    issued(tmp_path, SPEC, prices, stored, now)
    lake = Lake(str(tmp_path))
    judged = judgeable_rows(SPEC, stored, lake.read("universe", SPEC.name))
    able = skill_of(SPEC, judged).assign(may_predict=True)

    def decided(minutes: int, skill: pd.DataFrame = able) -> list[Decision]:
        lake.replace("skill", SPEC.name, skill)
        found = decide_panel(SPEC, lake, skill, judged, now + timedelta(minutes=minutes))
        return [decision for decision in found if decision.series == series]

    def back(minutes: int, version: int | None, **changes: str) -> Decision:
        asked = {"instrument": "EURAAA", "target": "volatility:1", **changes}
        return roll_back_member(
            SPEC, lake, asked["instrument"], asked["target"], version, by="ada",
            reason="its bars were wrong", now=now + timedelta(minutes=minutes),
        )  # fmt: skip

    series = SPEC.series("EURAAA", SPEC.targets[0]).id
    (promoted,) = decided(1)
    assert promoted.version == 2
    for refused, says in (
        ({"instrument": "EURXXX"}, "one of EURAAA, EURBBB"),
        ({"target": "direction"}, "one of volatility:1"),
    ):
        with pytest.raises(RegistryError) as caught:
            back(2, 1, **refused)
        assert says in str(caught.value)
    assert (back(2, 1).champion, back(3, 2).champion) == ("expanding_mean", promoted.champion)
    made = back(4, 1)
    assert (made.version, made.sequence) == (1, 4)
    assert decided(5) == [], "the recipe that a person took out is not what the rule promotes"
    nobody = able.assign(may_predict=False)
    assert decided(6, nobody) == []
    with pytest.raises(RegistryError, match="shows no skill"):
        back(7, 2)
    back(8, None)
    (again,) = decided(9)
    assert (again.verdict, again.champion, again.version) == ("replace", promoted.champion, 3)
    rows = lake.read("decisions", SPEC.name)
    assert "rollback" not in set(rows["verdict"][rows["instrument"] == "EURBBB"])
