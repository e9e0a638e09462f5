"""What the schedules and sensors ask for, and when they keep quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.assets.automation import RANGE_END, RANGE_START
from fx_assets.calendars import calendar
from fx_assets.series.tables import SeriesTables
from fx_assets.stages.due import retrain_reason
from fx_assets.tables import RAW_PRICES
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.platform import Platform, evening, failed_checks, failures

TARGET = calendar("target")


def asked_range(request: object) -> tuple[str, str]:
    assert isinstance(request, dg.RunRequest), request
    return request.tags[RANGE_START], request.tags[RANGE_END]


def skipped(answer: object) -> str:
    assert isinstance(answer, dg.SkipReason), answer
    return str(answer.skip_message)


def test_on_an_open_day_new_bars_are_asked_for_from_the_last_stored_year_on(
    platform: Platform,
) -> None:
    platform.travel(evening("2018-03-29"))
    assert asked_range(platform.tick("eurusd_ingest", "2018-03-29T16:10+02:00")) == ("2018", "2018")
    platform.travel(evening("2019-01-02"))
    assert asked_range(platform.tick("eurusd_ingest", "2019-01-02T16:10+01:00")) == ("2018", "2019")


def test_on_a_holiday_the_ingestion_is_skipped_by_its_name(platform: Platform) -> None:
    for at, name in {
        "2018-03-30T16:10+02:00": "Good Friday",
        "2018-05-01T16:10+02:00": "1 May (Labour Day)",
    }.items():
        assert "EURUSD has no new bar" in skipped(platform.tick("eurusd_ingest", at))
        assert name.split()[-1].strip("()") in skipped(platform.tick("eurusd_ingest", at))


def test_on_an_empty_lake_everything_is_asked_for_and_no_forecast_is_trained(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(new_folder(), monkeypatch)
    platform.travel(evening(TODAY))
    request = platform.tick("eurusd_ingest", f"{TODAY}T16:10+02:00")
    assert asked_range(request) == ("2014", "2018")
    for answer in (
        platform.sensor(),
        platform.tick("direction_retrain", "2018-03-31T18:00+02:00"),
    ):
        assert skipped(answer) == "There are no prices of EURUSD yet."


def test_two_ticks_of_a_schedule_are_two_runs_and_the_same_tick_is_one(platform: Platform) -> None:
    first, again, later = (
        platform.tick("eurusd_ingest", at)
        for at in ("2018-03-29T16:10+02:00", "2018-03-29T16:10+02:00", "2018-04-03T16:10+02:00")
    )
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert isinstance(later, dg.RunRequest)
    assert first.run_key == again.run_key != later.run_key


@pytest.mark.slow
def test_the_weekly_look_is_skipped_when_nothing_is_new(
    platform: Platform, rates: pd.DataFrame
) -> None:
    at = "2018-03-31T18:00+02:00"
    assert skipped(platform.tick("direction_retrain", at)) == "Nothing new since the last decision."
    platform.arrive(rates, "2018-04-06")
    platform.ingest("2018")
    request = platform.tick("direction_retrain", "2018-04-07T18:00+02:00")
    assert isinstance(request, dg.RunRequest)
    assert request.tags["reason"] == "the last decision knew bars until 2018-03-28 only"


@pytest.mark.parametrize(
    ("cron", "since"),
    [
        ("0 * * * *", "2018-03-28T21:00"),
        pytest.param("@daily", "2018-03-29T00:00", marks=pytest.mark.slow),
        pytest.param("0 19 * * 1-5", "2018-03-29T19:00", marks=pytest.mark.slow),
        pytest.param("0 18 * * 6", "2018-03-31T18:00", marks=pytest.mark.slow),
        pytest.param("0 6 1 * *", "2018-04-01T06:00", marks=pytest.mark.slow),
    ],
)
def test_new_bars_are_judged_once_the_setting_says_so(
    platform: Platform, rates: pd.DataFrame, cron: str, since: str
) -> None:
    platform.arrive(rates, "2018-03-29")
    platform.ingest("2018")
    spec = platform.forecasts[0].model_copy(update={"retrain_cron": cron})
    tick = pd.Timestamp(since, tz="Europe/Berlin")

    def reason(after: str) -> str | None:
        now = (tick + pd.Timedelta(after)).to_pydatetime()
        return retrain_reason(SeriesTables(platform.lake, spec, platform.feeds[0]), now)

    assert reason("-1s") is None
    assert "knew bars until 2018-03-28 only" in str(reason("0s"))
    assert reason("0s") == reason("1min")


def test_a_candidate_that_is_new_or_changed_is_a_reason_to_look(platform: Platform) -> None:
    declared = platform.forecasts[0].model_dump()
    declared["candidates"][1]["params"] = {"C": 0.5}
    platform.forecasts[0] = platform.forecasts[0].model_validate(declared)
    platform.reload()
    request = platform.tick("direction_retrain", "2018-03-31T18:00+02:00")
    assert isinstance(request, dg.RunRequest)
    assert "logistic_regression has not been judged as it is" in request.tags["reason"]


def test_before_the_first_champion_the_sensor_asks_for_one_once_a_version_of_prices(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> None:
    platform = Platform(new_folder(), monkeypatch)
    keys = []
    for day in (TODAY, "2018-03-29"):
        platform.arrive(rates, day)
        assert platform.ingest().success
        request, again = platform.sensor(), platform.sensor()
        assert isinstance(request, dg.RunRequest)
        assert isinstance(again, dg.RunRequest)
        assert request.job_name == "direction_retrain"
        assert request.run_key == again.run_key
        keys.append(request.run_key)
    assert len(set(keys)) == 2, "a first attempt that failed would never be repeated"


@pytest.mark.slow
def test_no_other_champion_is_asked_for_while_the_first_is_being_decided_on(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> None:
    platform = Platform(new_folder(), monkeypatch)
    platform.arrive(rates, TODAY)
    assert platform.ingest().success
    job = platform.definitions.resolve_job_def("direction_retrain")
    run = platform.instance.create_run_for_job(job)
    begun = dg.DagsterEvent("PIPELINE_START", job.name, message="begun")
    platform.instance.report_dagster_event(begun, run.run_id)
    assert isinstance(platform.sensor(), dg.SkipReason)


def test_the_sensor_asks_for_the_same_days_of_the_same_prices_once(
    platform: Platform, rates: pd.DataFrame
) -> None:
    keys = []
    for day in ("2018-03-29", "2018-04-03"):
        platform.arrive(rates, day)
        platform.ingest("2018")
        request, again = platform.sensor(), platform.sensor()
        assert isinstance(request, dg.RunRequest)
        assert isinstance(again, dg.RunRequest)
        assert request.run_key == again.run_key
        keys.append(request.run_key)
    assert len(set(keys)) == 2


@pytest.mark.parametrize(("setting", "status"), [("true", "RUNNING"), ("false", "STOPPED")])
def test_one_setting_starts_or_stops_all_automation(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, setting: str, status: str
) -> None:
    monkeypatch.setenv("FX_ASSETS_AUTOMATION", setting)
    platform.reload()
    automation = [
        platform.definitions.resolve_schedule_def("eurusd_ingest"),
        platform.definitions.resolve_schedule_def("direction_retrain"),
        platform.definitions.resolve_schedule_def("compaction"),
        platform.definitions.resolve_sensor_def("direction_follows_prices"),
    ]
    assert {found.default_status.value for found in automation} == {status}


def test_bars_are_fetched_after_publication_in_summer_and_winter(platform: Platform) -> None:
    schedule = platform.definitions.resolve_schedule_def("eurusd_ingest")
    assert schedule.execution_timezone == "Europe/Berlin"
    minute, hours = str(schedule.cron_schedule).split()[:2]
    first = timedelta(hours=int(hours.split(",")[0]), minutes=int(minute))
    for day in (date(2026, 1, 15), date(2026, 7, 15), date(2026, 3, 30), date(2026, 10, 26)):
        midnight = datetime.combine(day, datetime.min.time(), tzinfo=TARGET.timezone)
        wait = midnight + first - TARGET.available_at(day)
        assert timedelta(0) < wait < timedelta(hours=1)


@pytest.mark.slow
def test_compaction_keeps_every_row_and_every_version(
    platform: Platform, rates: pd.DataFrame
) -> None:
    for day in ("2018-03-29", "2018-04-03", "2018-04-04"):
        platform.arrive(rates, day)
        platform.ingest("2018")
    rows = [*RAW_PRICES.key, "ingested_at"]
    before = platform.lake.read("raw_prices", "eurusd").sort_values(rows, ignore_index=True)
    old = platform.versions()["raw_prices/eurusd"]

    result = platform.run("compaction")

    assert result.success, failures(result)
    lake = platform.lake
    assert lake.version("raw_prices", "eurusd") == old + 1
    after = lake.read("raw_prices", "eurusd").sort_values(rows, ignore_index=True)
    pd.testing.assert_frame_equal(after, before)
    assert len(lake.read("raw_prices", "eurusd", version=0)) == len(rates[:TODAY])
    for run in (lambda: platform.predict(TODAY, "2018-04-04"), platform.retrain):
        result = run()
        assert result.success, failures(result)
        assert not failed_checks(result)
    assert len(platform.predictions()) == 4
