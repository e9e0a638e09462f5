"""What it takes to build the features of millions of minute bars, beside the least it could take.

The least is the memory of the feature matrix, and the time to fill that memory once. Read the
ratios; times depend on the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar, calendar
from fx_assets.features.base import feature_set
from fx_assets.features.frame import feature_frame
from fx_assets.features.labels import add_labels
from fx_assets.specs import TargetSpec

LIMIT_MEMORY = 3.0
LIMIT_GB = 6.0
LEAST_ROWS = 1_000_000
"""With fewer, what libraries take weighs more than the matrix, and no limit is asked."""
GB = 1e9


def status(field: str) -> float:
    """A size of this process in GB: ``VmRSS`` is what is resident, ``VmHWM`` was at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / GB


@dataclass
class Step:
    """One step: seconds, resident memory before it and at most during it."""

    seconds: float = 0.0
    before: float = 0.0
    peak: float = 0.0


@contextmanager
def measured() -> Iterator[Step]:
    """Measure what happens inside."""
    step = Step(before=status("VmRSS"))
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    yield step
    step.seconds, step.peak = time.perf_counter() - start, status("VmHWM")


def minute_bars(n: int, market: Calendar) -> pd.DataFrame:
    """A random walk of ``n`` bars with ranges and volumes, ending with 2025."""
    rng = np.random.default_rng(0)
    end = np.datetime64("2026-01-01", "us")
    times = end - np.arange(n)[::-1] * np.timedelta64(market.bar)
    event_time = pd.DatetimeIndex(times).tz_localize("UTC")
    close = 100 * np.exp(np.cumsum(rng.normal(0, 5e-4, n)))
    opens = np.concatenate([close[:1], close[:-1]])
    wick = np.exp(np.abs(rng.normal(0, 3e-4, n)))
    return pd.DataFrame(
        {
            "event_time": event_time,
            "available_at": event_time,
            "open": opens,
            "high": np.maximum(opens, close) * wick,
            "low": np.minimum(opens, close) / wick,
            "close": close,
            "volume": rng.lognormal(3, 1, n),
            "market_cap": np.nan,
        }
    )


def main() -> None:
    """Print rows, columns, memory over the matrix, and time over filling it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--features", default="ohlcv")
    chosen = parser.parse_args()
    market = calendar("24x7|1min||0")
    features = feature_set(chosen.features, market.bar)
    bars = minute_bars(chosen.rows, market)
    floor = chosen.rows * len(features.columns) * 8 / GB
    with measured() as filling:
        np.empty((len(features.columns), chosen.rows)).fill(1.0)
    with measured() as building:
        frame = feature_frame(bars, features, market)
    with measured() as labelling:
        labelled = add_labels(frame, TargetSpec(kind="return"), market)
    peak = max(building.peak, labelling.peak)
    over = (building.peak - building.before) / floor
    print(f"rows              {chosen.rows:,}")
    print(f"columns           {len(features.columns)} of {chosen.features}")
    print(f"matrix            {floor:.2f} GB, filled once in {filling.seconds:.1f} s")
    print(f"features          {building.seconds:.1f} s, {building.seconds / filling.seconds:.1f} x")
    print(f"features' memory  {building.peak - building.before:.2f} GB, {over:.2f} x the matrix")
    print(f"labels            {labelling.seconds:.1f} s")
    print(f"peak of all       {peak:.2f} GB, with {building.before:.2f} GB of input and libraries")
    assert len(labelled) == chosen.rows
    if chosen.rows >= LEAST_ROWS and (over > LIMIT_MEMORY or peak > LIMIT_GB):
        raise SystemExit(f"Over the limit of {LIMIT_MEMORY} x or {LIMIT_GB} GB.")


if __name__ == "__main__":
    main()
