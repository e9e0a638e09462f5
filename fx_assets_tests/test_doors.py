"""Families and feature sets of other people come in without a change of this package."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fx_assets import code_identity, doors
from fx_assets.cli import main
from fx_assets.doors import FAMILIES, FEATURE_SETS
from fx_assets.errors import SpecError
from fx_assets.evaluation.study import Study
from fx_assets.features import feature_set, labelled_frame
from fx_assets.models import code_version
from fx_assets.testing.worlds import random_walk
from fx_assets_tests.platform import TARGET, Platform, failures, forecast_spec

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
FEATURES_CODE, FAMILY_CODE, *_ = re.findall(
    r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL
)
DECLARED = {
    "name": "theirs",
    "target": {"kind": "return"},
    "features": "weekly_momentum",
    "candidates": ["damped_ridge"],
}


def _forget() -> None:
    for cache in (doors._offers, doors._modules, feature_set, code_version, code_identity._module):
        cache.cache_clear()
    code_identity._file.cache_clear()


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Makes a plug-in folder of modules, given by name."""
    folder = tmp_path / "plugins"

    def make(**modules: str) -> Path:
        folder.mkdir(exist_ok=True)
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.setenv("FX_ASSETS_PLUGINS", str(folder))
        _forget()
        return folder

    yield make
    monkeypatch.undo()
    for name in [n for n in sys.modules if n.partition(".")[0] in ("plugins", "my_desk")]:
        del sys.modules[name]
    _forget()


def _install(site: Path, monkeypatch: pytest.MonkeyPatch, points: str) -> None:
    """A stranger's package, as an installer leaves it."""
    package, facts = site / "my_desk", site / "my_desk-1.0.dist-info"
    package.mkdir(parents=True)
    facts.mkdir()
    (package / "__init__.py").write_text("")
    (package / "momentum.py").write_text(FEATURES_CODE)
    (package / "damped_ridge.py").write_text(FAMILY_CODE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-desk\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    _forget()


POINTS = """[fx_assets.families]
damped_ridge = my_desk.damped_ridge:DampedRidge

[fx_assets.feature_sets]
weekly_momentum = my_desk.momentum:WeeklyMomentum
"""


def test_our_own_families_and_feature_sets_come_through_the_door() -> None:
    assert {"garch", "xgboost", "base_rate"} <= set(FAMILIES)
    assert {"fx_close", "ohlc", "ohlcv"} <= set(FEATURE_SETS)
    assert all(FAMILIES[name].name == name for name in FAMILIES)
    assert all(FEATURE_SETS[name].name == name for name in FEATURE_SETS)
    assert FAMILIES.origin("garch") == "fx-assets"


def test_a_strangers_package_is_declared_judged_and_predicts(
    plugins: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_folder, rates
) -> None:
    _install(tmp_path / "site", monkeypatch, POINTS)
    assert FAMILIES.origin("damped_ridge") == "my-desk"
    platform = Platform(new_folder(), monkeypatch, forecasts=[forecast_spec(**DECLARED)])
    last = rates.index[-1].date()
    platform.arrive(rates, last)
    for result in (
        platform.ingest(),
        platform.retrain("theirs"),
        platform.predict(last, forecast="theirs"),
    ):
        assert result.success, failures(result)
    judged = platform.lake.read("scores", "theirs")
    assert set(judged["candidate"]) == {"zero", "damped_ridge"}
    assert platform.frame("theirs")["momentum_5"].notna().any()
    assert len(platform.predictions("theirs")) == 1


def test_a_class_in_the_plugin_folder_is_declared_and_judged(plugins: Callable[..., Path]) -> None:
    plugins(momentum=FEATURES_CODE, ridge=FAMILY_CODE)
    spec = forecast_spec(**DECLARED)
    frame = labelled_frame(random_walk(900, 3, start="2014-01-02"), spec, TARGET)
    assert frame["momentum_5"].isna().sum() == 5
    judged = Study(spec, frame).walk_forward(spec.candidates[0])
    assert judged.predictions["prediction"].std() > 0


def test_a_plugin_of_the_documentation_is_proved_on_the_command_line(
    plugins: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plugins(momentum=FEATURES_CODE, ridge=FAMILY_CODE)
    assert main(["prove", "plugins"]) == 0
    printed = capsys.readouterr().out
    assert "model family damped_ridge" in printed
    assert "9 of 9 checks hold (weekly_momentum-1d)" in printed
    assert "Proved" in printed


def test_a_plugin_that_looks_ahead_is_not_proved_and_the_column_is_named(
    plugins: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    leak = "return np.append(bars.change(5)[1:], 0.0)"
    plugins(momentum=FEATURES_CODE.replace("return bars.change(5)", leak))
    assert main(["prove", "weekly_momentum"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED weekly_momentum-1d: no column knows a later price" in printed
    assert "momentum_5 of row" in printed


def test_what_is_no_plugin_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "nothing_of_that_name"]) == 1
    said = capsys.readouterr().err
    assert "nothing_of_that_name" in said
    assert "garch" in said


def test_a_changed_helper_of_a_plugin_changes_its_identity(plugins: Callable[..., Path]) -> None:
    helped = FAMILY_CODE.replace(
        "import numpy as np", "import numpy as np\nfrom plugins.helpers import HALF"
    )
    folder = plugins(helpers="HALF = 0.5\n", ridge=helped.replace("0.5 *", "HALF *"))
    before, ours = code_version("damped_ridge"), code_version("ridge")
    (folder / "helpers.py").write_text("# a comment\nHALF = 0.5\n")
    _forget()
    assert code_version("damped_ridge") == before
    (folder / "helpers.py").write_text("HALF = 0.25\n")
    _forget()
    assert code_version("damped_ridge") != before
    assert code_version("ridge") == ours


def test_without_the_setting_no_folder_is_looked_at(
    plugins: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins(momentum=FEATURES_CODE)
    monkeypatch.delenv("FX_ASSETS_PLUGINS")
    _forget()
    assert "weekly_momentum" not in FEATURE_SETS
    with pytest.raises(ValueError, match="weekly_momentum"):
        forecast_spec(**{**DECLARED, "candidates": ["ridge"]})


def test_a_name_that_two_plugins_offer_is_refused_with_both_places(
    plugins: Callable[..., Path],
) -> None:
    plugins(ridge=FAMILY_CODE.replace('"damped_ridge"', '"ridge"'))
    with pytest.raises(SpecError, match=r"'ridge': fx-assets and .*ridge\.py"):
        FAMILIES["ridge"]


def test_a_module_that_cannot_be_imported_is_named_and_leaves_the_others_alone(
    plugins: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plugins(broken="import no_such_package", momentum=FEATURES_CODE)
    assert "weekly_momentum" in FEATURE_SETS
    with pytest.raises(SpecError, match=r"broken\.py cannot be imported: ModuleNotFoundError"):
        FAMILIES["damped_ridge"]
    assert main(["check"]) == 1
    assert "broken.py cannot be imported" in capsys.readouterr().err


def test_a_package_that_cannot_be_imported_is_named(
    plugins: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path / "site", monkeypatch, POINTS.replace("DampedRidge", "NotThere"))
    with pytest.raises(SpecError, match=r"my_desk.damped_ridge:NotThere \(my-desk\)"):
        FAMILIES["damped_ridge"]


@pytest.mark.parametrize(
    ("value", "said"), [("no/such/folder", "is not a folder"), ("a-b", "cannot import")]
)
def test_a_folder_that_cannot_be_one_is_refused(
    value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-b").mkdir()
    monkeypatch.setenv("FX_ASSETS_PLUGINS", str(tmp_path / value))
    _forget()
    with pytest.raises(SpecError, match=said):
        len(FAMILIES)
    monkeypatch.undo()
    _forget()


def test_what_comes_through_no_door_is_not_proved_and_said_with_what_to_do(
    plugins: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unfinished = FAMILY_CODE.replace("def _graph(", "def graph(")
    unfinished = unfinished.replace("damped_ridge", "no_graph")
    plugins(momentum=FEATURES_CODE, half=unfinished, oops="def broken(:")
    assert main(["prove", "plugins"]) == 1
    printed = capsys.readouterr().out
    assert "9 of 9 checks hold (weekly_momentum-1d)" in printed
    assert printed.count("no_graph") <= 6
    assert "lacks _graph" in printed
    assert "oops.py cannot be imported: SyntaxError" in printed
    _install(tmp_path / "site", monkeypatch, POINTS.replace("feature_sets", "features"))
    assert main(["prove", "my-desk"]) == 1
    printed = capsys.readouterr().out
    assert "group of entry points 'fx_assets.features', which does not exist" in printed
    assert main(["check"]) == 1
    assert "fx_assets.feature_sets" in capsys.readouterr().err
