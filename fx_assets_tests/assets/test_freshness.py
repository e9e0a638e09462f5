"""Dagster shows whether the newest bar is there, however lately somebody looked for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets.resources import resources
from fx_assets_tests.assets.conftest import TODAY
from fx_assets_tests.platform import Platform, failed_checks, feed_spec, metadata

HOURLY = {
    "name": "hourly",
    "source": {"kind": "simulated", "instrument": "AAABBB", "seed": 1},
    "calendar": "24x5",
    "frequency": "1h",
    "start": "2024-03-01",
}
FRIDAYS_LAST, SUNDAY = "2024-03-22T22:30:00+00:00", "2024-03-24T12:00:00+00:00"


def shown(platform: Platform, asset: str) -> tuple[bool, str]:
    """What the asset's page says of the check: passed, and the sentence."""
    key = dg.AssetCheckKey(dg.AssetKey(asset.split("/")), "fresh")
    storage = platform.instance.event_log_storage
    record = storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    found = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    return found.passed, str(found.description)


def severity(platform: Platform, asset: str) -> dg.AssetCheckSeverity:
    """Of what the page says."""
    key = dg.AssetCheckKey(dg.AssetKey(asset.split("/")), "fresh")
    storage = platform.instance.event_log_storage
    record = storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    found = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
    assert found.severity
    return found.severity


def look(platform: Platform, sensor: str, cursor: str | None = None) -> str | None:
    """Let the sensor look, and store what it has to show as the daemon does; its new cursor."""
    found = platform.definitions.resolve_sensor_def(sensor)
    lake = {"lake": resources()["lake"]}
    with dg.build_sensor_context(platform.instance, cursor=cursor, resources=lake) as context:
        answer = found.evaluate_tick(context)
    for event in answer.asset_events:
        platform.instance.report_runless_asset_event(event)
    return answer.cursor


def test_an_ingest_that_brings_nothing_leaves_the_prices_late(
    platform: Platform, rates: pd.DataFrame
) -> None:
    for sensor, asset in (("eurusd", "eurusd/prices"), ("direction", "direction/predictions")):
        look(platform, f"{sensor}_is_fresh")
        assert shown(platform, asset)[0]
    late = rates.index[rates.index.get_loc(TODAY) + 20].date()
    platform.travel(f"{late}T18:00:00+00:00")
    result = platform.ingest("2018")
    assert result.success
    said = failed_checks(result)["fresh"]
    assert said.startswith("eurusd lacks 20 bars")
    assert shown(platform, "eurusd/prices") == (False, said)
    assert severity(platform, "eurusd/prices") is dg.AssetCheckSeverity.WARN
    graph = platform.definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert graph.get(key).freshness_policy is None, "which would count the run as an update"
    platform.arrive(rates, late)
    assert not failed_checks(platform.ingest("2018")).get("fresh")
    assert shown(platform, "eurusd/prices")[0]
    look(platform, "direction_is_fresh")
    passed, said = shown(platform, "direction/predictions")
    assert not passed
    assert "lacks 20 predictions" in said


def test_a_bar_becomes_late_without_a_run_and_easter_does_not(platform: Platform) -> None:
    cursor = look(platform, "eurusd_is_fresh")
    platform.travel("2018-03-29T18:00:00+00:00")
    cursor = look(platform, "eurusd_is_fresh", cursor)
    assert shown(platform, "eurusd/prices")[0] is False
    assert severity(platform, "eurusd/prices") is dg.AssetCheckSeverity.WARN
    before = platform.instance.event_log_storage.get_maximum_record_id()
    for day in ("2018-03-30", "2018-04-01", "2018-04-02"):
        platform.travel(f"{day}T18:00:00+00:00")
        cursor = look(platform, "eurusd_is_fresh", cursor)
    assert platform.instance.event_log_storage.get_maximum_record_id() == before
    assert "lacks 1 bar " in shown(platform, "eurusd/prices")[1]


@pytest.mark.slow
def test_fridays_last_hour_is_fresh_on_sunday_and_late_on_monday(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = feed_spec(**HOURLY)
    platform = Platform(tmp_path, monkeypatch, feeds=[feed], forecasts=[], persistent=True)
    platform.travel(FRIDAYS_LAST)
    assert platform.ingest("2024-03", "2024-03", feed="hourly").success
    platform.travel(SUNDAY)
    assert not failed_checks(platform.ingest("2024-03", "2024-03", feed="hourly")).get("fresh")
    assert shown(platform, "hourly/prices")[0]
    newest = platform.lake.read("prices", "hourly")["event_time"].max().to_pydatetime()
    monday = datetime(2024, 3, 25, tzinfo=UTC) + timedelta(hours=20)
    platform.travel(monday)
    look(platform, "hourly_is_fresh")
    passed, said = shown(platform, "hourly/prices")
    assert not passed
    due = feed.market.closes(newest.date(), monday.date())
    grace = timedelta(minutes=feed.freshness.grace_minutes)
    overdue = [
        at
        for at in pd.DatetimeIndex(due).tz_localize("UTC")
        if at > newest and feed.market.publication(at.to_pydatetime()) + grace <= monday
    ]
    assert f"lacks {len(overdue)} bars" in said


def test_a_hole_in_the_past_is_told_and_the_present_is_fresh(platform: Platform) -> None:
    prices = platform.lake.read("prices", "eurusd").sort_values("event_time")
    platform.lake.replace("prices", "eurusd", prices.drop(prices.index[-100]))
    look(platform, "eurusd_is_fresh")
    passed, said = shown(platform, "eurusd/prices")
    assert passed
    assert "lacks 1 bar " in said


def test_the_check_says_when_the_next_bar_is_late(platform: Platform) -> None:
    result = platform.ingest("2018")
    (check,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "fresh"]
    said = {name: value.value for name, value in check.metadata.items()}
    assert said["missing"] == 0
    assert datetime.fromtimestamp(said["newest"], UTC).date().isoformat() == TODAY
    assert said["newest"] < said["judged_at"] < said["next_is_late_after"]
    assert metadata(result, "eurusd/prices")
