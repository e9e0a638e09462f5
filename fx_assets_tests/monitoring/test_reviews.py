"""What an alarm leads to: one retrain, again while it fails, and silence when it was answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pandas as pd
import pytest

from fx_assets import clock
from fx_assets.assets.reviews import MOST_ATTEMPTS
from fx_assets.resources import resources
from fx_assets_tests.platform import Platform

ALARM = datetime(2040, 3, 5, 18, tzinfo=UTC)
JOB = "direction_retrain"


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose newest report raises an alarm of drift."""
    made = Platform(tmp_path, monkeypatch)
    made.travel(ALARM)
    report(made, ALARM)
    return made


def report(platform: Platform, at: datetime, **changes: object) -> None:
    """A report of drift, or another."""
    when = {"as_of": pd.Timestamp(at) - pd.Timedelta(5, "h"), "measured_at": pd.Timestamp(at)}
    said = {"drift_verdict": "drift", "features_broken": False, "alarm": False, "sentence": "Bad."}
    platform.lake.append("performance", "direction", pd.DataFrame([when | said | changes]))
    drift = when | {"column": "rsi_14", "sentence": f"Drift at {at:%Y-%m-%d}."}
    platform.lake.append("drift", "direction", pd.DataFrame([drift]))


class Review:
    """The sensor with its cursor, as the daemon evaluates it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.cursor: str | None = None

    def look(self, at: datetime) -> Any:
        """The run that is asked for then, or the reason why none is."""
        self.platform.travel(at)
        found = self.platform.definitions.resolve_sensor_def("direction_review")
        lake = {"lake": resources()["lake"]}
        with dg.build_sensor_context(
            self.platform.instance, cursor=self.cursor, resources=lake
        ) as context:
            data = found.evaluate_tick(context)
        self.cursor = data.cursor
        return data.run_requests[0] if data.run_requests else data.skip_message

    def ends(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """The run that was asked for comes to this."""
        tags = {"dagster/run_key": str(request.run_key)}
        self.platform.instance.add_run(
            dg.DagsterRun(job_name=JOB, run_id=str(uuid4()), status=status, tags=tags)
        )


def test_a_review_that_fails_is_tried_again_with_growing_pauses_and_then_told(
    platform: Platform,
) -> None:
    review, at, keys = Review(platform), ALARM, []
    for attempt, hours in enumerate((1, 2, 4, 8), start=1):
        request = review.look(at)
        assert isinstance(request, dg.RunRequest), request
        assert request.tags["reason"] == "Drift at 2040-03-05."
        keys.append(request.run_key)
        review.ends(request, dg.DagsterRunStatus.FAILURE)
        early = review.look(at + timedelta(hours=hours, seconds=-1))
        last = attempt == MOST_ATTEMPTS
        assert ("failed 4 times" if last else f"failed, attempt {attempt} of 4") in early
        at += timedelta(hours=hours)
    assert len(set(keys)) == MOST_ATTEMPTS, "a key that was used is never run again"
    assert "has been answered" in review.look(at)
    (told,) = _delivered(platform)["sentence"]
    assert "failed 4 times; no other is asked for before 2040-04-03" in told

    report(platform, ALARM + timedelta(days=1))
    assert "Cooling down until 2040-04-03" in review.look(ALARM + timedelta(days=1))
    again = review.look(ALARM + timedelta(days=29))
    assert again.tags["reason"] == "Drift at 2040-03-06."
    assert again.run_key not in keys
    assert len(_delivered(platform)) == 1


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED])
def test_a_review_that_ran_or_was_stopped_by_someone_starts_the_cool_down(
    platform: Platform, status: dg.DagsterRunStatus
) -> None:
    review = Review(platform)
    review.ends(review.look(ALARM), status)
    assert "has been answered" in review.look(ALARM + timedelta(hours=2))
    report(platform, ALARM + timedelta(days=2))
    assert "Cooling down" in review.look(ALARM + timedelta(days=27))
    assert isinstance(review.look(ALARM + timedelta(days=28)), dg.RunRequest)


def test_a_run_that_was_killed_without_a_trace_counts_as_failed(platform: Platform) -> None:
    review = Review(platform)
    review.ends(review.look(ALARM), dg.DagsterRunStatus.STARTED)
    second = review.look(ALARM + timedelta(hours=13))
    assert isinstance(second, dg.RunRequest)
    assert str(second.run_key).endswith("attempt 2")


def test_a_newer_report_gives_the_next_attempt_its_reason_and_a_decision_ends_the_matter(
    platform: Platform,
) -> None:
    review = Review(platform)
    review.ends(review.look(ALARM), dg.DagsterRunStatus.FAILURE)
    report(platform, ALARM + timedelta(days=1))
    second = review.look(ALARM + timedelta(days=1))
    assert second.tags["reason"] == "Drift at 2040-03-06."
    review.ends(second, dg.DagsterRunStatus.FAILURE)
    decided = pd.DataFrame([{"decided_at": pd.Timestamp(ALARM + timedelta(days=1, hours=1))}])
    platform.lake.append("decisions", "direction", decided)
    assert "raises no alarm" in review.look(ALARM + timedelta(days=2))


def test_a_run_in_progress_is_waited_for_whoever_started_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(clock.NOW_VARIABLE)  # runs are created by the real clock
    platform.instance.add_run(
        dg.DagsterRun(job_name=JOB, run_id=str(uuid4()), status=dg.DagsterRunStatus.STARTING)
    )
    review = Review(platform)
    assert review.look(clock.now()) == "Candidates are being judged already."
    assert review.cursor is None


@pytest.mark.parametrize(("features_broken", "asks"), [(True, False), (None, False), (False, True)])
def test_a_broken_input_asks_for_a_repair_but_strange_predictions_from_right_inputs_for_a_retrain(
    platform: Platform, features_broken: bool | None, asks: bool
) -> None:
    later = ALARM + timedelta(days=1)
    report(platform, later, drift_verdict="broken", features_broken=features_broken)
    assert isinstance(Review(platform).look(later), dg.RunRequest) is asks


def test_bad_performance_is_a_reason_too(platform: Platform) -> None:
    later = ALARM + timedelta(days=1)
    report(platform, later, drift_verdict="quiet", alarm=True, sentence="Worse than promised.")
    assert Review(platform).look(later).tags["reason"] == "Worse than promised."
    report(platform, later + timedelta(days=1), drift_verdict="quiet")
    assert "raises no alarm" in Review(platform).look(later + timedelta(days=1))


def _delivered(platform: Platform) -> pd.DataFrame:
    alerts = platform.lake.read("alerts", "platform")
    return alerts[(alerts["state"] == "delivered") & (alerts["kind"] == "run_failed")]
