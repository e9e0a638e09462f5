"""Dagster's records of a home are in the home, wherever a process of it is started."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from fx_assets.home_records import at_home

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the laptop's instance."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(CHECKOUT / "dagster.yaml", folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def test_what_one_process_records_another_finds_from_its_own_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def price() -> int:
        print("said by the run")
        return 1

    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with dg.DagsterInstance.get() as instance:
            if name == "one":
                assert dg.materialize([price], instance=instance).success
            found.append([run.run_id for run in instance.get_runs()])
            assert Path(instance.storage_directory()).is_relative_to(home)
        assert not list((tmp_path / name).iterdir())
    assert found[0] == found[1] != []
    (run,) = found[0]
    records = home / "data" / "dagster"
    assert (records / "history" / "runs" / f"{run}.db").is_file()
    assert any(
        "said by the run" in file.read_text() for file in records.glob(f"logs/{run}/**/*.out")
    )


def test_a_relative_home_is_of_the_folder_and_an_absolute_place_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "mine")
    assert at_home({"base_dir": "data"}) == {"base_dir": str(tmp_path / "mine" / "data")}
    monkeypatch.delenv("DAGSTER_HOME")
    assert at_home({"base_dir": "data", "more": 1}) == {
        "base_dir": str(tmp_path / "data"),
        "more": 1,
    }
    assert at_home({"base_dir": "/var/records"}) == {"base_dir": "/var/records"}
