from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from fx_assets.lake import Lake
from fx_assets_tests.lake import workers

WRITERS = 4


@pytest.mark.parametrize("where", ["local", pytest.param("s3", marks=pytest.mark.slow)])
def test_four_writers_readers_and_compaction_lose_and_double_nothing(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root, options = (str(tmp_path), None) if where == "local" else request.getfixturevalue("s3")
    batches = 15 if where == "local" else 2
    context = workers.processes()
    start, stop = context.Event(), context.Event()
    writers = [
        context.Process(target=workers.write_beside_others, args=(root, options, w, batches, start))
        for w in range(WRITERS)
    ]
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    readers = [
        context.Process(target=workers.read_beside_others, args=(root, options, start, stop, end))
        for _, end in pipes
    ]
    for process in writers + readers:
        process.start()
    start.set()
    lake = Lake(root, storage_options=options)
    while any(process.is_alive() for process in writers):
        time.sleep(0.1)
        if lake.exists("log", "x"):
            lake.compact("log", "x")
    for process in writers:
        process.join()
    stop.set()
    reports = [receive.recv() for receive, _ in pipes]
    for process in readers:
        process.join()

    assert [process.exitcode for process in writers + readers] == [0] * (WRITERS + 2)
    assert [wrong for _, wrong in reports] == [[], []]
    assert all(reads > 0 for reads, _ in reports)
    counts = lake.read("log", "x")["number"].value_counts()
    assert sorted(counts.index) == sorted(
        writer * 1000 + batch for writer in range(WRITERS) for batch in range(batches)
    )
    assert (counts == workers.COPIES).all()
    keyed = lake.read("keyed", "x")
    assert len(keyed) == batches * workers.COPIES
    assert not keyed.duplicated().any()


@pytest.mark.parametrize(("where", "kills"), [("local", 12), ("s3", 2)])
def test_a_writer_killed_at_any_moment_loses_tears_and_doubles_nothing(
    where: str, kills: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root, options = (str(tmp_path / "lake"), None)
    if where == "s3":
        root, options = request.getfixturevalue("s3")
    file = tmp_path / "fx.duckdb" if where == "local" else None
    moments = random.Random(20)
    context = workers.processes()
    for kill in range(kills):
        receive, acknowledge = context.Pipe(duplex=False)
        writer = context.Process(
            target=workers.write_until_killed, args=(root, options, file, acknowledge), daemon=True
        )
        writer.start()
        acknowledge.close()
        receive.poll(30)
        time.sleep(moments.uniform(0, 0.08 if where == "local" else 0.4))
        writer.kill()
        writer.join()
        acknowledged = _drain(receive)
        assert writer.exitcode == -9
        assert acknowledged

        lake = Lake(root, storage_options=options)
        for table in ("log", "keyed"):
            counts = lake.read_or_empty(table, "x").get("number", pd.Series()).value_counts()
            assert (counts == workers.COPIES).all()
            assert {n for t, n in acknowledged if t == table} <= set(counts.index)
            assert len(counts) <= max(n for _, n in acknowledged) + 2
        state = lake.read_or_empty("state", "x")
        newest = [number for table, number in acknowledged if table == "state"]
        if newest:
            assert len(state) == workers.STATE_ROWS
            assert state["number"].nunique() == 1
            assert state["number"][0] in {newest[-1], newest[-1] + 1}
        if file is not None and file.exists():
            with duckdb.connect(str(file), read_only=True) as connection:
                [(rows,)] = connection.sql("SELECT count(*) FROM log").fetchall()
                assert rows % workers.COPIES == 0
        if kill % 10 == 9:
            lake.compact("log", "x")
            lake.compact("keyed", "x")


def test_one_lake_serves_several_threads(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "fx.duckdb")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: lake.append("log", "x", workers.numbered(n)), range(20)))
    assert sorted(lake.read("log", "x")["number"].unique()) == list(range(20))
    with duckdb.connect(str(tmp_path / "fx.duckdb"), read_only=True) as connection:
        [(rows,)] = connection.sql("SELECT count(*) FROM log").fetchall()
    assert rows == 20 * workers.COPIES


def _drain(receive: object) -> list[tuple[str, int]]:
    received = []
    try:
        while True:
            received.append(receive.recv())  # type: ignore[attr-defined]
    except EOFError:
        return received
