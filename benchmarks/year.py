"""Hours of one hourly forecast on five years of bars: what they add to lake and records.

usage: python -m benchmarks.year [--hours 500] [--years 5]

Every hour is a real ingest and predict run on SQLite, every day a look at drift and compaction,
every week a retrain. What a year adds is told from the hours after the first ones. Versions are as
old as the machine's clock says, so old ones are deleted at the end, all at once: what is gone then
would have stayed for 30 days, what is left stays for good.
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
WEEK, HOURS_KEPT, HOURS_A_YEAR = 168, 720, 8760
QUIET = {"loggers": {"progress": {}}}
LEAST = 48
"""Hours without which nothing can be said."""


@dataclass
class Seen:
    """What was measured hour by hour."""

    seconds: list[float] = field(default_factory=list)
    """Of the processor, an update."""
    bytes: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    left: dict[str, int] = field(default_factory=dict)
    """Bytes of each part when old versions are gone."""
    named: int = 0
    """Versions that something was made from, all of which can be read then."""


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
            began = time.process_time()
            run("coin_ingest", range_tags(f"{now:%Y-%m}", f"{now:%Y-%m}"))
            run("coin_up_predict", range_tags(f"{now:%Y-%m-%d}", f"{now:%Y-%m-%d}"))
            seen.seconds.append(time.process_time() - began)
            if hour % 24 == 23:
                run("coin_up_monitor")
                run("compaction")
            if hour % WEEK == WEEK - 1:
                run("coin_up_retrain")
            thin_out(instance)
            for part, size in sizes(folder):
                seen.bytes[part].append(size)
    seen.named = tidied()
    seen.left = dict(sizes(folder))
    return seen


def tidied() -> int:
    """Delete what no version worth keeping needs; how many named versions can be read then."""
    from fx_assets.lake import Lake
    from fx_assets.settings import Settings
    from fx_assets.stages.upkeep import tidy, versions_in_use

    lake = Lake.from_settings(Settings())
    for _ in tidy(lake, timedelta(0)):
        pass
    named = [(key, version) for key, found in versions_in_use(lake).items() for version in found]
    for key, version in named:
        table, _, name = key.partition("/")
        assert len(lake.read(table, name, version=version))
    return len(named)


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
    warm = min(hours // 3, WEEK)
    print(f"{'part':<22}{'MB at the end':>14}{'kB an hour':>12}{'of it for good':>16}")
    gross: defaultdict[str, float] = defaultdict(float)
    lasting: defaultdict[str, float] = defaultdict(float)
    for part, found in sorted(seen.bytes.items()):
        first, last = found[warm], found[-1]
        hourly = (last - first) / (hours - 1 - warm)
        stays = max(0.0, (seen.left.get(part, 0) - found[0]) / (hours - 1))
        kind = part.partition(":")[0]
        gross[kind] += hourly
        lasting[kind] += min(hourly, stays)
        print(
            f"{part:<22}{last / 1e6:>14.2f}{hourly / 1e3:>12.1f}{min(hourly, stays) / 1e3:>16.1f}"
        )
    tenth = max(10, hours // 10)
    start, end = (statistics.median(s) for s in (seen.seconds[:tenth], seen.seconds[-tenth:]))
    month, year = gross["lake"] - lasting["lake"], lasting["lake"]
    lake = (year * HOURS_A_YEAR + month * HOURS_KEPT) / 1e9
    print(
        f"\n{hours} hours: a year adds {lake:.2f} GB to the lake (at most 2), "
        f"{month * HOURS_KEPT / 1e9:.2f} GB of it for {HOURS_KEPT // 24} days; records "
        f"{gross['records'] / 1e3:.1f} kB an hour (at most 60); {seen.named} named versions can "
        f"be read; an update takes {start:.2f} s of CPU at the start and {end:.2f} s at the end "
        f"({end / start:.2f} times)"
    )
    return 0 if lake <= 2 and gross["records"] <= 60e3 else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
