"""Lives that run side by side, each in a process of its own, and how far they have got."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from functools import reduce
from multiprocessing import Manager, get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.drill.life import Drill, Found, live

POLL_SECONDS = 0.5


def drilled(drills: Sequence[Drill], folder: Path, console: Console) -> Found:
    """Live them side by side, and put their ledgers together."""
    bar = Progress(
        TextColumn("{task.description:<45}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with Manager() as manager, bar:
        at = manager.dict()
        tasks = [bar.add_task("first evening", total=drill.days) for drill in drills]
        with ProcessPoolExecutor(len(drills), get_context("spawn")) as pool:
            lives = [
                pool.submit(_live, drill, folder / f"life-{i}", i, at)
                for i, drill in enumerate(drills)
            ]
            while wait(lives, POLL_SECONDS).not_done:
                for i, task in enumerate(tasks):
                    days, text = at.get(i, (0, "first evening"))
                    bar.update(task, completed=days, description=text)
            return reduce(Found.and_then, [life.result() for life in lives])


def _live(drill: Drill, folder: Path, number: int, at: Any) -> Found:
    folder.mkdir(parents=True)
    return live(drill, folder, _progress(number, at))


def _progress(number: int, at: Any) -> Callable[[int, str], None]:
    def progress(days: int, text: str) -> None:
        at[number] = (days, text)

    return progress
