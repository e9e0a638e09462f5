"""The report: broken columns are named on the first day, and both verdicts are shown."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from fx_assets.features import feature_set
from fx_assets.monitoring.broken import BrokenColumn, faults_of_features, implausible
from fx_assets.monitoring.drift import (
    DriftReport,
    check_relation,
    drift_report,
    report_table,
)
from fx_assets.monitoring.evidently_report import DRAWN_COLUMNS, evidently_report
from fx_assets.monitoring.monitored import calendar_columns, monitored_frame
from fx_assets.testing import worlds
from fx_assets.testing.drift_worlds import RULE, TARGET, YEAR, Watched, garch_returns, spec

NOW = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS = feature_set("fx_close").columns
FIXED = ("weekday_sin", "weekday_cos", "days_to_month_end", "last_bar_of_month", "gap_days")

FAULTS = {
    "constant": lambda x, before: np.full_like(x, before),
    "scaled": lambda x, before: 100 * x,
    "sign_flipped": lambda x, before: -x,
    "shuffled": lambda x, before: x[::-1],
    "stale": lambda x, before: np.concatenate([[before], x[:-1]]),
    "missing": lambda x, before: np.full_like(x, np.nan),
}


@pytest.fixture(scope="module")
def world() -> Watched:
    return Watched(garch_returns(3000, 7), 60)


@pytest.fixture(scope="module")
def predictions(world: Watched) -> pd.DataFrame:
    """A model that follows the last return a little, and its baseline."""
    rows = world.frame.iloc[300:]
    return pd.DataFrame(
        {
            "event_time": rows["event_time"],
            "prediction": 0.5 + 3 * np.tanh(rows["log_return"]),
            "baseline": 0.5,
            "target": rows["target"],
        }
    ).reset_index(drop=True)


def report(
    world: Watched, predictions: pd.DataFrame, frame: pd.DataFrame | None = None
) -> DriftReport:
    stored = world.frame if frame is None else frame
    return drift_report(
        spec(),
        monitored_frame(stored, predictions, spec(), TARGET),
        trained_through=world.frame["event_time"].iloc[-70],
        measured_at=NOW,
        broken=faults(stored, world),
    )


def faults(stored: pd.DataFrame, world: Watched) -> tuple[BrokenColumn, ...]:
    return faults_of_features(stored, world.frame, COLUMNS, RULE.window)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("column", ["return_1", "rsi_14", "volatility_21", "skew_63"])
@pytest.mark.parametrize("days", [2, 20])
def test_a_broken_feature_is_named_within_two_days(
    world: Watched, fault: str, column: str, days: int
) -> None:
    stored = world.frame.copy()
    values = stored[column].to_numpy(copy=True)
    values[-days:] = FAULTS[fault](values[-days:], values[-days - 1])
    stored[column] = values
    found = faults(stored, world)
    assert [(f.column, f.fault) for f in found] == [(column, fault)]
    assert found[0].rows <= days
    assert column in found[0].sentence


@pytest.mark.parametrize("fault", ["scaled", "sign_flipped", "stale"])
def test_a_fault_of_one_day_is_found_on_that_day(world: Watched, fault: str) -> None:
    stored = world.frame.copy()
    values = stored["return_5"].to_numpy(copy=True)
    values[-1:] = FAULTS[fault](values[-1:], values[-2])
    stored["return_5"] = values
    assert [f.fault for f in faults(stored, world)] == [fault]


def test_features_that_equal_their_recomputation_are_not_broken(world: Watched) -> None:
    assert faults(world.frame, world) == ()


def test_rows_without_features_are_missed(world: Watched) -> None:
    found = faults(world.frame.iloc[:-3], world)
    assert [(f.column, f.fault, f.rows) for f in found] == [("event_time", "missing", 3)]


def test_predictions_without_a_second_source_are_held_against_their_own_past() -> None:
    smooth = np.convolve(np.random.default_rng(0).standard_normal(2029), np.ones(30) / 30, "valid")
    usual, now = smooth[:-40], smooth[-40:]
    assert implausible("p", now, usual) == ()
    shuffled = np.random.default_rng(1).permutation(now)
    stuck = np.concatenate([now[:30], np.full(10, now[29])])
    found = {
        "constant": implausible("p", stuck, usual),
        "out_of_range": implausible("p", 100 * now, usual),
        "shuffled": implausible("p", shuffled, usual),
        "missing": implausible("p", np.append(now, np.nan), usual),
    }
    assert {name: [f.fault for f in faults] for name, faults in found.items()} == {
        name: [name] for name in found
    }


def test_plausibility_alone_does_not_cry_wolf() -> None:
    cried = 0
    for seed in range(60):
        x = np.random.default_rng(seed).standard_normal(2060)
        for values in (x, np.convolve(x, np.ones(30) / 30, "valid")):
            cried += bool(implausible("p", values[-30:], values[:-30]))
    assert cried == 0


def test_calendar_columns_are_known_in_advance_and_not_tested_for_drift(
    world: Watched, predictions: pd.DataFrame
) -> None:
    assert set(FIXED) < calendar_columns("fx_close")
    found = report(world, predictions)
    assert not {c.column for c in found.columns} & calendar_columns("fx_close")
    assert set(FIXED) < set(found.untested)


def test_a_quiet_report_says_so_and_a_broken_one_names_the_column(
    world: Watched, predictions: pd.DataFrame
) -> None:
    quiet = report(world, predictions)
    assert quiet.verdict == "quiet", quiet.sentence
    assert {c.part for c in quiet.columns} == {"feature", "prediction", "target"}
    flipped = world.frame.assign(rsi_14=100 - world.frame["rsi_14"])
    broken = report(world, predictions, flipped)
    assert broken.verdict == "broken"
    assert broken.alarm
    assert "rsi_14" in broken.sentence


@pytest.mark.parametrize("sign", [1, -1])
def test_predictions_that_jump_by_a_standard_deviation_are_drift(
    world: Watched, predictions: pd.DataFrame, sign: int
) -> None:
    said = predictions.copy()
    usual = 0.03 * np.random.default_rng(0).standard_normal(len(said))
    usual[-RULE.window :] += sign * 0.03
    said["prediction"] = said["baseline"] + usual
    found = report(world, said)
    assert found.verdict == "drift"
    assert found.drifted[0].column == "prediction"


def test_a_champion_that_is_the_baseline_has_no_prediction_to_drift(
    world: Watched, predictions: pd.DataFrame
) -> None:
    trending = np.linspace(0.48, 0.52, len(predictions))
    found = report(world, predictions.assign(prediction=trending, baseline=trending))
    assert "constant" in found.untested["prediction"]
    assert found.verdict == "quiet"


def test_with_too_little_history_the_report_says_so(predictions: pd.DataFrame) -> None:
    young = Watched(garch_returns(600, 3), 60)
    found = report(young, predictions.iloc[:0])
    assert found.verdict == "not_enough_data"
    assert "512" in found.sentence
    assert not found.alarm
    assert report_table(found).empty


def test_live_losses_that_rise_are_a_changed_relation(
    world: Watched, predictions: pd.DataFrame
) -> None:
    rows = predictions.iloc[-120:-1]
    outcomes = pd.DataFrame(
        {
            "event_time": rows["event_time"],
            "known_at": rows["event_time"],
            "mode": "live",
            "loss": (rows["target"] - rows["prediction"]) ** 2,
            "baseline_loss": (rows["target"] - rows["baseline"]) ** 2,
        }
    )
    since = rows["event_time"].iloc[0].to_pydatetime()
    arguments = {"spec": spec(), "since": since, "rule": RULE, "bars_a_year": YEAR}
    assert not check_relation(predictions, outcomes, **arguments).alarm
    worse = check_relation(predictions, outcomes.assign(loss=outcomes["loss"] + 0.05), **arguments)
    assert worse.alarm
    assert worse.rows == len(rows)
    found = drift_report(
        spec(),
        world.monitored.assign(prediction=np.nan, target=np.nan),
        trained_through=world.frame["event_time"].iloc[-70],
        measured_at=NOW,
        relation=worse,
    )
    assert found.verdict == "drift"


def test_evidently_draws_a_page_that_needs_no_network_and_shows_both_verdicts(
    world: Watched, predictions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    ours = report(world, predictions)
    monitored = monitored_frame(world.frame, predictions, spec(), TARGET)
    made = evidently_report(ours, monitored, world.frame["event_time"].iloc[-70])
    assert os.environ["DO_NOT_TRACK"]
    page = made.html.decode()
    assert not re.search(r"""<(script|link|img|iframe)[^>]+(src|href)=["']?(https?:)?//""", page)
    assert "cdn." not in page
    assert "@import url" not in page
    for column in made.report.columns:
        assert column.stock is not None
        assert f"<td>{column.column}</td>" in page
        if column.stock.method.startswith("Wasserstein"):
            assert column.distance == pytest.approx(column.stock.score, rel=0.05, abs=0.02) or (
                column.reference_std < 1e-3  # Evidently takes no smaller standard deviation
            )
    assert made.report.stock_alarm
    assert not made.report.alarm
    assert page.count("Wasserstein distance (normed). The drift threshold is") >= DRAWN_COLUMNS
    table = report_table(made.report)
    assert len(table) == len(made.report.columns)
    assert table["stock_drifted"].mean() > 0.5
    assert DriftReport.model_validate_json(made.report.model_dump_json()) == made.report


def test_the_features_of_real_prices_are_watched_without_an_error() -> None:
    real = Watched(np.diff(np.log(worlds.ecb_bars()["close"].to_numpy())), 30)
    assert np.isfinite(real.scores).all()
