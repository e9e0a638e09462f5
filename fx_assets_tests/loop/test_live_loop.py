"""A regime changes, and a live daemon sees it, asks, judges, and serves what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fx_assets.bundles.bundle import load
from fx_assets.series.tables import SeriesTables
from fx_assets.sources.ecb import forget
from fx_assets.specs.files import load_declared
from fx_assets.stages.issue import issue_days
from fx_assets.testing.lakes.server_process import Running, serving
from fx_assets.testing.vendors.ecb_server import EcbServer, ok, running, status
from fx_assets_tests.alerting.receivers import Receiver, receiving
from fx_assets_tests.loop import world
from fx_assets_tests.loop.live import Clock, daemon
from fx_assets_tests.platform import TARGET, Platform, ecb_zip, evening, failures, metadata

HISTORY, DAILY = "/eurofxref-hist.zip", "/eurofxref-daily.xml"
LATEST = "/v1/forecasts/direction/latest"


@pytest.mark.slow
@pytest.mark.daemon
@pytest.mark.timeout(420)
def test_a_regime_change_leads_by_itself_to_a_new_champion_that_is_served(
    new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rates = new_folder(), world.rates()
    before, *_, newest, tomorrow = (
        day.date() for day in rates.index[-world.SHIFTED - 1 :].to_pydatetime()
    )
    clock = Clock(folder / "clock")
    with running() as ecb, receiving() as told:
        platform = _deployed(folder, monkeypatch, ecb, told)

        def publish(day: date) -> None:
            ecb.script(HISTORY, ok(ecb_zip(rates[: pd.Timestamp(day)])))

        with daemon(folder, clock) as live, serving(folder / "data" / "lake", folder) as server:
            publish(before)
            platform.travel(evening(before))
            _must(platform.ingest("2012"), platform.retrain())
            publish(newest)
            platform.travel(evening(newest))
            forget()
            _must(platform.ingest("2017", "2018"))
            _issued_evening_by_evening(platform, before, newest)
            _must(said := platform.predict(newest))
            champion = load(platform.lake, "direction").manifest
            assert champion.candidate == "logistic_regression"
            assert live.until(partial(_served, server, newest), "the first forecast")["value"]
            clock.set(evening(newest))
            why = server.client.get(f"{LATEST}/explanation").json()
            assert why["sentence"] == metadata(said, "direction/predictions")["why"]
            assert why["family"] == "logistic_regression"

            # The shift is seen, in the batch that was there when the daemon started.
            watched = live.finished("direction_monitor")
            assert watched.tags["dagster/sensor_name"] == "direction_is_watched"
            drift = live.checks(watched)["drift"]
            assert not drift.passed
            assert drift.severity.value == "WARN"
            assert "further from the training reference than promised" in str(drift.description)
            performance = live.checks(watched)["performance"]
            assert not performance.passed
            assert str(performance.metadata["verdict"].value) == "worse"

            # It asks for a retrain, once, and says why.
            retrained = live.finished("direction_retrain")
            assert retrained.tags["dagster/sensor_name"] == "direction_review"
            report = platform.lake.read("performance", "direction").iloc[-1]
            assert retrained.tags["dagster/run_key"] == report["as_of"].isoformat()
            assert retrained.tags["reason"] == f"{drift.description} {performance.description}"

            # The rule decides, not the report; the record says so.
            ledger = platform.lake.read("decisions", "direction").sort_values("sequence")
            assert list(ledger["verdict"]) == ["bootstrap", "replace", "demote"]
            decided = ledger.iloc[-1]
            assert decided["sentence"].startswith("Demoted logistic_regression to base_rate")
            published = load(platform.lake, "direction").manifest
            assert published.dagster_run_id == retrained.run_id
            assert published.version == decided["version"] > champion.version

            # The next bar is fetched because it is due, predicted by the new champion, and served.
            publish(tomorrow)
            clock.set(evening(tomorrow))
            caught_up = live.finished("eurusd_ingest")
            assert caught_up.tags["reason"].startswith("catch-up 1 of 3: eurusd lacks 1 bar")
            predicted = live.finished("direction_predict")
            by = {"direction_follows_prices", "direction_is_fresh"}
            assert predicted.tags["dagster/sensor_name"] in by
            row = platform.predictions().loc[tomorrow.isoformat()]
            assert row["champion_version"] == f"v{published.version}"

            answer = live.until(partial(_served, server, tomorrow), "its forecast on the server")
            assert answer["value"] == row["prediction"]
            assert answer["champion"]["name"] == "base_rate"
            assert answer["champion"]["version"] == published.version
            assert answer["skill"]["demonstrated"] is False

            now, then, *_ = server.client.get("/v1/forecasts/direction/champions").json()["reigns"]
            assert (now["champion"], now["how"], now["until"]) == ("base_rate", "demote", None)
            assert (then["champion"], then["ended"]) == ("logistic_regression", now["why"])
            assert now["why"] == decided["sentence"]

            # The regime is still there; it has been answered.
            assert len(live.runs("direction_retrain")) == 1

    # People were told of each of it, once an evening, with the run that it was.
    assert len({(alert["key"], alert["at"]) for alert in told.bodies}) == len(told.bodies)
    news = {str(alert["key"]): alert for alert in reversed(told.bodies)}
    series = platform.lake.read("decisions", "direction")["series"].iloc[-1]
    runs = {
        f"promotion:direction:{series}:1": None,
        "drift:direction": watched.run_id,
        "performance:direction": watched.run_id,
        f"demotion:direction:{series}:2": retrained.run_id,
    }
    for key, run_id in runs.items():
        assert news[key]["link"] == f"https://dagster.example/runs/{run_id}" or run_id is None
    assert news[f"demotion:direction:{series}:2"]["sentence"] == decided["sentence"]


def _issued_evening_by_evening(platform: Platform, first: date, last: date) -> None:
    """Live predictions of past evenings, without forty runs that each would take half a second."""
    (feed,), (spec,), lake = platform.feeds, platform.forecasts, platform.lake
    for day in TARGET.open_days(first, last)[:-1]:
        issued = issue_days([day], SeriesTables(lake, spec, feed), evening(day))
        assert set(issued.new_rows["mode"]) == {"live"}
        lake.insert_new("predictions", spec.name, issued.new_rows, ["event_time"])


def _deployed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ecb: EcbServer, told: Receiver
) -> Platform:
    """The declared platform, with everything that the daemon needs in the environment."""
    declarations = folder / "defs"
    world.declare(declarations)
    declared = load_declared(declarations)
    ecb.script(DAILY, status(503))
    return Platform(
        folder,
        monkeypatch,
        feeds=list(declared.feeds.values()),
        forecasts=list(declared.forecasts.values()),
        environment={
            "FX_ASSETS_DECLARED": str(declarations),
            "FX_ASSETS_ECB_HISTORY_URL": ecb.url + HISTORY,
            "FX_ASSETS_ECB_DAILY_URL": ecb.url + DAILY,
            "FX_ASSETS_SENSOR_SECONDS": "1",
            "FX_ASSETS_ALERTS_WEBHOOK_URL": told.url,
            "FX_ASSETS_DAGSTER_UI": "https://dagster.example",
        },
    )


def _served(server: Running, day: date) -> dict[str, Any] | None:
    """The newest forecast of the server, if it is of that day."""
    answer: dict[str, Any] = server.client.get(LATEST).json()
    return answer if answer.get("data", {}).get("day") == day.isoformat() else None


def _must(*results: object) -> None:
    for result in results:
        assert result.success, failures(result)  # type: ignore[attr-defined, arg-type]
