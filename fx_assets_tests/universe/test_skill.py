"""Verdicts on many instruments at once, in worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import best_candidates
from fx_assets.testing import worlds
from fx_assets_tests.universe.helpers import (
    coin,
    judged,
    prices_of,
    skill_table,
    universe,
    with_gaps,
)

SPEC = universe()
PATIENT = universe(
    membership={"min_history": 760, "max_missed": 5, "peg_window": 60},
    targets=[
        {
            "kind": "direction",
            "candidates": [{"family": "logistic_regression", "params": {"C": 0.0003}}],
        },
        {"kind": "volatility", "candidates": ["ewma"]},
    ],
    walk_forward={"first_test": "1999-01-01", "min_train": 500, "refit_every": 504},
    workers=1,
)


def null_rows(instruments: int, rows: int, seed: int) -> pd.DataFrame:
    """Backtest rows of candidates that add noise to a baseline that is right."""
    rng = np.random.default_rng(seed)
    days = worlds.trading_days(rows + 460)
    times = pd.DatetimeIndex([worlds.TARGET.event_time(day) for day in days[460:]])
    tables = []
    target = SPEC.targets[0]
    for i in range(instruments):
        name = coin(i)
        recipe = SPEC.forecast(name, target).recipe_hash(target.candidates[0])
        tables.append(
            pd.DataFrame(
                {
                    "instrument": name,
                    "kind": "direction",
                    "horizon": 1,
                    "candidate": "logistic_regression",
                    "event_time": times.as_unit("us"),
                    "target": (rng.random(rows) < 0.5).astype(float),
                    "prediction": 0.5 + 0.01 * rng.standard_normal(rows),
                    "baseline": 0.5,
                    "recipe": recipe,
                    "label_available_at": (times + pd.Timedelta(days=1)).as_unit("us"),
                    "batch": 0,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def everybody() -> pd.DataFrame:
    """Memberships of made-up currencies over all rows of :func:`null_rows`."""
    bars = worlds.random_walk(1000, 1)
    return membership(prices_of({coin(i): bars for i in range(20)}), SPEC.membership, SPEC.market)


@pytest.mark.slow
def test_without_a_signal_few_worlds_have_any_corrected_claim(everybody: pd.DataFrame) -> None:
    claims = knowing = uncorrected = 0
    for seed in range(20):
        table = skill_table(SPEC, null_rows(10, 300, seed), everybody)
        assert (table["tests"] == 10).all()
        claims += bool(table["skill_demonstrated"].any())
        knowing += bool((table["p_holm_clark_west"] < 0.05).any())
        uncorrected += bool((table["p_clark_west"] < 0.05).any())
    # Four or more of 20 have a chance of 1.6 % where each has one of 5 %.
    assert claims <= 3
    assert knowing <= 3
    assert uncorrected >= 5


def test_exactly_the_planted_signals_are_found_among_eight() -> None:
    n = 1900
    bars = {coin(i): worlds.random_walk(n, 100 + i) for i in range(4)}
    directions = {coin(i, "D"): worlds.planted_direction(n, i, strength=0.4) for i in range(2)}
    volatilities = {coin(i, "V"): _clustered(n, i) for i in range(2)}
    table = judged(PATIENT, bars | directions | volatilities)
    found = table[table["may_predict"]].groupby("kind")["instrument"].apply(set)
    assert found["direction"] == set(directions)
    assert found["volatility"] == set(volatilities)
    assert (table["tests"] == 16).all()
    best = best_candidates(table)
    assert len(best) == 16


def test_rows_outside_a_membership_count_for_nothing(everybody: pd.DataFrame) -> None:
    rows = null_rows(1, 400, 1)
    table = skill_table(SPEC, rows, everybody)
    assert table["n"].tolist() == [400]
    later = everybody.assign(member_from=everybody["member_from"] + pd.Timedelta(days=365))
    assert skill_table(SPEC, rows, later)["n"].iloc[0] < 160
    pegged = everybody.assign(pegged=True)
    assert skill_table(SPEC, rows, pegged).empty


def test_of_two_rows_about_the_same_the_last_appended_counts(everybody: pd.DataFrame) -> None:
    rows = null_rows(1, 400, 1)
    knowing = rows.assign(prediction=rows["prediction"] + 0.4 * (rows["target"] - 0.5), batch=1)
    table = skill_table(SPEC, pd.concat([knowing, rows]), everybody)
    assert table["n"].tolist() == [400]
    assert table["skill_demonstrated"].all()


def test_too_few_rows_are_shown_and_not_tested(everybody: pd.DataFrame) -> None:
    spec = universe(min_rows=401)
    rows = null_rows(2, 400, 1)
    table = skill_table(spec, rows, everybody)
    assert table["p_holm"].isna().all()
    assert (table["tests"] == 0).all()
    assert not table["skill_demonstrated"].any()
    assert table["skill"].notna().all()


def test_rows_of_another_recipe_are_left_out(everybody: pd.DataFrame) -> None:
    rows = null_rows(1, 400, 1).assign(recipe="0123456789abcdef")
    assert skill_table(SPEC, rows, everybody).empty


def test_the_interval_of_the_skill_contains_it_and_the_corrections_only_raise_p(
    everybody: pd.DataFrame,
) -> None:
    table = skill_table(SPEC, null_rows(20, 400, 7), everybody)
    assert (table["skill_lower"] < table["skill"]).all()
    assert (table["skill"] < table["skill_upper"]).all()
    assert (table["p_value"] == table[["p_clark_west", "p_diebold_mariano"]].max(axis=1)).all()
    for column in ("p_holm", "p_benjamini_yekutieli"):
        assert (table[column] >= table["p_value"]).all()


def test_returns_across_a_pause_of_years_are_in_no_history() -> None:
    spec = universe(targets=[{"kind": "volatility", "candidates": ["ewma"]}], min_rows=250)
    n = 1800
    paused = with_gaps(n, [(800, 900)], seed=5)
    after = paused["event_time"] > paused["event_time"].iloc[799]
    paused.loc[after, "close"] *= 5
    table = judged(spec, {"EURAAA": worlds.random_walk(n, 6), "EURBBB": paused})
    loss = table.set_index("instrument")["baseline_loss"]
    assert loss["EURBBB"] < 1.2 * loss["EURAAA"]


def _clustered(n: int, seed: int) -> pd.DataFrame:
    """Volatility that is high for half a year, then low: 0.3 % and 0.9 % a day."""
    noise = np.random.default_rng(seed).standard_normal(n)
    high = (np.arange(n) // 126) % 2 == 1
    closes = 1.2 * np.exp(np.cumsum(np.where(high, 0.009, 0.003) * noise))
    return worlds.bars_from_closes(worlds.trading_days(n), closes)
