"""One platform that has been started, and copies of it for tests that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fx_assets_tests.platform import Platform

TODAY = "2018-03-28"
"""The Wednesday before Easter: Thursday is open, Friday and Monday are closed."""


@dataclass
class Started:
    """A platform on its first evening, and what its first three runs were."""

    platform: Platform
    ingest: dg.ExecuteInProcessResult
    retrain: dg.ExecuteInProcessResult
    predict: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def started(new_folder: Callable[[], Path], rates: pd.DataFrame) -> Started:
    """A platform after its first evening; tests read it and leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        platform = Platform(new_folder(), patch, persistent=True)
        platform.arrive(rates, TODAY)
        return Started(platform, platform.ingest(), platform.retrain(), platform.predict(TODAY))


@pytest.fixture
def first_evening(started: Started, monkeypatch: pytest.MonkeyPatch) -> Started:
    """The started platform with its environment, to look at."""
    for name, value in _environment(started.platform).items():
        monkeypatch.setenv(name, value)
    return started


@pytest.fixture
def platform(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: pd.DataFrame
) -> Platform:
    """A copy of the started platform, to change."""
    copy = started.platform.copy_to(tmp_path / "platform", monkeypatch)
    copy.arrive(rates, TODAY)
    return copy


def _environment(platform: Platform) -> dict[str, str]:
    return {
        "FX_ASSETS_HOME": str(platform.folder),
        "FX_ASSETS_NOW": f"{TODAY}T18:00:00+00:00",
    }
