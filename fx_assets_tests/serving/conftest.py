"""One server on one small lake, shared by the tests that change nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving, until

LOCK = Path(__file__).parents[2] / "deploy" / "requirements-serving.txt"


@pytest.fixture(scope="package", autouse=True)
def _servers_find_what_their_image_has() -> Iterator[None]:
    normal = re.compile(r"[-_.]+")
    lines = re.findall(r"^[\w.-]+(?===)", LOCK.read_text(), re.MULTILINE)
    locked = {normal.sub("-", line) for line in lines}
    missing = [
        module
        for module, names in packages_distributions().items()
        if not locked & {normal.sub("-", name).lower() for name in names}
        and not module.startswith(("fx_assets", "serving", "__editable__"))
    ]
    folders = [str(Path(__file__).with_name("image")), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABSENT_FROM_THE_IMAGE", " ".join(missing))
        patch.setenv("PYTHONPATH", os.pathsep.join(folders))
        yield


@pytest.fixture(scope="session")
def lake_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("serving") / "lake"
    small_lake.make(root)
    return root


@pytest.fixture(scope="package")
def server(lake_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    with serving(lake_root, folder, poll_seconds="1") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        yield running


@pytest.fixture
def api(server: Running) -> httpx.Client:
    return server.client
