"""Dagster's records of what is over are small, and still tell what came of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from fx_assets.assets.records import DETAILED, end_of_records, forget_skips, thin_out
from fx_assets.instance import close_records
from fx_assets_tests.production.servers import postgres

KEY = dg.AssetKey("one")
LONG = "a table of many rows " * 500
PASSWORD = "a-password"  # noqa: S105
POSTGRES = "storage: {postgres: {postgres_url: '%s'}}\n"
REMAIN = {"PIPELINE_START", "PIPELINE_SUCCESS", "ASSET_MATERIALIZATION"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    settings = tmp_path / "dagster.yaml"
    if request.param == "sqlite":
        settings.touch()
        with dg.DagsterInstance.from_config(str(tmp_path)) as made:
            yield made
        return
    with postgres(PASSWORD) as server:
        server.create("dagster")
        settings.write_text(POSTGRES % server.url("dagster"))
        with dg.DagsterInstance.from_config(str(tmp_path)) as made:
            yield made


def runs(instance: dg.DagsterInstance, number: int, *, passed: bool = True) -> list[str]:
    """Runs of one job with an asset that has long metadata and a check."""

    @dg.asset(key=KEY, check_specs=[dg.AssetCheckSpec("sound", asset=KEY)])
    def one(context):
        context.log.info("as it should be")
        return dg.MaterializeResult(
            metadata={"rows": 3, "table": dg.MetadataValue.md(LONG)},
            check_results=[dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN)],
        )

    job = dg.define_asset_job("job", [one])
    found = dg.Definitions(assets=[one], jobs=[job], executor=dg.in_process_executor)
    return [
        found.resolve_job_def("job").execute_in_process(instance=instance).run_id
        for _ in range(number)
    ]


def kinds(instance: dg.DagsterInstance, run: str) -> set[str]:
    events = [entry.dagster_event for entry in instance.all_logs(run)]
    return {event.event_type_value if event else "log" for event in events}


def test_older_runs_that_succeeded_keep_what_came_of_them_and_nothing_else_and_then_go(
    instance: dg.DagsterInstance,
) -> None:
    warned = runs(instance, 1, passed=False)
    made = warned + runs(instance, DETAILED + 2)
    full = kinds(instance, made[0])
    close_records()  # a process that has run commands keeps files open, and those stay large
    gc.collect()
    assert thin_out(instance) == 3
    assert thin_out(instance) == 0
    assert kinds(instance, warned[0]) == REMAIN | {"ASSET_CHECK_EVALUATION"}
    assert [kinds(instance, run) for run in made[1:3]] == [REMAIN] * 2
    assert [kinds(instance, run) for run in made[3:]] == [full] * DETAILED

    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        old, new = (Path(storage.path_for_shard(run)).stat().st_size for run in (made[1], made[-1]))
        assert old < 20_000 < 60_000 < new

    found = instance.fetch_materializations(KEY, limit=100).records
    assert {record.run_id for record in found} == set(made)
    by_run = {record.run_id: record.asset_materialization.metadata for record in found}
    assert by_run[made[0]].keys() == {"rows"}
    assert by_run[made[-1]].keys() == {"rows", "table"}
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(KEY, "sound"), limit=100
    )
    statuses = {record.run_id: record.status.value for record in checks}
    assert statuses == {made[0]: "FAILED", **dict.fromkeys(made[3:], "SUCCEEDED")}

    assert end_of_records(instance, datetime.now(UTC) + timedelta(days=1)) == len(made) - 1
    assert [run.run_id for run in instance.get_runs()] == made[-1:]
    found = instance.fetch_materializations(KEY, limit=100).records
    assert {record.run_id for record in found} == {made[-1]}
    if isinstance(storage, SqliteEventLogStorage):
        files = Path(storage.path_for_shard(made[0])).parent.glob("*.db*")
        assert {file.name.split(".")[0] for file in files} == {"index", made[-1]}


@pytest.mark.slow
def test_a_run_that_an_asset_is_from_and_one_that_failed_keep_everything(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset
    def other() -> None:
        """Made once."""

    first = dg.materialize([other], instance=instance).run_id
    full = kinds(instance, first)
    for _ in range(DETAILED + 1):

        @dg.asset
        def another() -> None:
            """Made again and again."""

        dg.materialize([another], instance=instance)
    assert thin_out(instance) == 2
    assert kinds(instance, first) == full


def test_looks_that_asked_for_nothing_are_forgotten_after_an_hour(
    instance: dg.DagsterInstance,
) -> None:
    now = time.time()
    for kind in (InstigatorType.SENSOR, InstigatorType.SCHEDULE):
        for status in (TickStatus.SKIPPED, TickStatus.SUCCESS):
            for ago in (60, 7200):
                instance.create_tick(
                    TickData(
                        "origin",
                        str(kind),
                        kind,
                        status,
                        now - ago,
                        run_ids=[],
                        selector_id=str(kind),
                    )
                )
    assert forget_skips(instance) == 1
    left = instance.get_ticks("origin", str(InstigatorType.SENSOR))
    assert sorted(tick.status.value for tick in left) == ["SKIPPED", "SUCCESS", "SUCCESS"]
    assert len(instance.get_ticks("origin", str(InstigatorType.SCHEDULE))) == 4
