"""What is held against what: newest rows against the others, losses of one champion alone."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from fx_assets.monitoring.calibration import calibrate
from fx_assets.monitoring.drift import check_relation, drift_report
from fx_assets.monitoring.monitored import reference_and_current
from fx_assets.monitoring.relation import Relation
from fx_assets.testing import worlds
from fx_assets.testing.drift_worlds import RULE, YEAR, spec

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 3 * YEAR
UNKNOWN = 20
"""Newest rows without prediction and target."""


def monitored(seed: int = 0) -> pd.DataFrame:
    """Autocorrelated columns; what is said and what came is unknown in the newest rows."""
    steps = np.random.default_rng(seed).standard_normal((3, ROWS + 9))
    smooth = np.stack([np.convolve(step, np.ones(10) / 10, "valid") for step in steps])
    smooth[1:, -UNKNOWN:] = np.nan
    days = worlds.bars_from_closes(worlds.trading_days(ROWS, "2020-01-01"), np.ones(ROWS))
    return pd.DataFrame(
        {
            "event_time": days["event_time"],
            "return_1": smooth[0],
            "prediction": smooth[1],
            "target": smooth[2],
        }
    )


QUIET = monitored()


def losses(
    rows: int, champion: str, *, worse: float = 0.0, since: str = "2024-01-01"
) -> pd.DataFrame:
    """Outcomes of a champion whose losses lie ``worse`` above the baseline's."""
    noise = np.random.default_rng(rows).standard_normal(rows) * 0.01
    times = pd.bdate_range(since, periods=rows, tz="UTC").as_unit("us")
    return pd.DataFrame(
        {
            "event_time": times,
            "known_at": times + pd.Timedelta(days=1),
            "mode": "live",
            "champion": champion,
            "loss": 0.25 + worse + noise,
            "baseline_loss": 0.25,
        }
    )


def relation(outcomes: pd.DataFrame, since: pd.Timestamp) -> Relation:
    noise = np.random.default_rng(0).standard_normal(1000) * 0.1
    backtest = pd.DataFrame(
        {
            "event_time": pd.bdate_range("2015-01-01", periods=1000, tz="UTC"),
            "prediction": 0.5 + noise,
            "baseline": 0.5,
            "target": (np.arange(1000) % 2).astype(float),
        }
    )
    return check_relation(
        backtest, outcomes, spec(), since=since.to_pydatetime(), rule=RULE, bars_a_year=YEAR
    )


def test_each_window_of_the_reference_is_held_against_the_rest_of_it() -> None:
    reference, window = monitored()[["event_time", "return_1"]], YEAR // 2
    (scale,) = calibrate(reference, window, 1.0, YEAR).columns
    values = reference["return_1"].to_numpy()
    distances, shifts = [], []
    for first in range(len(values) - window + 1):
        ours = values[first : first + window]
        rest = np.delete(values, np.s_[first : first + window])
        distances.append(wasserstein_distance(ours, rest) / values.std())
        shifts.append(abs(ours.mean() - rest.mean()) / values.std())
    for usual, measured in ((scale.distance, distances), (scale.shift, shifts)):
        median, high = np.quantile(measured, [0.5, 0.95])
        assert usual.median == pytest.approx(median, rel=0.02)
        assert usual.threshold(1.0) == pytest.approx(high, rel=0.02)


@given(window=st.integers(1, ROWS + 5), trained=st.integers(0, ROWS - 1))
def test_no_current_row_is_part_of_the_reference_wherever_training_ended(
    window: int, trained: int
) -> None:
    rows = QUIET
    reference, current = reference_and_current(rows, rows["event_time"][trained], window)
    assert len(current) == min(window, ROWS)
    assert not set(reference["event_time"]) & set(current["event_time"])
    assert len(reference) == min(max(ROWS - window, 0), trained + 1)


def test_what_the_newest_rows_hold_does_not_move_what_they_are_held_against() -> None:
    rows = monitored()
    changed = rows.copy()
    changed.loc[changed.index[-RULE.window :], "return_1"] += 5 * rows["return_1"].std()
    before, after = (
        drift_report(spec(), each, trained_through=rows["event_time"].iloc[-1], measured_at=NOW)
        for each in (rows, changed)
    )
    assert (before.verdict, after.verdict) == ("quiet", "drift")
    assert before.calibration_hash == after.calibration_hash
    assert before.reference_rows == after.reference_rows == ROWS - RULE.window
    for a, b in zip(before.columns, after.columns, strict=True):
        assert (a.threshold, a.shift_threshold) == (b.threshold, b.shift_threshold)
        assert (a.reference_mean, a.reference_std) == (b.reference_mean, b.reference_std)


def test_the_newest_known_labels_are_held_against_the_rows_before_them() -> None:
    """Labels come late: the newest that are known reach back into the rows before the window."""
    rows = monitored()
    found = drift_report(spec(), rows, trained_through=rows["event_time"].iloc[-1], measured_at=NOW)
    columns = {column.column: column for column in found.columns}
    for name, unknown in (("return_1", 0), ("prediction", UNKNOWN), ("target", UNKNOWN)):
        values = rows[name].to_numpy()[: ROWS - unknown]
        ours, before = values[-RULE.window :], values[: -RULE.window]
        column = columns[name]
        distance = wasserstein_distance(ours, before) / column.reference_std
        shift = abs(ours.mean() - before.mean()) / column.reference_std
        assert column.distance == pytest.approx(distance, abs=5e-3)
        assert column.shift == pytest.approx(shift, rel=1e-6)


def test_losses_of_an_earlier_champion_are_not_counted_against_this_one() -> None:
    earlier = losses(150, "xgboost", worse=0.2, since="2024-01-01")
    present = losses(40, "ridge", since="2024-09-02")
    since = present["event_time"].iloc[0]
    both = pd.concat([present, earlier]).sample(frac=1, random_state=0)
    assert relation(both, earlier["event_time"].iloc[0]).alarm
    found = relation(both, since)
    assert found == relation(present, since)
    assert found.rows == len(present)
    assert not found.alarm


def test_late_predictions_are_not_counted_in_the_relation() -> None:
    present = losses(60, "ridge")
    late = losses(150, "ridge", worse=0.2).assign(mode="late")
    late = late[~late["event_time"].isin(present["event_time"])]
    since = present["event_time"].iloc[0]
    assert relation(pd.concat([present, late]), since) == relation(present, since)


def test_a_revised_truth_counts_once_in_the_relation_as_it_is_known_now() -> None:
    known_now = losses(60, "ridge")
    wrong = losses(60, "ridge", worse=0.5)
    wrong["known_at"] -= pd.Timedelta(hours=1)
    since = known_now["event_time"].iloc[0]
    for rows in ((known_now, wrong), (wrong, known_now)):
        assert relation(pd.concat(rows), since) == relation(known_now, since)
