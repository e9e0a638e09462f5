"""How soon a server answers in a container, beside one outside: ``make bench-images``.

Both by turns on one small lake; what is printed is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import NOW
from fx_assets.testing.processes import free_port, running

FORECAST = "/v1/forecasts/direction/latest"


def seconds_to_answer(command: Sequence[str], folder: Path, port: int) -> float:
    """From the command to the first forecast."""
    variables = {
        "FX_ASSETS_LAKE": str(folder / "lake"),
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_NOW": NOW,
        "FX_SERVING_PORT": str(port),
    }
    began = time.perf_counter()
    with running(command, FORECAST, port=port, folder=folder, environment=variables):
        return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="fx-assets-serving")
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fx-images-"))
    small_lake.make(folder / "lake")
    outside, inside = [], []
    for number in range(options.starts):
        port = free_port()
        outside.append(seconds_to_answer([sys.executable, "-m", "serving"], folder, port))
        port, name = free_port(), f"fx-bench-{number}"
        command = [
            *("docker", "run", "--rm", "--name", name, "--network", "host", "--read-only"),
            *("--tmpfs", "/tmp", "-v", f"{folder}/lake:/lake:ro", "-e", "FX_ASSETS_LAKE=/lake"),  # noqa: S108
            *("-e", f"FX_ASSETS_NOW={NOW}", "-e", f"FX_SERVING_PORT={port}", options.image),
        ]
        inside.append(seconds_to_answer(command, folder, port))
        subprocess.run(["docker", "rm", "-f", name], capture_output=True)
    median = statistics.median
    print(f"outside {median(outside):.2f} s, in a container {median(inside):.2f} s")
    print(f"ratio {median(inside) / median(outside):.2f} (asked: at most 1.5)")


if __name__ == "__main__":
    main()
