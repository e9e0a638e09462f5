"""A bar that is corrected is no new bar: what could be predicted once still is, exactly once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_assets.evaluation.outcomes import join_outcomes
from fx_assets.lake import Lake, as_known_at
from fx_assets.series.tables import SeriesTables
from fx_assets.sources import new_rows
from fx_assets.stages.due import days_to_predict
from fx_assets.stages.issue import issue_days
from fx_assets_tests.assets.conftest import TODAY, Started
from fx_assets_tests.assets.test_readings import declared, ingest, write
from fx_assets_tests.platform import Platform, evening, failures, feed_spec, forecast_spec

THURSDAY, TUESDAY, WEDNESDAY = "2018-03-29", "2018-04-03", "2018-04-04"
SMALL = forecast_spec(candidates=["persistence"])


def corrected(rates: pd.DataFrame, *days: str) -> pd.DataFrame:
    changed = rates.copy()
    for day in days:
        changed.loc[day, "USD"] = round(float(rates.loc[day, "USD"]) * 1.002, 6)
    return changed


def live(platform: Platform, rates: pd.DataFrame, day: str, *, retrain: bool) -> None:
    platform.arrive(rates, day)
    assert platform.ingest("2018").success
    if retrain:
        result = platform.retrain()
        assert result.success, failures(result)
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)


@pytest.mark.parametrize(
    ("revised", "retrain"),
    [
        ("2018-03-27", False),
        pytest.param(TODAY, True, marks=pytest.mark.slow),
        pytest.param("2018-01-15", False, marks=pytest.mark.slow),
    ],
)
def test_after_a_close_is_corrected_each_new_day_is_predicted_and_scored(
    platform: Platform, rates: pd.DataFrame, revised: str, retrain: bool
) -> None:
    later = corrected(rates, revised)
    platform.forecasts[:] = [SMALL]
    platform.reload()
    for day in (THURSDAY, TUESDAY, WEDNESDAY):
        live(platform, later, day, retrain=retrain)
        assert platform.sensor().skip_message == "Every known bar of EURUSD has its prediction."
    assert list(platform.predictions().index) == [TODAY, THURSDAY, TUESDAY, WEDNESDAY]
    outcomes = platform.lake.read("outcomes", "direction")
    assert sorted(set(outcomes["day"])) == [TODAY, THURSDAY, TUESDAY]
    assert set(platform.predictions()["mode"][[TODAY, THURSDAY, WEDNESDAY]]) == {"live"}


@pytest.mark.slow
def test_after_the_provider_replaces_its_stand_ins_bars_each_new_day_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> None:
    source = {"kind": "files", "instrument": "EURUSD"}
    feed = feed_spec(
        source={**source, "path": "own/*.csv"}, failover=[{**source, "path": "other/*.csv"}]
    )
    platform = Platform(tmp_path, monkeypatch, feeds=[feed], forecasts=[SMALL])

    def write(folder: str, table: pd.DataFrame, until: str) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        kept = table[:until].reset_index()  # type: ignore[misc]
        kept.columns = ["date", "close"]
        kept.to_csv(tmp_path / folder / "eurusd.csv", index=False)

    platform.travel(evening(TODAY))
    write("other", corrected(rates, "2018-03-27", TODAY), TODAY)
    assert platform.ingest().success
    assert platform.retrain().success
    assert platform.run_requested(platform.sensor()).success
    for day in (THURSDAY, TUESDAY):
        platform.travel(evening(day))
        write("own", rates, day)
        assert platform.ingest("2018").success
        result = platform.run_requested(platform.sensor())
        assert result.success, failures(result)
    raw = platform.lake.read("raw_prices", "eurusd")
    assert raw["event_time"].duplicated().sum() == 2
    assert list(platform.predictions().index) == [TODAY, THURSDAY, TUESDAY]


@pytest.mark.slow
def test_the_first_run_of_a_feed_that_was_corrected_before_it_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> None:
    """The first champion has seen what nobody knew at the newest bar: the next bar is the first."""
    platform = Platform(tmp_path, monkeypatch, forecasts=[SMALL])
    platform.arrive(rates, TODAY)
    assert platform.ingest().success
    platform.arrive(corrected(rates, "2018-03-26"), THURSDAY)
    assert platform.ingest("2018").success
    assert platform.retrain().success
    skipped = platform.sensor()
    assert skipped.skip_message == "Every known bar of EURUSD has its prediction."
    live(platform, corrected(rates, "2018-03-26"), TUESDAY, retrain=False)
    assert list(platform.predictions().index) == [TUESDAY]


revision = st.tuples(st.integers(-4, 7), st.integers(0, 4), st.integers(-20, 20))
"""Which bar, counted from the first live one; how many days later; and by how much."""


@pytest.mark.slow
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(revisions=st.lists(revision, max_size=8), slept=st.sets(st.integers(1, 7), max_size=4))
def test_every_bar_first_known_after_the_first_champions_data_is_predicted_exactly_once(
    started: Started,
    rates: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
    revisions: list[tuple[int, int, int]],
    slept: set[int],
) -> None:
    feed, spec = feed_spec(), forecast_spec()
    first = Lake(str(started.platform.folder / "data" / "lake"))
    lake = _copy(first, tmp_path_factory.mktemp("lake"))
    market = feed.market
    at = rates.index.get_loc(pd.Timestamp(TODAY))
    days = [day.date() for day in rates.index[at : at + 8]]
    shown = rates["USD"].iloc[at - 4 : at + 8].copy()
    history = lake.read("raw_prices", "eurusd")
    for number, day in enumerate(days):
        if number == 0 or number in slept:
            continue
        now = evening(day)
        for bar, wait, change in revisions:
            if bar + wait == number and bar <= number:
                shown.iloc[bar + 4] *= 1 + change / 10_000
        batch = pd.concat([history.tail(1)] * (number + 5), ignore_index=True)
        closes = shown.iloc[: number + 5]
        batch["event_time"] = [market.event_time(when.date()) for when in closes.index]
        batch["available_at"] = [market.available_at(when.date()) for when in closes.index]
        batch["close"] = closes.to_numpy()
        batch["ingested_at"] = pd.Timestamp(now)
        stored = as_known_at(lake.read("raw_prices", "eurusd"), now)
        lake.append("raw_prices", "eurusd", new_rows(stored, batch.astype(history.dtypes), now))
        lake.replace("prices", "eurusd", as_known_at(lake.read("raw_prices", "eurusd"), now))
        asked = days_to_predict(SeriesTables(lake, spec, feed), now)
        lake.append(
            "predictions",
            "direction",
            issue_days(asked, SeriesTables(lake, spec, feed), now).new_rows,
        )
        assert days_to_predict(SeriesTables(lake, spec, feed), now) == []
    issued = lake.read("predictions", "direction")
    awake = [number for number in range(8) if number not in slept]
    assert sorted(issued["day"]) == [str(day) for day in days[: max(awake) + 1]]
    truth = as_known_at(lake.read("raw_prices", "eurusd"), evening(days[-1]) + timedelta(days=1))
    outcomes = join_outcomes(issued, truth, spec, market)
    assert len(outcomes) == max(awake)
    assert not outcomes["event_time"].duplicated().any()
    assert np.isfinite(outcomes["loss"]).all()


def _copy(source: Lake, folder: Path) -> Lake:
    """What issuing needs of a lake: a few tables and the bundles."""
    lake = Lake(str(folder))
    for table, name in (
        ("raw_prices", "eurusd"),
        ("prices", "eurusd"),
        ("decisions", "direction"),
        ("predictions", "direction"),
    ):
        lake.append(table, name, source.read(table, name))
    for path in source.list_blobs("bundles/"):
        lake.write_blob(path, source.read_blob(path))
    return lake


@pytest.mark.slow
def test_hours_after_a_corrected_hour_are_each_predicted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = forecast_spec(
        features="ohlc",
        candidates=["persistence"],
        walk_forward={"first_test": "2000-01-01", "min_train": 200, "refit_every": 900},
        live_from=None,
    )
    platform = Platform(tmp_path, monkeypatch, feeds=[declared()], forecasts=[spec])
    path = tmp_path / "in" / "eurusd.csv"
    hours = pd.date_range("2024-03-31 08:00", periods=3, freq="h", tz="UTC")
    write(tmp_path, "1h", "2024-03-31 10:00")
    whole = pd.read_csv(path)
    whole["open"] = whole["bid"].shift(1, fill_value=whole["bid"].iloc[0])
    whole["high"] = whole[["open", "bid"]].max(axis=1) + 0.001
    whole["low"] = whole[["open", "bid"]].min(axis=1) - 0.001
    for number, hour in enumerate(hours):
        shown = whole[whole["time"] <= f"{hour:%Y-%m-%d %H:%M}"].copy()
        if number:
            shown.iloc[-3, 1] += 0.0002
        shown.to_csv(path, index=False)
        platform.travel(hour + pd.Timedelta(minutes=1))
        assert ingest(platform).success
        if not number:
            assert platform.retrain().success
        result = platform.run_requested(platform.sensor())
        assert result.success, failures(result)
    issued = platform.lake.read("predictions", "direction")["event_time"]
    assert sorted(issued) == list(hours)
    outcomes = platform.lake.read("outcomes", "direction")["event_time"]
    assert sorted(set(outcomes)) == list(hours[:-1])
