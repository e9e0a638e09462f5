"""A project of one's own: from the built wheel, in a new environment, beside no checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fx_assets.cli import main
from fx_assets.errors import SpecError
from fx_assets.settings import Settings
from fx_assets_tests.environments import (
    CHECKOUT,
    OFFLINE,
    first_answer,
    free_ports,
    plain_environment,
    said,
)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def project(commands: Path, new_folder: Callable[[], Path]) -> Path:
    """What ``fx-assets new my-desk`` writes in an empty folder."""
    folder = new_folder()
    subprocess.run(
        [commands / "fx-assets", "new", "my-desk"], cwd=folder, env=plain_environment(), check=True
    )
    return folder / "my-desk"


@pytest.fixture
def run(commands: Path, project: Path) -> Run:
    """Runs a command of the new environment in the project; returns what it says."""

    def told(*words: str, code: int = 0, **settings: str) -> str:
        return said([commands / words[0], *words[1:]], project, code, **settings)

    return told


@pytest.mark.slow
def test_a_project_from_the_wheel_is_whole_and_well_declared(project: Path, run: Run) -> None:
    for name in (
        *("pyproject.toml", "workspace.yaml", "dagster.yaml", ".env.example", "README.md"),
        *(".gitignore", "defs/feeds/eurusd/defs.yaml", "plugins/momentum.py"),
        *("defs/forecasts/eurusd_return/defs.yaml", "plugins/damped_ridge.py"),
    ):
        assert (project / name).is_file(), name
    assert (project / "dagster.yaml").read_text() == (CHECKOUT / "dagster.yaml").read_text()
    where = "import fx_assets, sys; print(fx_assets.__file__)"
    assert str(CHECKOUT) not in run("python", "-c", where)
    assert "1 feed and 1 forecast are well declared." in run("fx-assets", "check")


@pytest.mark.slow
def test_the_environment_and_env_file_go_before_the_projects_own_settings(
    project: Path, run: Run
) -> None:
    assert "no folder" in run("fx-assets", "check", code=1, FX_ASSETS_DECLARED="elsewhere")
    (project / ".env").write_text("FX_ASSETS_DECLARED=from_env_file\n")
    try:
        assert "from_env_file" in run("fx-assets", "check", code=1)
    finally:
        (project / ".env").unlink()


@pytest.mark.slow
def test_dagster_finds_the_projects_definitions_in_order(run: Run) -> None:
    assert "All definitions loaded successfully." in run("dg", "check", "defs")
    listed = run("dg", "list", "defs")
    assert "eurusd_return/predictions" in listed
    assert "gbpusd_direction" not in listed


@pytest.mark.slow
def test_a_new_project_runs_and_proves_its_plugins(project: Path, run: Run) -> None:
    said = run("fx-assets", "run")
    assert "forecast: eurusd_return\ninstrument: EURUSD\nas of: 2024-01-02\n" in said
    assert (project / "data" / "lake").is_dir()
    assert "Proved: it may be declared" in run("fx-assets", "prove", "plugins")
    assert "1 forecast was up to date" in run("fx-assets", "run")


@pytest.mark.slow
def test_a_new_projects_servers_start_and_end_together(commands: Path, project: Path) -> None:
    ports = dict(zip(("DAGSTER", "MLFLOW", "SERVING"), free_ports(3), strict=True))
    settings = {
        "FX_ASSETS_DAGSTER_PORT": ports["DAGSTER"],
        "FX_ASSETS_MLFLOW_PORT": ports["MLFLOW"],
        "FX_SERVING_PORT": ports["SERVING"],
        "FX_ASSETS_AUTOMATION": "false",
    }
    server = subprocess.Popen(
        [commands / "fx-assets", "dev"], cwd=project, env=plain_environment(**OFFLINE, **settings)
    )
    try:
        query = "{repositoriesOrError {... on RepositoryConnection {nodes {name}}}}"
        graphql = f"http://127.0.0.1:{ports['DAGSTER']}/graphql"
        repositories = first_answer(server, lambda: httpx.post(graphql, json={"query": query}))
        assert repositories.json()["data"]["repositoriesOrError"]["nodes"]
        page = f"http://127.0.0.1:{ports['SERVING']}/"
        assert "<html" in first_answer(server, lambda: httpx.get(page)).text
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.parametrize("name", ["3x", "a b", "desk_", "json", "numpy", "defs", "class", "ümlaut"])
def test_what_is_not_a_packages_name_or_taken_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", str(tmp_path / name)]) == 1
    assert repr(name) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("desk", "file"):
        assert main(["new", str(tmp_path / name)]) == 1
        assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "desk").iterdir()] == ["mine.txt"]
    (tmp_path / "empty-desk").mkdir()
    assert main(["new", str(tmp_path / "empty-desk")]) == 0
    assert 'name = "empty-desk"' in (tmp_path / "empty-desk" / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.fx_assets]\nplugin = 'x'\n", r"has no setting 'plugin'"),
        ("[tool.fx_assets\n", r"pyproject\.toml cannot be read"),
        ("[tool]\nfx_assets = 3\n", r"not a table of settings"),
        ("[tool.fx_assets]\nhttp_attempts = 'many'\n", "HTTP_ATTEMPTS='many' in pyproject.toml: "),
    ],
)
def test_a_project_file_that_makes_no_sense_is_explained(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SpecError, match=said):
        Settings(home=tmp_path)


@pytest.mark.slow
def test_settings_of_a_project_are_read_again_when_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    for stamp, name in enumerate(("one", "two")):
        file.write_text(f'[tool.fx_assets]\nlake = "{name}"\n')
        os.utime(file, ns=(stamp, stamp))
        assert Settings(home=tmp_path).lake_root == str(tmp_path / name)
