"""Shared by all tests: simulated rates, and folders for platforms of their own."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import ssl
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.scheduler.protocol import Scheduling

from fx_assets.instance import read_migrations_once
from fx_assets.registry.runs import ModelRegistry
from fx_assets.testing import worlds
from fx_assets_tests.environments import new_environment
from fx_assets_tests.examples import PROFILE, examples
from fx_assets_tests.platform import rates_of

# The suite tries the same examples each time; HYPOTHESIS_PROFILE=explore tries others.
for profile in ("suite", "ci"):
    settings.register_profile(profile, max_examples=examples(40), deadline=None, derandomize=True)
settings.register_profile("explore", max_examples=examples(200), deadline=None)
settings.load_profile(PROFILE)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Tests in the background of a script: what is ignored here is ignored by all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

OBJECTS_UNTIL_COLLECTED = 400_000

TOGETHER = ("containers", "assets", "universe", "serving_page", "deploy")
"""Folders whose files share an engine and images, a started platform, servers, a browser or
Prometheus."""

LONGEST_FIRST = (
    "containers",
    "production",
    "assets",
    "universe",
    "serving_page",
    "states",
    "serving",
    "forecasts",
    "deploy",
    "benchmarks",
    "lake",
    "importing",
    "comparing",
    "releases",
    "doors",
    "test_new.py",
    "test_acknowledge.py",
    "test_cli.py",
)
"""What takes longest: a worker that ends the session with one of them keeps all waiting.

The drill of ``production`` is lived through while the images are being built, which is quiet.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, and mark what looks at a page or lives through a drill."""
    rank = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
    here = Path(__file__).parent
    items.sort(key=lambda i: rank.get(i.path.relative_to(here).parts[0], len(rank)))
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if "drilled" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Let the collector leave alone what the imports have made: it is there until the end."""
    gc.freeze()
    gc.set_threshold(OBJECTS_UNTIL_COLLECTED, 10, 10)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return ByFile(config, log)


class ByFile(LoadFileScheduling):
    """A worker is given whole files, and whole folders whose files share what is costly."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.partition("/")[2].partition("/")[0]
        return folder if folder in TOGETHER else str(super()._split_scope(nodeid))


def pytest_unconfigure() -> None:
    """Let pytest's own collections at its end find nothing, and Python's find everything."""
    gc.freeze()
    atexit.register(gc.unfreeze)


def pytest_configure() -> None:
    gc.disable()
    read_migrations_once()
    # Certificates are read for each client, of servers that have none.
    ssl.create_default_context = cache(ssl.create_default_context)


@pytest.fixture(scope="session")
def rates() -> pd.DataFrame:
    """A random walk from 2014 to September 2018."""
    return rates_of(worlds.random_walk(1200, 1, start="2014-01-02"))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Fills a folder once for all workers of this session; tests copy it or leave it as it is."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def empty_registry(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A migrated MLflow database; migrating takes seconds, copying does not."""

    def prepare(folder: Path) -> None:
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        ModelRegistry(uri, (folder / "artifacts").as_uri()).prepare()

    return once("empty_registry", prepare) / "mlflow.db"


@pytest.fixture(scope="session")
def new_folder(
    tmp_path_factory: pytest.TempPathFactory, empty_registry: Path
) -> Callable[[], Path]:
    """Makes folders for platforms of their own."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("platform")
        (folder / "data").mkdir()
        shutil.copy(empty_registry, folder / "data" / "mlflow.db")
        return folder

    return make


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Writes a figure where people read it, also of tests that pass.

    To standard error: what a worker of xdist writes to standard output goes nowhere.
    """
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr, flush=True)

    return write


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment with the built wheel."""
    return new_environment(tmp_path_factory.mktemp("wheel"))
