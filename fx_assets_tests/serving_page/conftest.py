"""A server process on loopback, and a real browser that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import pytest
from filelock import FileLock

from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.testing.lakes import hourly_lake
from fx_assets.testing.processes import free_port
from fx_assets_tests.serving_page.lake import ISSUED, NOW, build_lake
from fx_assets_tests.universe.helpers import issued, prices_of, universe, walk
from serving.http.security import new_key

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 30
ROOT = Path(__file__).resolve().parents[2]
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Site:
    """A server that runs."""

    url: str
    environment: dict[str, str]

    def get(self, path: str, **given: Any) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, **given)

    def json(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()


def plain_environment() -> dict[str, str]:
    """The environment without proxies and without settings of this project."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in PROXIES and not name.startswith("FX_")
    }


@pytest.fixture(scope="package")
def serve() -> Iterator[Callable[..., Site]]:
    """Starts servers, which stop with the last test of this folder."""
    running: list[subprocess.Popen[bytes]] = []

    def start(home: Path, now: datetime = NOW, **settings: str) -> Site:
        port = free_port()
        environment = plain_environment() | settings
        environment |= {"FX_ASSETS_HOME": str(home), "FX_ASSETS_NOW": now.isoformat()}
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--port", str(port)],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        site = Site(f"http://127.0.0.1:{port}", environment)
        give_up = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, "the server ended"
            try:
                site.get("/health/live")
                return site
            except httpx.TransportError:
                assert time.monotonic() < give_up, "the server did not start"
                time.sleep(0.05)

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(timeout=20)


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that has judged, issued and scored; one for all workers of pytest-xdist."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "serving_page"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            making = folder.with_suffix(".making")
            build_lake(making)
            making.rename(folder)
    return folder


@pytest.fixture(scope="package")
def site(home: Path, serve: Callable[..., Site]) -> Site:
    """A server on that lake, which has read what was issued."""
    site = serve(home)
    give_up = time.monotonic() + START_SECONDS
    for spec in ISSUED:
        while site.get(f"/v1/forecasts/{spec.name}/latest").status_code != 200:
            assert time.monotonic() < give_up, site.get("/health/ready").text
            time.sleep(0.05)
    return site


@pytest.fixture(scope="package")
def hourly_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Site]) -> Site:
    """A server of hourly forecasts of bars with highs and lows."""
    folder = tmp_path_factory.mktemp("hourly")
    hourly_lake.make(folder / "data" / "lake")
    return settled(serve(folder, hourly_lake.NOW), "forecasts")


@pytest.fixture(scope="package")
def universe_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Site]) -> Site:
    """A server of a universe of two instruments."""
    folder = tmp_path_factory.mktemp("universe")
    spec = universe(targets=[{"kind": "volatility", "candidates": ["ewma"]}])
    prices = prices_of({name: walk(900, seed) for seed, name in enumerate(("EURAAA", "EURBBB"))})
    members = membership(prices, spec.membership, spec.market)
    rows = walk_universe(spec, prices, members, pd.DataFrame())
    now = prices["available_at"].max().to_pydatetime() + timedelta(minutes=5)
    issued(folder / "data" / "lake", spec, prices, rows, now)
    return settled(serve(folder, now), "universes")


def settled(site: Site, kind: str) -> Site:
    """The server once it lists what there is of a kind."""
    give_up = time.monotonic() + START_SECONDS
    while True:
        answer = site.get("/v1/forecasts")
        rows = answer.json().get(kind, []) if answer.status_code == 200 else []
        if rows and all(row.get("newest", True) for row in rows):
            return site
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.05)


@pytest.fixture(scope="package")
def empty_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Site]) -> Site:
    """A server where nothing has been materialized."""
    return serve(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="package")
def undeclared_site(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., Site]) -> Site:
    """The same, where the server does not see the declarations either."""
    folder = tmp_path_factory.mktemp("undeclared")
    return serve(folder, FX_ASSETS_DECLARED=str(folder / "absent"))


@pytest.fixture(scope="package")
def locked(home: Path, serve: Callable[..., Site]) -> tuple[Site, str]:
    """A server that asks for a key, and the key."""
    key, entry = new_key("reader", "read,predict")
    return serve(home, FX_SERVING_KEYS=entry), key


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need the Python package playwright"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One tab, and all that went wrong in it."""

    page: Page
    site: Site
    problems: list[str] = field(default_factory=list)

    def open(self, forecast: str = "") -> Page:
        """Show a forecast, or whatever comes first."""
        self.page.goto(f"{self.site.url}/#{forecast}")
        self.settle(forecast)
        return self.page

    def settle(self, forecast: str = "") -> None:
        """Wait until that forecast is shown."""
        chosen = f"[data-forecast='{forecast}']" if forecast else ""
        self.page.wait_for_selector(f"main[data-state=ready]{chosen}", timeout=15_000)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens tabs; afterwards none may have logged an error or left the server."""
    visits: list[Visit] = []

    def new(site: Site, **settings: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | settings)
        context.set_default_timeout(10_000)
        one = Visit(context.new_page(), site)

        def said(message: Any) -> None:
            if message.type in ("error", "warning"):
                one.problems.append(message.text)

        def asked(request: Any) -> None:
            if not request.url.startswith((site.url, "data:", "blob:")):
                one.problems.append(f"left the server: {request.url}")

        one.page.on("console", said)
        one.page.on("pageerror", lambda error: one.problems.append(str(error)))
        one.page.on("request", asked)
        visits.append(one)
        return one

    yield new
    for one in visits:
        one.page.context.close()
        assert one.problems == []
