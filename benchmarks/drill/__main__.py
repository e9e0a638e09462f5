"""Two simulated years of the platform in minutes; fails if anything was lost or untrue."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.drill.faults import KINDS, days_needed
from benchmarks.drill.ledger import show
from benchmarks.drill.life import Drill, halves
from benchmarks.drill.processes import drilled

IN_MEMORY = Path("/dev/shm")  # noqa: S108
WORTH_HALVING = 100
"""Business days from which on two processes are faster than one."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drill", description=__doc__)
    parser.add_argument("--days", type=int, default=520, help="business days (520: two years)")
    parser.add_argument("--seed", type=int, default=0, help="of the world and of the faults' days")
    parser.add_argument("--no-faults", action="store_true", help="let nothing go wrong")
    parser.add_argument(
        "--watch-every", type=int, default=5, help="business days between two looks"
    )
    parser.add_argument("--keep", type=Path, help="a new folder that the platforms stay in")
    parser.add_argument("--processes", type=int, choices=(1, 2), help="2: each half of its own")
    asked = parser.parse_args()
    drill = Drill(
        days=asked.days,
        seed=asked.seed,
        faults=() if asked.no_faults else KINDS,
        watch_every=asked.watch_every,
    )
    processes = asked.processes
    if processes is None:
        processes = 2 if (os.cpu_count() or 1) > 1 and drill.days >= WORTH_HALVING else 1
    least = days_needed(drill.faults) * processes + 2
    if drill.days < least:
        parser.error(f"--days: the faults need at least {least}, or say --no-faults")
    folder = asked.keep or Path(tempfile.mkdtemp(dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        found = drilled(halves(drill) if processes == 2 else [drill], folder.resolve(), console)
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    show(found, console)
    return 0 if found.ok else 1


if __name__ == "__main__":
    # Libraries complain at a regular exit of objects that are still there.
    status = main()
    sys.stdout.flush()
    os._exit(status)
