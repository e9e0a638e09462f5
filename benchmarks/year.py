"""Hours of one hourly forecast on five years of bars: what they add to lake and records.

usage: python -m benchmarks.year [--hours 500] [--years 5] [--keep FOLDER] [--stay HOURS]

Every hour is a real ingest and predict run, every day a look at drift and compaction, every week a
retrain. With --keep the next call on the folder goes on where the last one ended, up to --hours.
Dagster's records are in SQLite, or in the database of DAGSTER_PG_URL, which is vacuumed every day;
those of runs --stay hours ago are deleted every day, as after 30 days in real life. What a year
adds is told from the hours after the first ones. Versions are as old as the machine's clock says,
so old ones are deleted at the end, all at once, in a copy: what is gone there would have stayed
for 30 days, what is left stays for good.
"""

from __future__ import annotations

import argparse
import json
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
from typing import Any

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
LEAST = 26
"""Hours without which nothing can be said."""
SEEN = "seen.json"
PG_URL = "DAGSTER_PG_URL"
PG_STORAGE = "storage: {postgres: {postgres_url: {env: DAGSTER_PG_URL}}}\n"


@dataclass
class Seen:
    """What was measured hour by hour."""

    seconds: list[float] = field(default_factory=list)
    """Of the processor, an update."""
    ended: list[float] = field(default_factory=list)
    """When, by the machine's clock, as a POSIX timestamp."""
    bytes: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    left: dict[str, int] = field(default_factory=dict)
    """Bytes of each part when old versions are gone."""
    named: int = 0
    """Versions that something was made from, all of which can be read then."""

    @staticmethod
    def before(folder: Path) -> Seen:
        """What earlier calls have measured."""
        if not (folder / SEEN).exists():
            return Seen()
        kept = json.loads((folder / SEEN).read_text())
        return Seen(**kept | {"bytes": defaultdict(list, kept["bytes"])})

    def keep(self, folder: Path) -> None:
        """Let the next call go on from here."""
        (folder / SEEN).write_text(json.dumps(vars(self)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.year", description=__doc__)
    parser.add_argument("--hours", type=int, default=500)
    parser.add_argument("--years", type=float, default=5.0, help="of bars before the first hour")
    parser.add_argument("--keep", type=Path, help="a folder that everything stays in")
    parser.add_argument("--stay", type=int, help="hours after which records are deleted")
    asked = parser.parse_args()
    if asked.hours < LEAST:
        parser.error(f"--hours: at least {LEAST}")
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="fx-year-"))
    try:
        declare(folder, timedelta(days=365 * asked.years))
        return tell(live(folder, asked.hours, asked.stay))
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)


def declare(folder: Path, past: timedelta) -> None:
    start = (NOW - past).date()
    days = {"start": start, "test": start + 0.5 * past, "live": NOW.date() - timedelta(days=1)}
    for path, text in DECLARED.items():
        file = folder / "defs" / path / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(**days))
    storage = PG_STORAGE if PG_URL in os.environ else ""
    (folder / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}")
    os.environ |= {
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_DECLARED": "defs",
        "DAGSTER_HOME": str(folder),
        "FX_ASSETS_NOW": NOW.isoformat(),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def live(folder: Path, hours: int, stay: int | None = None) -> Seen:
    """One hour after the other, as a daemon would ask for them."""
    import dagster as dg

    from fx_assets.assets.automation import range_tags
    from fx_assets.assets.records import end_of_records, thin_out
    from fx_assets.definitions import defs

    warnings.simplefilter("ignore")
    definitions, seen = defs(), Seen.before(folder)
    with dg.DagsterInstance.get() as instance:

        def run(job: str, tags: dict[str, str] | None = None) -> None:
            result = definitions.resolve_job_def(job).execute_in_process(
                run_config=QUIET, instance=instance, tags=tags, raise_on_error=True
            )
            assert result.success

        if not seen.seconds:
            parts = _months()
            run("coin_ingest", range_tags(parts[0], parts[-1]))
            run("coin_up_retrain")
        for hour in range(len(seen.seconds), hours):
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
            seen.ended.append(time.time())
            if hour % 24 == 23 and stay is not None and hour >= stay:
                end_of_records(instance, datetime.fromtimestamp(seen.ended[hour - stay], UTC))
            if hour % 24 == 23 and PG_URL in os.environ:
                asked_of_postgres("VACUUM")
            for part, size in (*sizes(folder), *records(folder)):
                seen.bytes[part].append(size)
            seen.keep(folder)
    with tempfile.TemporaryDirectory(dir=folder) as copy:
        shutil.copytree(folder / "data" / "lake", Path(copy) / "data" / "lake")
        seen.named = tidied(Path(copy) / "data" / "lake")
        seen.left = dict(sizes(Path(copy)))
    return seen


def tidied(root: Path) -> int:
    """Delete what no version worth keeping needs; how many named versions can be read then."""
    from fx_assets.lake import Lake
    from fx_assets.stages.upkeep import tidy, versions_in_use

    lake = Lake(str(root))
    for _ in tidy(lake, timedelta(0), datetime.now(UTC)):
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


def records(folder: Path) -> Iterator[tuple[str, int]]:
    """Bytes of what is kept beside the lake."""
    if PG_URL in os.environ:
        yield "records: postgres", asked_of_postgres("SELECT pg_database_size(current_database())")
    for name in ("history", "schedules", "storage"):
        yield f"records: {name}", _size(folder / name)
    yield "records: mlflow", _size(folder / "data" / "mlflow.db")
    yield "mlflow artifacts", _size(folder / "data" / "mlflow-artifacts")
    yield "cache", _size(folder / "data" / "cache")


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def asked_of_postgres(statement: str) -> Any:
    """The first value of the answer, if there is one."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(os.environ[PG_URL], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        answer = connection.execute(sqlalchemy.text(statement))
        return answer.scalar() if answer.returns_rows else None


def tell(seen: Seen) -> int:
    """Print what was measured; 1 where it is more than is promised."""
    hours = len(seen.seconds)
    warm = min(hours // 3, WEEK)
    print(f"{'part':<22}{'MB at the end':>14}{'kB an hour':>12}{'of it for good':>16}")
    gross: defaultdict[str, float] = defaultdict(float)
    lasting: defaultdict[str, float] = defaultdict(float)
    for part, sizes in sorted(seen.bytes.items()):
        found = [0] * (hours - len(sizes)) + sizes  # what came later was not there before
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
