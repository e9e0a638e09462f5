"""What other processes do to a lake in these tests. Imports stay light: they start often."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets.lake import Lake

COPIES = 3
STATE_ROWS = 50


def processes() -> Any:
    """A context that starts processes cheaply: forked from one that has only imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fx_assets_tests.lake.workers", "boto3"])
    return context


def numbered(number: int, rows: int = COPIES) -> pd.DataFrame:
    return pd.DataFrame({"number": [number] * rows, "row": range(rows)})


def write_until_killed(
    root: str, options: dict[str, str] | None, file: Path | None, acknowledge: Connection
) -> None:
    """Append a batch, insert it by key, replace a table with it, say so; for ever."""
    lake = Lake(root, file, options)
    known = lake.read_or_empty("log", "x")
    number = 0 if known.empty else int(known["number"].max()) + 1
    while True:
        lake.append("log", "x", numbered(number))
        acknowledge.send(("log", number))
        lake.insert_new("keyed", "x", numbered(number), ["number", "row"])
        acknowledge.send(("keyed", number))
        lake.replace("state", "x", numbered(number, STATE_ROWS))
        acknowledge.send(("state", number))
        number += 1


def write_beside_others(
    root: str, options: dict[str, str] | None, writer: int, batches: int, start: Event
) -> None:
    """Append batches of one's own and insert keys that every other writer inserts too."""
    lake = Lake(root, None, options)
    start.wait()
    for batch in range(batches):
        lake.append("log", "x", numbered(writer * 1000 + batch))
        lake.insert_new("keyed", "x", numbered(batch), ["number", "row"], run_id=str(writer))


def read_beside_others(
    root: str, options: dict[str, str] | None, start: Event, stop: Event, report: Connection
) -> None:
    """Read until told to stop; report what a reader must never see."""
    lake = Lake(root, None, options)
    wrong: list[str] = []
    reads, seen = 0, 0
    start.wait()
    while not stop.is_set():
        rows = lake.read_or_empty("log", "x")
        reads += 1
        if len(rows) < seen:
            wrong.append(f"{len(rows)} rows after {seen}")
        seen = len(rows)
        if not rows.empty and (rows["number"].value_counts() != COPIES).any():
            wrong.append("a torn batch")
    report.send((reads, wrong))


def commit_for_ever(root: str, file: Path, ready: Event, stop: Event) -> None:
    """Append rows to a lake with a DuckDB file until told to stop."""
    lake = Lake(root, file)
    number = 0
    while not stop.is_set():
        lake.append("predictions", f"forecast_{number % 3}", numbered(number))
        number += 1
        if number == 3:
            ready.set()
    os._exit(0)
