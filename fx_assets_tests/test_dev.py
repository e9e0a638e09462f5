"""``fx-assets dev`` starts everything, answers, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from fx_assets.testing.processes import free_port
from fx_assets_tests.families import alive, family
from fx_assets_tests.homes import Home
from fx_assets_tests.states.conftest import first_home, home

__all__ = ["first_home", "home"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SECONDS = 150


def until(met: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.HTTPError:
        return False


def assets_of(dagster: str) -> set[str]:
    """What the UI shows; nothing while the definitions load."""
    asked = {"query": "{ assetNodes { assetKey { path } } }"}
    answer = httpx.post(f"{dagster}/graphql", json=asked, timeout=60).json()
    return {"/".join(node["assetKey"]["path"]) for node in answer["data"]["assetNodes"]}


def test_dev_answers_at_each_address_that_it_prints_and_ends_with_all_its_processes(
    home: Home,
) -> None:
    ports = [free_port() for _ in range(3)]
    names = ("FX_ASSETS_DAGSTER_PORT", "FX_ASSETS_MLFLOW_PORT", "FX_SERVING_PORT")
    home.environment |= {name: str(port) for name, port in zip(names, ports, strict=True)}
    process = home.start("dev")
    begun = {process.pid}
    try:
        dagster, mlflow, forecasts = (f"http://127.0.0.1:{port}" for port in ports)
        pages = (
            f"{dagster}/server_info",
            f"{mlflow}/health",
            f"{forecasts}/v1/forecasts/up/latest",
        )
        for page in pages:
            until(lambda page=page: answers(page) or process.poll() is not None, page)
            assert process.poll() is None, process.communicate()
        until(lambda: {"eur/prices", "up/predictions"} <= assets_of(dagster), "no assets are shown")
        begun = family(process.pid)
        process.kill()
        out, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, out + err
        for address in (dagster, mlflow, forecasts):
            assert address in out
        until(lambda: not alive(begun), "processes are left")
    finally:
        for pid in alive(begun):
            os.kill(pid, signal.SIGKILL)
