"""``fx-assets rollback`` by its command: recorded, served, and every store agrees afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.bundles.bundle import champion_ref
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.homes import LAST, Home
from fx_assets_tests.states.stores import lake_of, stores

pytestmark = pytest.mark.slow

WHY = "the vendor took the week's bars back"


@pytest.fixture(scope="session")
def three_versions(once: Callable[[str, Callable[[Path], None]], Path], first_home: Home) -> Home:
    """A home whose baseline was published three times, a week apart; left as it is."""

    def fill(folder: Path) -> None:
        shutil.rmtree(folder)
        home = first_home.copy_to(folder)
        for _ in range(2):
            home.advance(5)
            home.run("run", "--retrain").succeeded()

    folder = once("three_versions", fill)
    return Home(folder, LAST + 10 * pd.offsets.BDay())


@pytest.fixture
def home(three_versions: Home, tmp_path: Path) -> Home:
    return three_versions.copy_to(tmp_path / "home")


def back(home: Home, *arguments: str, reason: str = WHY) -> tuple[str, ...]:
    return ("rollback", "up", *arguments, "--by", "ada", "--reason", reason)


def decisions(home: Home) -> pd.DataFrame:
    return lake_of(home).read("decisions", "up").sort_values("sequence", ignore_index=True)


def test_an_earlier_version_is_served_within_seconds_and_all_stores_follow(home: Home) -> None:
    before, path = decisions(home), "/v1/forecasts/up/model"
    lake = home.folder / "data" / "lake"
    with serving(lake, home.folder / "server", now=home.variables["FX_ASSETS_NOW"]) as server:
        until(lambda: server.client.get(path).status_code == 200)
        assert server.client.get(path).json()["champion"]["version"] == 3
        said = home.run(*back(home, "--to", "v1")).succeeded().out
        until(lambda: server.client.get(path).json()["champion"]["version"] == 1)
        newest = server.client.get("/v1/forecasts/up/champions").json()["reigns"][0]
    assert (newest["how"], newest["versions"]) == ("rollback", [1])
    assert f"Rolled back from base_rate v3 to base_rate v1, by ada: {WHY}." in said
    after = decisions(home)
    pd.testing.assert_frame_equal(after[: len(before)], before)
    assert after["verdict"].iloc[-1] == "rollback"
    assert "champion" in stores(home)["aliases"], "bundle, pointer, ledger and alias agree"


def test_runs_leave_it_until_it_is_released_and_predict_by_it(home: Home) -> None:
    home.run(*back(home, "--to", "1")).succeeded()
    home.advance(5)
    home.run("run", "--retrain").succeeded()
    assert champion_ref(lake_of(home), "up").version == 1
    assert decisions(home)["verdict"].iloc[-1] == "keep"
    rows = lake_of(home).read("predictions", "up").sort_values("event_time")
    assert rows["champion_version"].iloc[-1] == "v1"
    home.run(*back(home, "--release")).succeeded()
    home.advance(5)
    home.run("run", "--retrain").succeeded()
    assert champion_ref(lake_of(home), "up").version == 4
    stores(home)


@pytest.mark.parametrize(
    ("arguments", "says", "remedy"),
    [
        (("up", "--to", "7"), "up never had a v7", "Choose one of v1 (base_rate), v2 (base_rate)."),
        (("up", "--to", "v3"), "v3 is in production already", "Choose one of v1"),
        (("up", "--to", "last"), "'last' is not a version", "Write it as 3"),
        (("down", "--to", "1"), "No forecast is called down", "Declared are: up"),
        (("up", "--release"), "No rollback of up stands", "nothing to release"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do_and_changes_nothing(
    three_versions: Home, arguments: tuple[str, ...], says: str, remedy: str
) -> None:
    before = decisions(three_versions)
    refused = three_versions.run("rollback", *arguments, "--by", "ada", "--reason", WHY).failed()
    assert says in refused.err
    assert remedy in refused.err
    empty = three_versions.run("rollback", "up", "--to", "1", "--by", "ada", "--reason", " ")
    assert "stays in the ledger" in empty.failed().err
    pd.testing.assert_frame_equal(decisions(three_versions), before)
    assert champion_ref(lake_of(three_versions), "up").version == 3


def test_a_version_whose_bundle_is_gone_is_refused_with_those_that_are_whole(home: Home) -> None:
    lake = home.folder / "data" / "lake"
    shutil.rmtree(lake / "bundles" / "up" / "1")
    shutil.rmtree(lake / "copies" / "up" / "1")
    refused = home.run(*back(home, "--to", "1")).failed()
    assert "bundles/up/1 is gone or damaged" in refused.err
    assert "choose one that is whole: v2, v3" in refused.err
    shutil.rmtree(lake / "bundles" / "up" / "2")
    assert "from base_rate v3 to base_rate v2" in home.run(*back(home, "--to", "2")).succeeded().out
    stores(home)


def test_without_mlflow_it_is_recorded_and_served_and_the_next_run_names_the_alias(
    home: Home,
) -> None:
    home.environment["FX_ASSETS_MLFLOW"] = "http://127.0.0.1:9"
    said = home.run(*back(home, "--to", "1")).failed().said
    assert "Rolled back from base_rate v3" in said
    assert "MLflow" in said
    assert champion_ref(lake_of(home), "up").version == 1
    del home.environment["FX_ASSETS_MLFLOW"]
    assert "they are set to v1" in home.run("run").succeeded().out
    stores(home)
