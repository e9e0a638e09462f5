"""Hostile clients against a real server: prints what was answered, and what not as it should be.

The tests run a few hundred requests; this runs as many as one likes.

Run with ``python -m benchmarks.fuzz_serving --help``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fx_assets.testing.hostile_clients import (
    HALF,
    Found,
    attack,
    hold_open,
    malformed,
    quickest,
    well_formed,
)
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until


def _rounds(port: int, requests: int, seed: int) -> Iterator[tuple[str, Found]]:
    each = max(1, requests // 2)
    yield "well-formed", attack(port, well_formed, each, seed)
    yield "malformed", attack(port, malformed, each, seed + 1)


def main() -> int:
    """Returns 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    options = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "lake"
        small_lake.make(root)
        with serving(root, Path(name) / "home", client_seconds="2") as running:
            until(lambda: running.client.get("/health/ready").status_code == 200)
            for kind, found in _rounds(running.port, options.requests, options.seed):
                statuses = ", ".join(f"{s}: {n}" for s, n in sorted(found.statuses.items()))
                print(f"{kind}: {statuses}; faults: {len(found.faults)}")
                faults += found.faults
            clients = hold_open(running.port, 300, HALF)
            wait = quickest(running.port)
            print(f"beside 300 half-open clients: {1e3 * wait:.1f} ms")
            for client in clients:
                client.close()
            assert running.process.poll() is None
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
