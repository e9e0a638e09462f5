"""What Dagster keeps of runs and looks that are over: little, so that its records stay small.

Of a job's runs that succeeded the newest keep every event. Older ones keep when they began and
ended, what they materialized with its short figures, and checks that did not pass; the tables
``quality`` and ``sources`` of the lake have what every check said. Failed runs keep everything.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.schema import KeyValueStoreTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.schedules.schema import JobTickTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage

from fx_assets.heartbeats import alive_key

DETAILED = 5
"""Of a job's runs that succeeded, the newest that keep every event."""
MOST = 100
"""Runs of which one sweep takes events away; the next one goes on."""
SWEEP_SECONDS = 600
SKIPS_STAY = timedelta(hours=1)
"""How long looks of sensors stay that asked for nothing."""
LONGEST_ENTRY = 250
"""Characters of metadata that an older materialization keeps: figures, not tables and pictures."""
ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_STAY = (
    "PIPELINE_ENQUEUED",
    "PIPELINE_STARTING",
    "PIPELINE_START",
    "PIPELINE_SUCCESS",
    "ASSET_MATERIALIZATION",
)
_CHECK = "ASSET_CHECK_EVALUATION"
_PASSED = '%"success": true%'
_PAGE_BYTES = 512
_OF_A_RUN = {"event_logs", "secondary_indexes", "alembic_version"}
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_CURSOR = "fx_assets/thinned"
_EVENTS, _CHECKS = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c


def end_of_records(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the records of runs that ended before, and what they printed; returns how many.

    A run stays that an asset was last materialized by: the UI shows the asset's state from it.
    """
    old = instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_before=before, created_before=before)
    )
    if not old:
        return 0
    kept = _present(instance)
    gone = [r.dagster_run.run_id for r in old if r.dagster_run.run_id not in kept]
    for run_id in gone:
        # The run last: one that is still there is found again.
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        _delete(instance, run_id)
    _forget_signs(instance, gone)
    return len(gone)


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        instance.delete_run(run_id)
        return
    # Dagster would empty the run's own file, not without the tables that thinning takes away.
    with storage.index_connection() as connection:
        storage.delete_events_for_run(connection, run_id)
    file = Path(storage.path_for_shard(run_id))
    for each in (file, *file.parent.glob(f"{file.name}-*")):
        each.unlink(missing_ok=True)
    instance.run_storage.delete_run(run_id)


def thin_out(instance: dg.DagsterInstance) -> int:
    """Take the details away from older runs that succeeded; returns from how many."""
    storage, cursors = instance.event_log_storage, instance.daemon_cursor_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    began = datetime.now(UTC)
    since = cursors.get_cursor_values({_CURSOR}).get(_CURSOR)
    succeeded = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS],
        updated_after=datetime.fromisoformat(since) if since else None,
    )
    # Records of years may be there at first; a job that is missed comes with its next run.
    newest = instance.get_run_records(succeeded, limit=20 * MOST)
    jobs = sorted({record.dagster_run.job_name for record in newest})
    kept = _present(instance) if jobs else set()
    thinned: list[str] = []
    for job in jobs:
        thinned += _thin_job(instance, storage, job, kept, MOST - len(thinned))
        if len(thinned) >= MOST:
            break
    else:
        cursors.set_cursor_values({_CURSOR: began.isoformat()})
    _forget_signs(instance, thinned)
    return len(thinned)


def forget_skips(instance: dg.DagsterInstance) -> int:
    """Delete what sensors said when they asked for nothing, an hour later; returns how often."""
    storage = instance.schedule_storage
    if not isinstance(storage, SqlScheduleStorage):
        return 0
    before = (datetime.now(UTC) - SKIPS_STAY).replace(tzinfo=None)
    skips = sa.delete(JobTickTable).where(
        # A schedule knows by its looks from when on it has to look again.
        JobTickTable.c.type == "SENSOR",
        JobTickTable.c.status == "SKIPPED",
        JobTickTable.c.timestamp < before,
    )
    with storage.connect() as connection:
        return int(connection.execute(skips).rowcount)


def small_records_sensor(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Keeps Dagster's own records small."""

    @dg.sensor(
        name="small_records",
        minimum_interval_seconds=SWEEP_SECONDS,
        default_status=status,
        description=(
            f"Takes the details away from runs that succeeded, but for the newest {DETAILED} of "
            "each job, and forgets looks of sensors that asked for nothing."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        runs, looks = thin_out(context.instance), forget_skips(context.instance)
        return dg.SkipReason(f"{runs} runs have lost their details, {looks} looks are forgotten.")

    return sensor


def _thin_job(
    instance: dg.DagsterInstance, storage: SqlEventLogStorage, job: str, kept: set[str], most: int
) -> list[str]:
    """The runs of a job that have lost their details, oldest first."""
    cursor = f"{_CURSOR}/{job}"
    cursors = instance.daemon_cursor_storage
    done = int(cursors.get_cursor_values({cursor}).get(cursor, 0))
    mine = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    records = instance.get_run_records(mine, limit=DETAILED + 2 * MOST)[DETAILED:]
    new = [record for record in reversed(records) if record.storage_id > done][:most]
    for record in new:
        if record.dagster_run.run_id not in kept:
            _thin(storage, record.dagster_run.run_id)
    if new:
        cursors.set_cursor_values({cursor: str(new[-1].storage_id)})
    return [record.dagster_run.run_id for record in new]


def _thin(storage: SqlEventLogStorage, run_id: str) -> None:
    newer = AssetCheckExecutionsTable.alias()
    passed_again = sa.exists().where(
        newer.c.asset_key == _CHECKS.asset_key,
        newer.c.check_name == _CHECKS.check_name,
        newer.c.id > _CHECKS.id,
    )
    if isinstance(storage, SqliteEventLogStorage):
        _thin_file(Path(storage.path_for_shard(run_id)), run_id)
    with storage.index_connection() as connection:
        _thin_events(connection, run_id)
        connection.execute(
            sa.delete(AssetCheckExecutionsTable).where(
                _CHECKS.run_id == run_id, _CHECKS.execution_status != "FAILED", passed_again
            )
        )


def _thin_events(connection: Any, run_id: str) -> None:
    kind = _EVENTS.dagster_event_type
    connection.execute(
        sa.delete(SqlEventLogStorageTable).where(
            _EVENTS.run_id == run_id,
            sa.or_(
                kind.is_(None),
                kind.not_in((*_STAY, _CHECK)),
                sa.and_(kind == _CHECK, _EVENTS.event.like(_PASSED)),
            ),
        )
    )
    events = sa.select(_EVENTS.id, _EVENTS.event).where(
        _EVENTS.run_id == run_id, kind == "ASSET_MATERIALIZATION"
    )
    for number, event in connection.execute(events).fetchall():
        thin = sa.update(SqlEventLogStorageTable).where(_EVENTS.id == number)
        connection.execute(thin.values(event=_short(event)))


def _short(event: str) -> str:
    """A materialization's event without what is long and what is said twice."""
    entry = json.loads(event)
    said = entry["dagster_event"]
    made = said["event_specific_data"]["materialization"]
    made["metadata_entries"] = [
        each for each in made["metadata_entries"] if len(json.dumps(each)) <= LONGEST_ENTRY
    ]
    said |= {"logging_tags": {}, "solid_handle": None, "step_handle": None}
    entry["user_message"] = ""
    return json.dumps(entry)


def _thin_file(file: Path, run_id: str) -> None:
    """Thin a run's own SQLite file, and give its space back; only the index uses other tables."""
    if not file.exists():
        return
    # Not Dagster's connection, which may be kept open: the file could not be made smaller then.
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        _thin_events(connection, run_id)
    # Somebody looks at it: then it stays as large as it is.
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, isolation_level=None)) as database:
        tables = [name for (name,) in database.execute(_TABLES)]
        for table in set(tables) - _OF_A_RUN:
            database.execute(f'DROP TABLE "{table}"')
        for statement in (
            "PRAGMA journal_mode=DELETE",
            f"PRAGMA page_size={_PAGE_BYTES}",
            "VACUUM",
        ):
            database.execute(statement)


def _present(instance: dg.DagsterInstance) -> set[str]:
    """The runs that assets were last materialized by."""
    records = instance.get_asset_records(instance.all_asset_keys())
    newest = [record.asset_entry.last_materialization for record in records]
    return {entry.run_id for entry in newest if entry}


def _forget_signs(instance: dg.DagsterInstance, runs: list[str]) -> None:
    """Delete signs of life of runs that are over."""
    storage = instance.run_storage
    if runs and isinstance(storage, SqlRunStorage):
        keys = [alive_key(run_id) for run_id in runs]
        with storage.connect() as connection:
            connection.execute(
                sa.delete(KeyValueStoreTable).where(KeyValueStoreTable.c.key.in_(keys))
            )
