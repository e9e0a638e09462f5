"""A million one-minute bars through ingestion and features, and the first build of an hourly
forecast on 50,000 bars, by real Dagster runs in a temporary folder.

Each stage is a process of its own: its wall time and CPU seconds without the start-up, and the
largest resident size of the whole process. Bars are simulated. Read CPU seconds where the machine
does other work: the load average is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from fx_assets.settings import PACKAGED_DECLARATIONS
from fx_assets.specs.files import load_declared

START = datetime(2021, 1, 1, tzinfo=UTC)
LATER = timedelta(seconds=30)
LIMIT = 90.0
"""Seconds for the first build of the hourly forecast on two free cores."""
SOURCE = {"kind": "simulated", "instrument": "BTCUSD", "price": 30_000, "annual_volatility": 0.6}
DECLARED = "btcusd_hourly_return"
BAR = {"minutes": timedelta(minutes=1), DECLARED: timedelta(hours=1)}
"""By forecast."""
TABLES = {
    "ingest": "prices",
    "features": "features",
    "retrain": "backtest",
    "predict": "predictions",
}
"""What each stage fills."""


@dataclass(frozen=True)
class Stage:
    """Assets that are materialized in one run."""

    name: str
    what: str
    """``ingest``, ``features``, ``retrain`` or ``predict``."""
    forecast: str
    bars: int
    """Bars that are known then."""


def declare(folder: Path, bars: Mapping[str, int]) -> None:
    """A feed of minutes and one of hours, and a forecast of each.

    Where ``bars`` end before their forecast would be tested, it is tested on their second half.
    """
    packaged = load_declared(PACKAGED_DECLARATIONS).forecasts[DECLARED]
    text = (PACKAGED_DECLARATIONS / "forecasts" / DECLARED / "defs.yaml").read_text()
    hourly = yaml.safe_load(text)["attributes"]
    minutes: dict[str, Any] = {
        "name": "minutes",
        "feed": "btcusd_minutes",
        "target": {"kind": "return"},
        "features": packaged.features,
        "candidates": ["historical_mean"],
        "walk_forward": {"first_test": "2021-06-01", "refit_every": 200_000},
        "live_from": "2022-01-01",
    }
    for forecast in (minutes, hourly):
        name, settings = forecast["name"], forecast["walk_forward"]
        half = f"{START + bars[name] // 2 * BAR[name]:%Y-%m-%d}"
        if bars[name] and half < settings["first_test"]:
            settings |= {"first_test": half, "min_train": bars[name] // 8}
    feed: dict[str, Any] = {"source": SOURCE, "calendar": "24x7", "start": f"{START:%Y-%m-%d}"}
    for kind, attributes in (
        ("PriceFeed", feed | {"name": "btcusd_minutes", "frequency": "1min"}),
        ("PriceFeed", feed | {"name": packaged.feed, "frequency": "1h"}),
        ("Forecast", minutes),
        ("Forecast", hourly),
    ):
        place = folder / attributes["name"]
        place.mkdir(parents=True)
        document = {"type": f"fx_assets.components.{kind}", "attributes": attributes}
        (place / "defs.yaml").write_text(yaml.safe_dump(document))


def carry_out(stage: Stage) -> dict[str, Any]:
    """Run the stage in this process; its figures."""
    import dagster as dg

    from fx_assets import clock
    from fx_assets.assets.automation import range_tags
    from fx_assets.assets.display import features_key
    from fx_assets.assets.prices import partitions_to_ingest
    from fx_assets.components.forecast import forecast_definitions
    from fx_assets.components.price_feed import feed_definitions
    from fx_assets.lake import Lake
    from fx_assets.resources import resources
    from fx_assets.settings import Settings
    from fx_assets.tables import features_name

    declared = load_declared(Settings().declared_folder)
    spec, feed = declared.forecasts[stage.forecast], declared.feed_of(stage.forecast)
    definitions = dg.Definitions.merge(
        feed_definitions(feed, [spec]),
        forecast_definitions(spec, feed),
        dg.Definitions(resources=resources(), executor=dg.in_process_executor),
    )
    lake, now = Lake.from_settings(Settings()), clock.now()
    tags, keys = {}, None
    chosen = definitions.resolve_implicit_global_asset_job_def()
    if stage.what == "ingest":
        parts = partitions_to_ingest(lake, feed, now)
        chosen = definitions.resolve_job_def(f"{feed.name}_ingest")
        tags = range_tags(parts[0], parts[-1])
    elif stage.what == "features":
        keys = [features_key(feed.name, spec.features)]
    else:
        chosen = definitions.resolve_job_def(f"{spec.name}_{stage.what}")
    if stage.what == "predict":
        day = feed.market.bar_day(now - LATER).isoformat()
        tags = range_tags(day, day)
    wall, cpu = time.perf_counter(), _cpu()
    chosen.execute_in_process(tags=tags, asset_selection=keys, raise_on_error=True)
    took = {"seconds": time.perf_counter() - wall, "cpu": _cpu() - cpu}
    table, name = TABLES[stage.what], feed.name if stage.what == "ingest" else spec.name
    if stage.what == "features":
        name = features_name(feed.name, spec.features)
    rows = len(lake.read(table, name, columns=["event_time"]))
    return took | {"rows": rows, "table": table}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(stage: Stage, folder: Path) -> dict[str, Any]:
    """Run the stage in a process of its own."""
    environment = {
        **os.environ,
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_DECLARED": str(folder / "defs"),
        "FX_ASSETS_NOW": (START + stage.bars * BAR[stage.forecast] + LATER).isoformat(),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    answer = folder / f"{stage.forecast}-{stage.name.replace(' ', '-')}.json"
    command = [sys.executable, __file__, "--stage", json.dumps(stage.__dict__), str(answer)]
    log = answer.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{stage} failed, status {status}:\n{log.read_text()[-4000:]}")
    figures: dict[str, Any] = json.loads(answer.read_text())
    return figures | {"peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=1_000_000, help="one-minute bars")
    parser.add_argument("--hours", type=int, default=50_000, help="hourly bars")
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        Path(given.stage[1]).write_text(json.dumps(carry_out(Stage(**json.loads(given.stage[0])))))
        os._exit(0)  # native threads may abort a process that ends in good order
    stages, known = [], {"minutes": given.minutes, DECLARED: given.hours}
    for forecast, bars in known.items():
        if not bars:
            continue
        stages += [
            Stage("ingest", "ingest", forecast, bars),
            Stage("features", "features", forecast, bars),
            Stage("first build", "retrain", forecast, bars),
            Stage("prediction", "predict", forecast, bars),
            Stage("one more bar", "ingest", forecast, bars + 1),
            Stage("its prediction", "predict", forecast, bars + 1),
        ]
    print("| bars of | stage | rows | seconds | CPU seconds | peak MB | load |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        declare(folder / "defs", known)
        for stage in stages:
            found = measure(stage, folder)
            print(
                f"| {'1 min' if stage.forecast == 'minutes' else '1 h'} | {stage.name} "
                f"| {found['rows']:,} {found['table']} | {found['seconds']:.1f} "
                f"| {found['cpu']:.1f} | {found['peak_mb']:.0f} | {os.getloadavg()[0]:.1f} |",
                flush=True,
            )
            if (stage.what, stage.forecast) == ("retrain", DECLARED) and found["cpu"] > 2 * LIMIT:
                print(f"The first build takes more than {LIMIT:g} s on two cores.")


if __name__ == "__main__":
    main()
