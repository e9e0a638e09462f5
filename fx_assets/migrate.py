"""``fx-assets migrate``: what an older release has written, as this one writes it.

Each step is found by looking at what is there. So a second migration has nothing to do, and one
that was interrupted goes on. No row of a table changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fx_assets.bundles.bundle import load, published_versions
from fx_assets.bundles.copies import keep_copies, without_copies
from fx_assets.errors import FxAssetsError
from fx_assets.instance import one_run_at_a_time, open_instance
from fx_assets.lake import Lake
from fx_assets.registry.session import MlflowSession, revisions, upgrade
from fx_assets.runner import WAITING, terminal
from fx_assets.settings import Settings
from fx_assets.tables import CATALOGUE, MEMBERSHIP, SCHEMAS, Table


@dataclass(frozen=True)
class Step:
    """Something that is not as this release writes it, and how it becomes so."""

    what: str
    do: Callable[[], object]


def migrate(*, dry_run: bool) -> int:
    """Bring lake, bundles, MLflow's and Dagster's databases up to this release; the exit code.

    Raises
    ------
    FxAssetsError
        A newer release has written one of them, or one cannot be read.
    """
    settings, console, count = Settings(), terminal(), 0
    with one_run_at_a_time(settings.home, lambda: console.print(WAITING)):
        for step in steps(settings):
            count += 1
            if not dry_run:
                step.do()
            console.print(f"{'would' if dry_run else ' done'}  {step.what}", markup=False)
    if not count:
        console.print("Everything is as this release writes it.")
    elif dry_run:
        console.print(f"{count} to do. Back up first: fx-assets backup TO. Then: fx-assets migrate")
    return 0


def steps(settings: Settings) -> Iterator[Step]:
    """What there is to do; each is looked for when those before it are done."""
    lake = Lake.from_settings(settings)
    tables = lake.tables()
    if tables and not lake.stamped:
        versions = ", ".join(f"{name} {number}" for name, number in SCHEMAS.items() if number > 1)
        yield Step(f"mark the lake for this release ({versions}): older ones refuse it", lake.stamp)
    for table in tables:
        for name in lake.names(table):
            yield from _columns(lake, table, name)
    for forecast in sorted({path.split("/")[1] for path in lake.list_blobs("bundles/")}):
        yield from _copies(lake, forecast)
    yield from _mlflow(settings)
    yield from _dagster(settings)
    if stale := lake.stale_views():
        yield Step(f"views in {lake.duckdb_file}: {len(stale)} anew", lake.refresh_stale_views)


def _columns(lake: Lake, table: str, name: str) -> Iterator[Step]:
    """Columns that came later; tables that are replaced get them with their next content."""
    found = _catalogued(lake, table, name)
    if found is None or found.written == "replaced":
        return
    added = lake.lacking(table, name, found.dtypes)
    if added:
        what = f"{table}/{name}: add {', '.join(added)}"
        yield Step(what, lambda: lake.widen(table, name, found.dtypes))


def _catalogued(lake: Lake, table: str, name: str) -> Table | None:
    of_universe = name in lake.names(MEMBERSHIP.name)
    named = [found for found in CATALOGUE if found.name == table]
    mine = [found for found in named if (found.owner == "universe") == of_universe]
    return next(iter(mine), None)


def _copies(lake: Lake, forecast: str) -> Iterator[Step]:
    """Second copies of bundles, by which damage is found; those that cannot be read are told."""
    for version in without_copies(lake, forecast, set(published_versions(lake, forecast))):
        try:
            load(lake, forecast, version)
        except FxAssetsError:
            continue  # a run tells, and mends what can be
        yield Step(
            f"bundles/{forecast}/{version}: keep second copies of its files",
            lambda version=version: keep_copies(lake, forecast, version),  # type: ignore[misc]
        )


def _mlflow(settings: Settings) -> Iterator[Step]:
    session = MlflowSession(settings.mlflow_uri, settings.mlflow_artifact_root)
    found = revisions(session)
    if found and found[0] != found[1]:
        what = f"MLflow's database at {session.shown_uri}: from {found[0]} to {found[1]}"
        yield Step(what, lambda: upgrade(settings.mlflow_uri))


def _dagster(settings: Settings) -> Iterator[Step]:
    instance = open_instance(settings.home.resolve())
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    told = (storage.alembic_version() for storage in storages if storage)
    behind = [f"from {here} to {head}" for here, head in filter(None, told) if here != head]
    if behind:
        yield Step(f"Dagster's records: {', '.join(behind)}", instance.upgrade)
