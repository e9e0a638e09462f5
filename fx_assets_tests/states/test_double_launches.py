"""The same job launched twice at once, by processes that no queue stands before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice, pairwise
from pathlib import Path

import dagster as dg
import pytest

from fx_assets_tests.homes import Home
from fx_assets_tests.production.servers import postgres
from fx_assets_tests.states.stores import lake_of

ROOT = Path(__file__).parents[2]
WORKER = [sys.executable, "-m", "fx_assets_tests.states.launches"]
DOUBLES = int(os.environ.get("FX_TESTS_DOUBLES", "100"))
"""Double launches, of three jobs in turn; one takes some 2 s of CPU."""
STEPS = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
UNIQUE = (
    ("raw_prices", "eur", "event_time"),
    ("prices", "eur", "event_time"),
    ("features", "eur.ohlc", "event_time"),
    ("predictions", "up", "event_time"),
    ("decisions", "up", "sequence"),
)
JOBS = ("eur_ingest", "up_retrain", "up_predict")


@contextmanager
def workers(home: Home, number: int = 2) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have loaded the definitions and wait for jobs."""
    started = [
        subprocess.Popen(
            WORKER,
            env={**os.environ, **home.variables, "PYTHONPATH": str(ROOT)},
            cwd=home.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    try:
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def launch(started: Sequence[subprocess.Popen[str]], job: str, tags: dict[str, str]) -> list[str]:
    """Run a job in all processes at once; the runs, which have succeeded."""
    for process in started:
        assert process.stdin
        process.stdin.write(json.dumps([job, tags]) + "\n")
        process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for process in started if process.stdout]
    assert all(success for _, success in answers)
    return [run for run, _ in answers]


def overlaps(instance: dg.DagsterInstance, runs: Sequence[str]) -> int:
    """How many of the runs were at a step while another was."""
    spans = []
    for run in runs:
        at = [entry.timestamp for entry in instance.all_logs(run, of_type=STEPS)]
        spans.append((min(at), max(at)))
    return sum(later[0] < earlier[1] for earlier, later in pairwise(sorted(spans)))


def tags_of(home: Home, job: str) -> dict[str, str]:
    """The partitions that a day's run covers."""
    first, last = {"eur_ingest": (f"{home.day:%Y}",) * 2}.get(job, (f"{home.day:%Y-%m-%d}",) * 2)
    if job == "up_retrain":
        return {}
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def live_twice(home: Home, started: Sequence[subprocess.Popen[str]], number: int) -> int:
    """Launch as many jobs twice at once; how many of the runs overlapped."""
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        return sum(
            overlaps(instance, launch(started, job, tags_of(home, job)))
            for job in islice(cycle(JOBS), number)
        )


def size(home: Home, table: str) -> int:
    """Bytes of a table with its log's."""
    folder = home.folder / "data" / "lake" / table
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def written_once(home: Home) -> None:
    """Nothing is lost and nothing is there twice."""
    lake = lake_of(home)
    for table, name, key in UNIQUE:
        assert lake.read(table, name)[key].is_unique
    assert lake.read("predictions", "up")["day"].max() == f"{home.day:%Y-%m-%d}"
    sequence = sorted(lake.read("decisions", "up")["sequence"])
    assert sequence == list(range(len(sequence)))


@pytest.mark.slow
def test_double_launches_of_a_job_take_turns_and_write_nothing_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.folder)  # where its dagster.yaml puts the records
    home.advance()
    with workers(home) as started:
        assert live_twice(home, started, len(JOBS)) == 0
    written_once(home)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_a_hundred_double_launches_overlap_nowhere(
    home: Home, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    monkeypatch.chdir(home.folder)
    home.advance()
    with ExitStack() as stack:
        if storage == "postgres":
            server = stack.enter_context(postgres("a-password", auth="trust"))
            server.create("dagster")
            kept = f"storage: {{postgres: {{postgres_url: '{server.url('dagster')}'}}}}\n"
            (home.folder / "dagster.yaml").write_text(kept)
        started = stack.enter_context(workers(home))
        assert live_twice(home, started, len(JOBS)) == 0
        backtest = size(home, "backtest")
        assert live_twice(home, started, DOUBLES - len(JOBS)) == 0
        assert size(home, "backtest") == backtest, "the same data was walked forward twice"
    written_once(home)
