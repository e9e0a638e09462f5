"""Hours of one hourly forecast on five years of bars: what they add to lake and records.

usage: python -m benchmarks.year [--hours 500] [--years 5]

Every hour is a real ingest and predict run on SQLite, every day a look at drift; compaction is run
every week, a retrain every four. What a year adds is told from the hours after the first week.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

DECLARED = {
    "feeds/coin": """\
type: fx_assets.components.PriceFeed
attributes:
  name: coin
  source: {{kind: simulated, seed: 7}}
  calendar: 24x7
  frequency: 1h
  start: {start}
""",
    "forecasts/coin_up": """\
type: fx_assets.components.Forecast
attributes:
  name: coin_up
  feed: coin
  target: {{kind: direction}}
  features: ohlc
  candidates: [persistence]
  walk_forward: {{first_test: {test}, min_train: 2000, refit_every: 8760}}
  live_from: {live}
""",
}
NOW = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
WEEK, HOURS_A_YEAR = 168, 8760
QUIET = {"loggers": {"progress": {}}}
LEAST = 48
"""Hours without which nothing can be said."""


@dataclass
class Seen:
    """What was measured hour by hour."""

    seconds: list[float] = field(default_factory=list)
    bytes: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.year", description=__doc__)
    parser.add_argument("--hours", type=int, default=500)
    parser.add_argument("--years", type=float, default=5.0, help="of bars before the first hour")
    parser.add_argument("--keep", type=Path, help="a new folder that everything stays in")
    asked = parser.parse_args()
    if asked.hours < LEAST:
        parser.error(f"--hours: at least {LEAST}")
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="fx-year-"))
    try:
        declare(folder, timedelta(days=365 * asked.years))
        return tell(live(folder, asked.hours), asked.hours)
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)


def declare(folder: Path, past: timedelta) -> None:
    start = (NOW - past).date()
    days = {"start": start, "test": start + 0.5 * past, "live": NOW.date() - timedelta(days=1)}
    for path, text in DECLARED.items():
        file = folder / "defs" / path / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text.format(**days))
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ |= {
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_DECLARED": "defs",
        "DAGSTER_HOME": str(folder),
        "FX_ASSETS_NOW": NOW.isoformat(),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def live(folder: Path, hours: int) -> Seen:
    """One hour after the other, as a daemon would ask for them."""
    import dagster as dg

    from fx_assets.assets.automation import range_tags
    from fx_assets.assets.records import thin_out
    from fx_assets.definitions import defs

    warnings.simplefilter("ignore")
    definitions, seen = defs(), Seen()
    with dg.DagsterInstance.get() as instance:

        def run(job: str, tags: dict[str, str] | None = None) -> None:
            result = definitions.resolve_job_def(job).execute_in_process(
                run_config=QUIET, instance=instance, tags=tags, raise_on_error=True
            )
            assert result.success

        parts = _months()
        run("coin_ingest", range_tags(parts[0], parts[-1]))
        run("coin_up_retrain")
        for hour in range(hours):
            now = NOW + timedelta(hours=hour)
            os.environ["FX_ASSETS_NOW"] = now.isoformat()
            began = time.monotonic()
            run("coin_ingest", range_tags(f"{now:%Y-%m}", f"{now:%Y-%m}"))
            run("coin_up_predict", range_tags(f"{now:%Y-%m-%d}", f"{now:%Y-%m-%d}"))
            seen.seconds.append(time.monotonic() - began)
            if hour % 24 == 23:
                run("coin_up_monitor")
            if hour % (4 * WEEK) == 4 * WEEK - 1:
                run("coin_up_retrain")
            if hour % WEEK == WEEK - 1:
                run("compaction")
            thin_out(instance)
            for part, size in sizes(folder):
                seen.bytes[part].append(size)
    return seen


def _months() -> list[str]:
    from fx_assets.assets.prices import partitions_to_ingest
    from fx_assets.components.declared import declared
    from fx_assets.lake import Lake
    from fx_assets.settings import Settings

    return partitions_to_ingest(Lake.from_settings(Settings()), declared().feeds["coin"], NOW)


def sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Bytes on disk by part."""
    lake = folder / "data" / "lake"
    for part in sorted(path for path in lake.iterdir() if path.is_dir()):
        yield f"lake: {part.name}", _size(part)
    for name in ("history", "schedules", "storage"):
        yield f"records: {name}", _size(folder / name)
    yield "records: mlflow", _size(folder / "data" / "mlflow.db")
    yield "mlflow artifacts", _size(folder / "data" / "mlflow-artifacts")
    yield "cache", _size(folder / "data" / "cache")


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def tell(seen: Seen, hours: int) -> int:
    """Print what was measured; 1 where it is more than is promised."""
    warm = min(hours // 4, WEEK)
    print(f"{'part':<24}{'MB at the end':>14}{'kB an hour':>12}{'MB a year':>12}")
    grown: defaultdict[str, float] = defaultdict(float)
    for part, found in sorted(seen.bytes.items()):
        hourly = (found[-1] - found[warm]) / (len(found) - 1 - warm)
        grown[part.partition(":")[0]] += hourly
        year = hourly * HOURS_A_YEAR / 1e6
        print(f"{part:<24}{found[-1] / 1e6:>14.2f}{hourly / 1e3:>12.1f}{year:>12.1f}")
    tenth = max(10, hours // 10)
    start, end = (statistics.median(s) for s in (seen.seconds[:tenth], seen.seconds[-tenth:]))
    lake = grown["lake"] * HOURS_A_YEAR / 1e9
    print(
        f"\n{hours} hours: lake {lake:.2f} GB a year (at most 2), records "
        f"{grown['records'] / 1e3:.1f} kB an hour (at most 60), an hour's update "
        f"{start:.2f} s at the start and {end:.2f} s at the end ({end / start:.2f} times)"
    )
    return 0 if lake <= 2 and grown["records"] <= 60e3 else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
