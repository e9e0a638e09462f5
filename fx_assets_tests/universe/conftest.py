"""A universe of a few simulated currencies, driven through real Dagster runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from fx_assets.assets.automation import range_tags
from fx_assets.assets.progress import progress_logger
from fx_assets.components.universe import universe_definitions
from fx_assets.resources import resources
from fx_assets.specs.universe import UniverseSpec
from fx_assets_tests.platform import Platform
from fx_assets_tests.universe.helpers import universe, walk

SPEC = universe(min_rows=250)
DAYS = 900
LEFT_AFTER = 850
FIRST_EVENING = DAYS - 7


class UniversePlatform(Platform):
    """A platform that runs one universe and nothing else."""

    spec: UniverseSpec = SPEC

    def reload(self) -> None:
        self.definitions = dg.Definitions.merge(
            universe_definitions(self.spec),
            dg.Definitions(
                resources=resources(),
                loggers={"progress": progress_logger},
                executor=dg.in_process_executor,
            ),
        )

    @property
    def partitions(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(f"{self.spec.name}_instruments"))

    def discover(self) -> dg.ExecuteInProcessResult:
        return self.run(f"{self.spec.name}_discover")

    def update(self, first: str = "", last: str = "") -> dg.ExecuteInProcessResult:
        """Update from ``first`` to ``last``, or everything."""
        tags = range_tags(first or self.partitions[0], last or self.partitions[-1])
        return self.run(f"{self.spec.name}_update", tags)

    def ask_sensor(self) -> dg.RunRequest | dg.SkipReason:
        """What the universe's sensor asks for now."""
        found = self.definitions.resolve_sensor_def(f"{self.spec.name}_follows_instruments")
        with dg.build_sensor_context(self.instance, resources=self._resources()) as context:
            data = found.evaluate_tick(context)
        if not data.run_requests:
            return dg.SkipReason(data.skip_message)
        (request,) = data.run_requests
        return request

    def commits(self, table: str) -> int:
        version = self.lake.version(table, self.spec.name)
        return -1 if version is None else version


@pytest.fixture(scope="session")
def many_rates() -> pd.DataFrame:
    """Five currencies: two that trade, one that stands still, one that leaves, one that is new."""
    first = walk(DAYS, 1)
    days = pd.DatetimeIndex(first["event_time"]).tz_localize(None).normalize()
    closes = {
        "AAA": first["close"],
        "BBB": walk(DAYS, 2)["close"],
        "PEG": pd.Series(np.full(DAYS, 7.46)),
        "OLD": walk(DAYS, 3)["close"].where(np.arange(DAYS) < LEFT_AFTER),
        "NEW": walk(DAYS, 4)["close"].where(np.arange(DAYS) >= DAYS - 5),
    }
    table = pd.DataFrame(closes).set_index(days).round(6)
    return table.rename_axis("Date")


@dataclass
class Started:
    """A universe on the evening before the new currency appears, and its first two runs."""

    platform: UniversePlatform
    discover: dg.ExecuteInProcessResult
    update: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory, many_rates: pd.DataFrame) -> Started:
    with pytest.MonkeyPatch.context() as patch:
        platform = UniversePlatform(
            tmp_path_factory.mktemp("universe"), patch, [], [], persistent=True
        )
        platform.arrive(many_rates.drop(columns="NEW"), many_rates.index[FIRST_EVENING].date())
        return Started(platform, platform.discover(), platform.update())


@pytest.fixture
def first_evening(started: Started, monkeypatch: pytest.MonkeyPatch) -> Started:
    """The started universe with its environment, to look at."""
    monkeypatch.setenv("FX_ASSETS_HOME", str(started.platform.folder))
    return started


@pytest.fixture
def platform(
    started: Started, many_rates: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> UniversePlatform:
    """A copy of the started universe, to change."""
    folder = tmp_path / "platform"
    shutil.copytree(started.platform.folder, folder)
    copy = UniversePlatform(folder, monkeypatch, [], [])
    copy.arrive(many_rates.drop(columns="NEW"), many_rates.index[FIRST_EVENING].date())
    copy.discover()
    return copy
