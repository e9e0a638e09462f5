"""Kinds of target of other people work from the declaration to the answer."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fx_assets import code_identity, doors
from fx_assets.bundles.bundle import publish
from fx_assets.doors import TARGETS, Door
from fx_assets.errors import RegistryError, SpecError
from fx_assets.lake import Lake
from fx_assets.models import code_version, kinds_of
from fx_assets.specs import TargetSpec
from fx_assets.targets import target_definition
from fx_assets.testing import prove
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets.testing.lakes.small_lake import bundle
from fx_assets_tests.platform import Platform, failures, forecast_spec

OURS = ("direction", "return", "volatility")
PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
(BIG_RISE,) = (
    code
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    if "class BigRise" in code
)
MOVE = '''
import numpy as np

from fx_assets.targets import Positive, Wording
from plugins.parts import PART


class Move(Positive):
    """How far the close moves, up or down."""

    name = "move"
    loss_name = "mse"

    def between(self, now, then):
        return PART * np.abs(np.log(then / now))

    def loss(self, actual, expected):
        return np.square(np.asarray(actual) - np.asarray(expected))

    @property
    def wording(self):
        return Wording(
            title="size of the move", called="expected move",
            headline="a move of {value} is expected over {over}, up to {when}.",
            axis="size of the move", scale="logarithm of the move",
        )
'''


def _forget() -> None:
    for cache in (doors._offers, doors._modules, code_version, code_identity._module):
        cache.cache_clear()
    code_identity._file.cache_clear()
    for name in [n for n in sys.modules if n.partition(".")[0] == "plugins"]:
        del sys.modules[name]


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes modules into the plug-in folder."""
    folder = tmp_path / "plugins"
    folder.mkdir()

    def write(**modules: str) -> None:
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        _forget()

    write(big_rise=BIG_RISE, move=MOVE, parts="PART = 1.0\n")
    monkeypatch.setenv("FX_ASSETS_PLUGINS", str(folder))
    yield write
    monkeypatch.undo()
    _forget()


def test_our_own_kinds_come_through_the_door() -> None:
    assert set(OURS) <= set(TARGETS)
    assert all(TARGETS[name].name == name for name in TARGETS)
    assert TARGETS.origin("volatility") == "fx-assets"


def test_a_kind_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"'level'; choose one of direction, return, volatility"):
        TargetSpec(kind="level")
    with pytest.raises(SpecError, match="no kind of target 'level'"):
        target_definition("level")


def test_facts_of_an_older_build_in_a_checkout_hide_no_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "fx_assets.egg-info"
    facts.mkdir()
    (facts / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: fx-assets\nVersion: 0.0\n")
    (facts / "entry_points.txt").write_text("[fx_assets.families]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    _forget()
    assert set(OURS) <= set(TARGETS)
    monkeypatch.undo()
    _forget()


def test_where_no_kind_is_installed_the_remedy_is_to_install_again() -> None:
    with pytest.raises(SpecError, match="install fx-assets again"):
        Door("fx_assets.no_such_group", "kind of target")["direction"]


@pytest.mark.slow
def test_strange_kinds_are_declared_judged_issued_scored_and_served(
    plugins: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_folder: Callable[[], Path],
    rates,
) -> None:
    declared = {
        "rise": forecast_spec(
            name="rise", target={"kind": "big_rise"}, candidates=["logistic_regression"]
        ),
        "moves": forecast_spec(name="moves", target={"kind": "move"}, candidates=["lightgbm"]),
    }
    platform = Platform(new_folder(), monkeypatch, forecasts=list(declared.values()))
    day, last = (rates.index[i].date() for i in (-2, -1))
    platform.arrive(rates[:-1], day)
    steps = [platform.ingest()]
    steps += [platform.retrain(name) for name in declared]
    steps.append(platform.predict(day, forecast="moves"))
    platform.arrive(rates, last)
    steps += [platform.ingest(), *(platform.predict(last, forecast=name) for name in declared)]
    assert [failures(step) for step in steps if not step.success] == []

    judged = {name: set(platform.lake.read("scores", name)["metric"]) for name in declared}
    assert {"brier", "roc_auc", "skill"} <= judged["rise"]
    assert {"mse", "log_correlation", "skill"} <= judged["moves"]
    moved = abs(float(np.log(rates["USD"].iloc[-1] / rates["USD"].iloc[-2])))
    outcome = platform.lake.read("outcomes", "moves").iloc[-1]
    assert outcome["target"] == pytest.approx(moved)
    assert outcome["loss"] == pytest.approx((outcome["prediction"] - moved) ** 2)

    now = f"{last}T18:00:00+00:00"
    with serving(platform.lake.root, tmp_path / "server", now=now) as running:
        api = running.client
        until(lambda: api.get("/health/ready").status_code == 200)
        listed = {row["forecast"]: row for row in api.get("/v1/forecasts").json()["forecasts"]}
        assert listed["rise"]["title"] == "big rise"
        latest = api.get("/v1/forecasts/rise/latest").json()
        assert 0 < latest["value"] < 0.5
        assert "P(up by more than 0.5 %)" in latest["sentence"]
        card = api.get("/v1/forecasts/moves/model").json()
        assert card["target"] == "move"
        assert card["outcome"] == "positive"
        assert card["unit"] == card["wording"]["called"] == "expected move"
        assert card["reference"] == {"family": "expanding_mean", "params": {}, "called": ""}
        inputs = {row["name"]: row["least"] for row in card["inputs"]}
        answer = api.post("/v1/forecasts/moves/predict/features", json={"features": inputs})
        assert answer.status_code == 200, answer.text
        assert answer.json()["format"]["digits"] == 3
        assert "fx_predicted_move_bucket" in api.get("/metrics").text
        why = api.get("/v1/forecasts/moves/latest/explanation")
        assert why.json()["scale"] == "logarithm of the move"


def test_families_predict_strange_kinds_by_what_their_outcomes_are(
    plugins: Callable[..., None],
) -> None:
    assert kinds_of("logistic_regression") == ["big_rise", "direction"]
    assert kinds_of("expanding_mean") == ["move", "volatility"]
    assert kinds_of("garch") == ["volatility"]
    with pytest.raises(ValueError, match="garch does not predict move; choose one of expanding_m"):
        forecast_spec(target={"kind": "move"}, candidates=["garch"])


def test_what_a_strange_kinds_labels_reach_is_part_of_the_identity_of_what_is_computed_of_it(
    plugins: Callable[..., None],
) -> None:
    def identities() -> list[str]:
        return [code_version("lightgbm", kind) for kind in ("big_rise", "move", "direction")]

    before = identities()
    plugins(parts="PART = 1.0  # as it was\n", move=MOVE.replace("size of the move", "its size"))
    assert identities() == before
    plugins(parts="PART = 2.0\n")
    changed = identities()
    assert changed[1] != before[1]
    assert changed[::2] == before[::2]


def test_strange_kinds_are_proved(plugins: Callable[..., None]) -> None:
    verdicts = [verdict for kind in ("big_rise", "move", *OURS) for verdict in prove(kind)]
    assert len(verdicts) > 100
    assert [verdict for verdict in verdicts if not verdict.holds] == []


LATE = """def labels(self, close, ends):
        later = np.where(ends > 0, np.minimum(ends + 1, len(close) - 1), ends)
        return super().labels(close, later)

    def between(self, now, then):"""


@pytest.mark.parametrize(
    ("ours", "theirs", "sentence", "found"),
    [
        (
            "return np.square(np.asarray(actual) - np.asarray(expected))",
            "return np.abs(np.asarray(actual) - np.asarray(expected))",
            "the expected outcome has the least loss",
            "less than the mean",
        ),
        (
            "def between(self, now, then):",
            LATE,
            "no label knows a close beyond its end",
            "with other closes after its end",
        ),
        (
            "np.abs(np.log(then / now))",
            "np.log(then / now)",
            "labels are outcomes and are unknown where they do not end",
            "cannot be an outcome",
        ),
        ("{value}", "{wert}", "a person can read it", "wert"),
    ],
)
def test_a_kind_that_breaks_the_contract_is_told_which_sentence_does_not_hold(
    ours: str, theirs: str, sentence: str, found: str, plugins: Callable[..., None]
) -> None:
    assert ours in MOVE
    plugins(move=MOVE.replace(ours, theirs))
    failed = {verdict.check: verdict.found for verdict in prove("move") if not verdict.holds}
    assert found in failed[sentence]


def test_a_bundle_of_a_kind_that_is_not_installed_is_refused_by_name(tmp_path: Path) -> None:
    lake, known = Lake(str(tmp_path)), bundle(1)
    strange = replace(known, facts=known.facts.model_copy(update={"target": "level"}))
    with pytest.raises(RegistryError, match=r"no kind of target 'level'.*Choose one of direction"):
        publish(lake, strange)
