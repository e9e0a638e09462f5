"""A real Prometheus watches a real server."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pandas as pd
import pytest

from fx_assets.bundles.records import pointer_path
from fx_assets.calendars import calendar
from fx_assets.testing.lakes.served_lake import FORECAST
from fx_assets_tests.deploy import monitored
from fx_assets_tests.deploy.monitored import (
    LIVE_ROWS,
    LIVE_SKILL,
    NOW,
    SKILL,
    Monitored,
    Prometheus,
    eventually,
    needs_prometheus,
)
from fx_assets_tests.deploy.test_monitoring_files import dashboard, rules
from fx_assets_tests.homes import LAST

pytestmark = [needs_prometheus, pytest.mark.slow]
VARIABLES = {
    "$job": ".*",
    "$forecast": ".*",
    "$__rate_interval": "1m",
    "$__range": "1h",
}


def test_prometheus_finds_the_server_and_the_platform(scraped: Prometheus) -> None:
    eventually(2.0, lambda: scraped.value("sum(up)"))
    found = {t["labels"]["job"]: t["lastError"] for t in scraped.api("targets")["activeTargets"]}
    assert found == {"fx-serving": "", "fx-platform": ""}


def test_requests_and_predictions_are_counted_one_by_one(scraped: Prometheus) -> None:
    predict, latest = "/v1/forecasts/{forecast}/predict/features", "/v1/forecasts/{forecast}/latest"
    expected = {
        (predict, "200"): monitored.SUPPLIED + monitored.OUTSIDE,
        (latest, "200"): monitored.TOLD,
        (latest, "404"): monitored.UNKNOWN,
    }
    eventually(
        expected,
        lambda: {
            (labels["route"], labels["status"]): value
            for labels, value in scraped.query(
                'sum by (route, status) (fx_requests_total{route=~"/v1/.*",status!="503"})'
            )
        },
    )
    supplied = monitored.SUPPLIED + monitored.OUTSIDE
    assert scraped.value(f'fx_request_seconds_count{{route="{predict}"}}') == supplied
    assert scraped.value("fx_predicted_direction_count") == supplied
    assert scraped.value('fx_predictions_total{version="1"}') == supplied + monitored.TOLD
    assert scraped.value("fx_out_of_range_total") == monitored.OUTSIDE


def test_gauges_say_what_is_served_and_how_old_it_is(
    scraped: Prometheus, watched: Monitored
) -> None:
    eventually(1.0, lambda: scraped.value("fx_model_version"))
    published: datetime = calendar("target").available_at(watched.lake.day)  # type: ignore[arg-type]
    expected = {
        "fx_skill": SKILL,
        "fx_skill_demonstrated": 1,
        "fx_skill_knows_something": 0,
        "fx_stale": 0,
        "fx_bundle_refused": 0,
        "fx_missing_bars": 0,
        "fx_data_age_seconds": (NOW - published).total_seconds(),
        "fx_drift": 1,
        "fx_drifted_columns": 1,
        "fx_live_skill": LIVE_SKILL,
        "fx_live_outcomes": LIVE_ROWS,
        "fx_performance_alarm": 1,
    }
    found = {name: scraped.value(f'{name}{{forecast="{FORECAST}"}}') for name in expected}
    assert found == expected


def test_the_platform_tells_of_its_runs_its_data_and_its_weight(scraped: Prometheus) -> None:
    eventually(1.0, lambda: scraped.value('up{job="fx-platform"}'))
    last = pd.Timestamp("2022-01-03") + 39 * pd.offsets.BDay()
    expected = {
        'fx_platform_runs{state="queued"}': 0,
        'fx_platform_runs{state="started"}': 1,
        "fx_platform_failed_runs": 1,
        f'fx_platform_job_failing{{dagster_job="{monitored.FAILED}"}}': 1,
        "fx_platform_silent_runs": 0,
        'fx_platform_ingest_lag_seconds{feed="eur",paused="false"}': monitored.LAG,
        "fx_platform_undelivered_alerts": 1,
        "sum(fx_platform_part_failed)": 0,
    }
    assert {name: scraped.value(name) for name in expected} == expected
    overdue = len(pd.bdate_range(last, LAST)) - 1
    assert scraped.value('fx_platform_missing_bars{feed="eur"}') == pytest.approx(overdue, abs=1)
    assert scraped.value('fx_platform_data_age_seconds{feed="eur"}') > overdue * 86_400 / 2
    assert scraped.value('fx_platform_lake_bytes{folder="prices"}') > 1000
    assert scraped.value("fx_platform_records_bytes") > 1000
    assert 0 < scraped.value("time() - fx_platform_upkeep_timestamp_seconds") < 3600
    assert 0 < scraped.value('fx_platform_oldest_run_seconds{state="started"}') < 3600


def test_every_panel_of_the_dashboard_shows_something(scraped: Prometheus) -> None:
    eventually(True, lambda: scraped.value("count_over_time(fx_model_version[1m])") >= 3)
    empty = []
    targets = [t for panel in dashboard()["panels"] for t in panel.get("targets", [])]
    for expression in (target["expr"] for target in targets):
        if "fx_predicted_return" in expression or "fx_predicted_volatility" in expression:
            continue  # This lake has a direction only.
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        if not scraped.query(expression):
            empty.append(expression)
    assert empty == []


def test_every_rule_can_be_evaluated_on_real_series(scraped: Prometheus) -> None:
    def health() -> set[tuple[str, str]]:
        groups = scraped.api("rules")["groups"]
        return {(r["health"], r.get("lastError", "")) for g in groups for r in g["rules"]}

    eventually({("ok", "")}, health)
    groups = scraped.api("rules")["groups"]
    assert sum(len(group["rules"]) for group in groups) == len(rules())


def test_a_refused_bundle_raises_its_alert(scraped: Prometheus, watched: Monitored) -> None:
    lake, path = watched.lake.lake, pointer_path(FORECAST)
    pointer = lake.read_blob(path)
    altered = json.loads(pointer) | {"version": 2, "manifest_sha256": "0" * 64}
    lake.write_blob(path, json.dumps(altered).encode())
    try:
        alert = 'ALERTS{alertname="FxBundleRefused"}'
        eventually(1.0, lambda: scraped.value(alert))
        (labels, _), *_ = scraped.query(alert)
        assert labels["forecast"] == FORECAST
        assert labels["alertstate"] == "pending"
        assert re.search(r"sha256", watched.ask("/health/ready")[1].decode())
        assert scraped.value("fx_model_version") == 1
    finally:
        lake.write_blob(path, pointer)
    eventually(0.0, lambda: scraped.value("fx_bundle_refused"))
