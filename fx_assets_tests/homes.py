"""Homes of small deployments on disk: a file of daily bars, one forecast, real commands."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.cli import main

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eur
  source: {kind: files, path: in/eur.csv, instrument: EURUSD}
  calendar: 24x5
  start: 2019-01-01
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: up
  feed: eur
  target: {kind: direction}
  features: ohlc
  candidates: [persistence]
  walk_forward: {first_test: 2021-01-01, min_train: 250}
  live_from: 2022-01-01
"""
DAGSTER = """\
telemetry: {enabled: false}
storage: {sqlite: {base_dir: data/dagster}}
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
"""What runs print stays where it is printed: copies of it take four processes a run."""
LAST = pd.Timestamp("2022-03-04")
"""A Friday: the last bar that a new home has."""
COMMAND = [sys.executable, "-m", "fx_assets.cli"]


def bars(last: pd.Timestamp = LAST) -> str:
    """A CSV file of a random walk's daily bars."""
    days = pd.bdate_range("2019-01-01", "2022-12-30")
    random = np.random.default_rng(3)
    close = 1.12 * np.exp(np.cumsum(random.normal(0, 0.005, len(days))))
    open_ = np.r_[1.12, close[:-1]]
    away = np.abs(random.normal(0, 0.002, (2, len(days))))
    table = pd.DataFrame(
        {
            "Date": days.strftime("%Y-%m-%d"),
            "Open": open_,
            "High": np.maximum(open_, close) + away[0],
            "Low": np.minimum(open_, close) - away[1],
            "Close": close,
        }
    )
    return table[days <= last].round(5).to_csv(index=False)


@dataclass
class Home:
    """A folder that commands are run in."""

    folder: Path
    day: pd.Timestamp = LAST
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path, registry: Path | None = None) -> Home:
        """A home with declarations and bars, in which nothing has been run.

        ``registry`` is an empty one to begin with; without it the first run makes one.
        """
        for path, text in {
            "defs/feeds/eur/defs.yaml": FEED,
            "defs/forecasts/up/defs.yaml": FORECAST,
            "in/eur.csv": bars(),
            "dagster.yaml": DAGSTER,
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        if registry is not None:
            (folder / "data").mkdir()
            shutil.copy(registry, folder / "data" / "mlflow.db")
        return cls(folder)

    def copy_to(self, folder: Path) -> Home:
        shutil.copytree(self.folder, folder)
        return Home(folder, self.day, dict(self.environment))

    def advance(self, days: int = 1) -> pd.Timestamp:
        """Let days pass, each with a bar; returns the newest."""
        self.day = self.day + days * pd.offsets.BDay()
        (self.folder / "in" / "eur.csv").write_text(bars(self.day))
        return self.day

    @property
    def variables(self) -> dict[str, str]:
        evening = self.day + pd.Timedelta(30, "h")
        return {
            "FX_ASSETS_HOME": str(self.folder),
            "FX_ASSETS_DECLARED": "defs",
            "DAGSTER_HOME": str(self.folder),
            "FX_ASSETS_NOW": evening.tz_localize("UTC").isoformat(),
            "FX_ASSETS_AUTOMATION": "false",
            **self.environment,
        }

    def start(self, *arguments: str, command: list[str] | None = None) -> subprocess.Popen[str]:
        """Begin a command in a process group of its own."""
        return subprocess.Popen(
            [*(command or COMMAND), *arguments],
            env={**os.environ, **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str) -> Answer:
        """Run a command to its end in a process of its own."""
        process = self.start(*arguments)
        out, err = process.communicate()
        return Answer(process.returncode, out, err)

    def run(self, *arguments: str) -> Answer:
        """Run a command to its end in this process, which spares it seconds of imports."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.variables.items():
                patch.setenv(name, value)
            code = main(arguments)
        return Answer(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def succeeded(self) -> Answer:
        assert self.code == 0, self.said
        assert "Traceback" not in self.said
        return self

    def failed(self) -> Answer:
        assert self.code == 1, self.said
        assert "Traceback" not in self.said
        return self
