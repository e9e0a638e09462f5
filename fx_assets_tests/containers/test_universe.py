"""A universe whose shards are runs in containers of their own, as the daemon of the compose file
launches them, says what one process says, to the bit.

``FX_TESTS_SHARDS=20 FX_TESTS_SHARD_SIZE=25`` takes as many shards of as many instruments.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fx_assets.lake import Lake
from fx_assets_tests.containers.engine import Engine
from fx_assets_tests.containers.stack import Stack, stack
from fx_assets_tests.homes import DAGSTER, Home

SHARDS = int(os.environ.get("FX_TESTS_SHARDS", "4"))
SIZE = int(os.environ.get("FX_TESTS_SHARD_SIZE", "2"))
PATIENCE_SECONDS = max(3000, 10 * SHARDS * SIZE)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.containers,
    pytest.mark.timeout(PATIENCE_SECONDS + 600),
]
NAME = "desk"
START = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = 1200
NOW = START + timedelta(hours=HOURS, minutes=5)
DECLARED = {
    "name": NAME,
    "source": {"kind": "simulated", "annual_volatility": 0.5},
    "instruments": [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}USD" for n in range(SIZE * SHARDS)],
    "calendar": "24x7",
    "frequency": "1h",
    "features": "ohlc",
    "start": f"{START:%Y-%m-%d}",
    "membership": {"min_history": 500, "max_missed": 10, "peg_window": 60},
    "targets": [{"kind": "volatility", "horizon": 1, "candidates": ["ewma", "log_har"]}],
    "walk_forward": {"first_test": f"{START:%Y-%m-%d}", "min_train": 150, "refit_every": 200},
    "min_rows": 250,
    "workers": 1,
    "shard_size": SIZE,
}
STEPS = {"ingest": SHARDS, "members": 1, "walk": SHARDS, "decide": 1, "predict": SHARDS}
OF_RUNS = {
    *("table_versions", "ingested_at", "issued_at", "checked_at", "read_at", "run_id"),
    *("chain_position", "content_hash", "chain_hash"),
}
"""Columns that tell when, in which order or by which run rows were written."""
RUNS = """SELECT r.pipeline_name, r.status, t.value, r.start_time, r.end_time FROM runs r
    LEFT JOIN run_tags t ON t.run_id = r.run_id AND t.key = 'docker/container_id'"""


def new_home(folder: Path) -> Home:
    file = folder / "defs" / "universes" / NAME / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        yaml.safe_dump({"type": "fx_assets.components.Universe", "attributes": DECLARED})
    )
    (folder / "dagster.yaml").write_text(DAGSTER)
    return Home(folder, environment={"FX_ASSETS_NOW": NOW.isoformat()})


def rows(lake: Lake, table: str) -> pd.DataFrame:
    """A table without what tells of runs, in an order of its own."""
    found = lake.read(table, NAME)
    found = found[sorted(set(map(str, found)) - OF_RUNS)]
    return found.sort_values(list(found), ignore_index=True, key=lambda column: column.astype(str))


def followed(deployed: Stack) -> tuple[list[list[str]], int]:
    """Runs of the steps once all have succeeded, and most containers of runs at once."""
    most, end = 0, time.monotonic() + PATIENCE_SECONDS
    while True:
        lines = deployed.database.ask("dagster", RUNS).splitlines()
        runs = [line.split("|") for line in lines]
        steps = [run for run in runs if run[0].removeprefix(f"{NAME}_") in STEPS]
        wrong = [run for run in runs if run[1] in ("FAILURE", "CANCELED")]
        if wrong or time.monotonic() > end:
            raise AssertionError(deployed.compose("logs", "--tail", "60", check=False))
        if sum(run[1] == "SUCCESS" for run in steps) == sum(STEPS.values()):
            return steps, most
        at_work = deployed.engine.run("ps", "-q", "--filter", "label=dagster/run_id").split()
        most = max(most, len(at_work))
        time.sleep(1)


def test_shards_in_containers_and_one_run_of_the_family_say_what_one_process_says(
    docker: Engine,
    platform_image: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    say: Callable[[str], None],
) -> None:
    home = new_home(tmp_path / "declared")
    variables = {
        "FX_ASSETS_DECLARED": "defs",
        "FX_ASSETS_NOW": NOW.isoformat(),
        "FX_ASSETS_SENSOR_SECONDS": "2",
    }
    with stack(docker, tmp_path, home.folder, "canary0f5ecrets", **variables) as deployed:
        deployed.compose("up", "-d", "daemon")
        launch = ["dagster", "job", "launch", "-w", "/etc/dagster/docker/workspace.yaml"]
        deployed.compose("exec", "-T", "daemon", *launch, "-j", f"{NAME}_discover")
        began = time.monotonic()
        runs, most = followed(deployed)
        took = time.monotonic() - began
        assert {s: sum(run[0] == f"{NAME}_{s}" for run in runs) for s in STEPS} == STEPS
        assert len({container for _, _, container, *_ in runs}) == len(runs)
        assert most >= 2, "containers were never at work together"
        for name, value in deployed.keys.items():
            monkeypatch.setenv(name, value)
        spread = Lake("s3://fx-assets/lake")
        tables = sorted(table for table in spread.tables() if NAME in spread.names(table))
        found = {table: rows(spread, table) for table in tables}
    work = sum(float(ended) - float(started) for *_, started, ended in runs)
    alone = new_home(tmp_path / "alone")
    alone.run("universe", NAME).succeeded()
    one = Lake(str(alone.folder / "data" / "lake"))
    assert sorted(table for table in one.tables() if NAME in one.names(table)) == tables
    told = 0
    for table in tables:
        expected = rows(one, table)
        pd.testing.assert_frame_equal(found[table], expected, check_exact=True, obj=table)
        told += len(expected)
    assert len(found["skill"]) == 2 * SIZE * SHARDS
    say(
        f"{SIZE * SHARDS} instruments in {len(runs)} containers, at most {most} at once: "
        f"{took:.0f} s, {work:.0f} s of runs; {told:,} rows of {len(tables)} tables are those "
        "of one process"
    )
