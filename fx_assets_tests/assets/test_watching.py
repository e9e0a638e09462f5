"""It watches itself: drift leads to one retrain, lateness to a few attempts, people are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets import clock
from fx_assets.assets.alerting import failure_sensor
from fx_assets.assets.automation import RANGE_END, RANGE_START
from fx_assets.resources import resources
from fx_assets_tests.assets.conftest import TODAY, Started
from fx_assets_tests.platform import (
    Platform,
    failed_checks,
    failures,
    forecast_spec,
    metadata,
)

TOMORROW, AFTER_EASTER = "2018-03-29", "2018-04-03"
SHIFTED_UNTIL = "2018-05-16"
NOBODY = "http://127.0.0.1:9/alerts"


def tick(platform: Platform, name: str, cursor: str | None = None) -> Any:
    found = platform.definitions.resolve_sensor_def(name)
    lake = {"lake": resources()["lake"]}
    with dg.build_sensor_context(platform.instance, cursor=cursor, resources=lake) as context:
        return found.evaluate_tick(context)


def alerts(platform: Platform, kind: str, channel: str = "log") -> pd.DataFrame:
    rows = platform.lake.read_or_empty("alerts", "platform")
    if rows.empty:
        return rows
    return rows[
        (rows["kind"] == kind) & (rows["channel"] == channel) & (rows["state"] != "claimed")
    ]


def rising(rates: pd.DataFrame, by: float = 0.009) -> pd.DataFrame:
    """After today the mean return is one and a half standard deviations higher."""
    days_after = np.maximum(np.arange(len(rates)) - rates.index.get_loc(TODAY), 0)
    return rates.mul(np.exp(by * days_after), axis=0).round(6)


def reviewed(platform: Platform) -> dg.ExecuteInProcessResult:
    (request,) = tick(platform, "direction_is_watched").run_requests
    return platform.run("direction_monitor", request.tags)


def test_how_a_forecast_is_watched_is_no_part_of_its_recipe() -> None:
    spec = forecast_spec()
    other = forecast_spec(watching={"drift": {"window": 60}, "review_cool_down_days": 7})
    assert other.watching != spec.watching
    for candidate in spec.all_candidates:
        assert other.recipe_hash(candidate) == spec.recipe_hash(candidate)


def test_the_newest_prediction_is_explained_and_the_history_is_a_ledger(
    first_evening: Started,
) -> None:
    shown = metadata(first_evening.predict, "direction/predictions")
    assert "most of all for baseline_mean" in shown["why"]
    assert "| baseline_mean |" in shown["explanation"]
    said = first_evening.platform.predictions()["prediction"][TODAY]
    log_odds = float(shown["explanation"].splitlines()[-1].split("|")[-2])
    assert log_odds == pytest.approx(np.log(said / (1 - said)), rel=1e-3)
    history = metadata(first_evening.retrain, "direction/champion")["history"]
    assert "| base_rate | 2018-03-28 | now | bootstrap |" in history


@pytest.mark.slow
def test_a_quiet_world_raises_no_alarm_where_stock_tests_do(
    platform: Platform,
) -> None:
    assert tick(platform, "direction_is_watched").run_requests
    result = reviewed(platform)
    assert result.success, failures(result)
    assert failed_checks(result) == {}
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    figures = {name: value.value for name, value in found["drift"].metadata.items()}
    assert figures["ours"] == "no drift"
    assert figures["evidently_default"] == "drift"
    assert figures["worst_against_threshold"] < 1 < figures["columns_drifted_by_evidently"]
    shown = metadata(result, "direction/drift_report")
    page = platform.lake.read_blob("monitoring/direction/drift.html").decode()
    assert shown["report"].endswith("monitoring/direction/drift.html")
    assert shown["sentence"].split(".")[0] in page
    assert tick(platform, "direction_review").run_requests == []

    batch = tick(platform, "direction_is_watched")
    assert tick(platform, "direction_is_watched", batch.cursor).run_requests == []
    assert tick(platform, "direction_is_watched").run_requests[0].run_key == batch.cursor


@pytest.mark.slow
def test_planted_drift_asks_for_one_retrain_and_a_broken_receiver_fails_nothing(
    platform: Platform, rates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FX_ASSETS_ALERTS_WEBHOOK_URL", NOBODY)
    monkeypatch.setenv("FX_ASSETS_ALERTS_ATTEMPTS", "1")
    monkeypatch.setenv("FX_ASSETS_DAGSTER_UI", "https://dagster.example/")
    platform.arrive(rising(rates), SHIFTED_UNTIL)
    assert platform.ingest("2018").success
    assert tick(platform, "direction_is_watched").skip_message == (
        "The newest bars are being predicted from."
    )
    assert platform.run_requested(platform.sensor()).success

    result = reviewed(platform)

    assert result.success, failures(result)
    assert set(failed_checks(result)) == {"drift"}
    assert "further from the training reference than promised" in failed_checks(result)["drift"]
    newest = platform.lake.read("drift", "direction")
    assert set(newest["verdict"]) == {"drift"}
    assert newest["drifted"].any()
    assert list(alerts(platform, "drift", "webhook")["state"]) == ["failed"]
    (told,) = alerts(platform, "drift").to_dict("records")
    assert told["state"] == "delivered"
    assert told["link"] == f"https://dagster.example/runs/{result.run_id}"

    asked = tick(platform, "direction_review")
    (request,) = asked.run_requests
    assert request.tags["reason"] == newest["sentence"].iloc[0]
    assert request.run_key == newest["as_of"].iloc[0].isoformat()
    assert "has been answered" in tick(platform, "direction_review", asked.cursor).skip_message

    def answered(days_ago: int) -> str:
        at = clock.now() - timedelta(days=days_ago)
        return json.dumps({"as_of": "an earlier one", "requested_at": at.isoformat()})

    assert "Cooling down" in tick(platform, "direction_review", answered(27)).skip_message
    assert len(tick(platform, "direction_review", answered(28)).run_requests) == 1
    running = dg.DagsterRun(
        job_name="direction_retrain",
        run_id="11111111-1111-4111-8111-111111111111",
        status=dg.DagsterRunStatus.STARTED,
    )
    platform.instance.add_run(running)
    for answer in (
        tick(platform, "direction_review").skip_message,
        platform.tick("direction_retrain", "2018-05-19T18:00+02:00").skip_message,
    ):
        assert answer == "Candidates are being judged already."
    platform.instance.delete_run(running.run_id)

    platform.travel(clock.now() + timedelta(hours=1))
    result = platform.run("direction_retrain", request.tags)
    assert result.success, failures(result)
    ledger = platform.lake.read("decisions", "direction").sort_values("sequence")
    assert ledger["verdict"].iloc[-1] in {"keep", "refresh"}
    assert set(ledger["champion"]) == {"base_rate"}
    assert tick(platform, "direction_review").run_requests == [], "the decision answered it"


@pytest.mark.slow
def test_a_broken_feature_is_named_and_no_model_is_judged_on_it(platform: Platform) -> None:
    lake = platform.lake
    broken = lake.read("features", "eurusd.fx_close").sort_values("event_time", ignore_index=True)
    broken.loc[broken.index[-20:], "return_5"] *= -1
    lake.replace("features", "eurusd.fx_close", broken)
    result = platform.run("direction_monitor")
    assert result.success, failures(result)
    assert "return_5 has the wrong sign" in failed_checks(result)["broken_features"]
    assert platform.lake.read("performance", "direction")["drift_verdict"].iloc[0] == "broken"
    assert tick(platform, "direction_review").run_requests == []
    assert len(alerts(platform, "drift")) >= 1


@pytest.mark.slow
def test_a_holiday_is_quiet_and_a_missed_fixing_is_tried_three_times_then_recovers(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.arrive(rates, TOMORROW)
    assert platform.ingest("2018").success
    platform.travel("2018-03-30T18:00:00+00:00")
    quiet = tick(platform, "eurusd_is_fresh")
    assert quiet.run_requests == []
    assert "Closed today: Good Friday" in quiet.skip_message
    platform.travel(f"{AFTER_EASTER}T15:00:00+00:00")
    assert "not overdue yet" in tick(platform, "eurusd_is_fresh", quiet.cursor).skip_message

    cursor, keys = quiet.cursor, []
    for at in ("16:00", "16:15", "16:30", "16:45", "17:30", "20:00", "22:00"):
        platform.travel(f"{AFTER_EASTER}T{at}:00+00:00")
        answer = tick(platform, "eurusd_is_fresh", cursor)
        cursor = answer.cursor
        keys += [(at, request.run_key) for request in answer.run_requests]
    outage = f"stale:feed:eurusd:{AFTER_EASTER}"
    assert keys == [
        (at, f"{outage} attempt {n}") for n, at in enumerate(("16:00", "16:30", "17:30"), start=1)
    ]
    (told,) = alerts(platform, "stale").to_dict("records")
    assert AFTER_EASTER in told["sentence"]
    assert "is the schedule on?" in told["sentence"]

    platform.arrive(rates, AFTER_EASTER)
    platform.travel(f"{AFTER_EASTER}T22:05:00+00:00")
    assert platform.ingest("2018").success
    for _ in range(2):
        answer = tick(platform, "eurusd_is_fresh", cursor)
        cursor = answer.cursor
        assert answer.run_requests == []
    (said,) = alerts(platform, "recovered")["sentence"]
    assert f"{AFTER_EASTER} is there" in said


def test_a_catch_up_run_fetches_the_years_in_which_bars_are_missing(platform: Platform) -> None:
    platform.travel(f"{TOMORROW}T18:00:00+00:00")
    (request,) = tick(platform, "eurusd_is_fresh").run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2018", "2018")
    assert request.tags["reason"].startswith("catch-up 1 of 3: eurusd lacks 1 bar")


def test_overdue_predictions_are_issued_again_and_their_feed_is_named_where_it_is_late(
    platform: Platform, rates: pd.DataFrame
) -> None:
    platform.travel(f"{TOMORROW}T18:00:00+00:00")
    late = tick(platform, "direction_is_fresh")
    assert late.run_requests == []
    assert "eurusd lacks 1 bar" in late.skip_message
    assert alerts(platform, "stale").empty, "that is for the feed's sensor to tell"
    platform.arrive(rates, TOMORROW)
    assert platform.ingest("2018").success
    (request,) = tick(platform, "direction_is_fresh", late.cursor).run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (TOMORROW, TOMORROW)
    (told,) = alerts(platform, "stale").to_dict("records")
    assert told["subject"] == "direction"
    assert "is the sensor on?" in told["sentence"]
    assert platform.run("direction_predict", request.tags).success
    assert tick(platform, "direction_is_fresh").run_requests == []


@pytest.mark.slow
def test_failed_runs_and_refused_batches_are_told_of_once(
    platform: Platform, rates: pd.DataFrame
) -> None:
    def tell(result: dg.ExecuteInProcessResult) -> None:
        run = platform.instance.get_run_by_id(result.run_id)
        failed = next(
            event
            for event in result.all_events
            if event.event_type is dg.DagsterEventType.RUN_FAILURE
        )
        context = dg.build_run_status_sensor_context(
            "failed_runs", failed, platform.instance, run, resources={"lake": resources()["lake"]}
        ).for_run_failure()
        failure_sensor()(context)

    for _ in range(2):
        tell(platform.predict("2018-03-26", "2018-03-27"))
    (told,) = alerts(platform, "run_failed").to_dict("records")
    assert told["subject"] == "direction_predict"
    assert "2018-03-26 has no prediction" in told["sentence"]

    def times_hundred(lines: list[str]) -> list[str]:
        newest = 100 * float(lines[1].split(",")[1])
        return [lines[0], f"{TOMORROW},{newest},", *lines[2:]]

    platform.arrive(rates, TOMORROW, times_hundred)
    for _ in range(2):
        tell(platform.ingest("2018"))
    assert len(alerts(platform, "run_failed")) == 1
    (refused,) = alerts(platform, "gate_failed").to_dict("records")
    assert "scale_errors" in refused["sentence"]
    late = tick(platform, "eurusd_is_fresh")
    assert json.loads(late.cursor)["verdict"]["cause"] == "gate_failed"
