"""The public face: what a notebook needs, in few lines."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fx_assets as fx
from fx_assets import desk as face
from fx_assets.errors import LakeError, NoChampionError, SpecError
from fx_assets.lake import Lake
from fx_assets.models import FEATURES, Model, NoParams
from fx_assets.settings import Settings
from fx_assets.testing import worlds

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  source: {kind: ecb, base: EUR, quote: USD}
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: momentum
  feed: eurusd
  target: {kind: return}
  features: fx_close
  candidates: [historical_mean]
  walk_forward: {first_test: "2010-01-01", min_train: 500, refit_every: 504}
"""


def desk_on(
    folder: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, **forecast: str
) -> fx.Desk:
    """A deployment whose feed has these bars."""
    monkeypatch.setenv("FX_ASSETS_HOME", str(folder))
    monkeypatch.setenv("FX_ASSETS_DECLARED", "defs")
    more = "".join(f"  {name}: {value}\n" for name, value in forecast.items())
    for name, text in {"feed": FEED, "forecast": FORECAST + more}.items():
        (folder / "defs" / name).mkdir(parents=True, exist_ok=True)
        (folder / "defs" / name / "defs.yaml").write_text(text)
    Lake.from_settings(Settings()).append("raw_prices", "eurusd", bars)
    return fx.open(folder)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    """A random walk of eleven years."""
    return worlds.random_walk(2800, 5)


@pytest.fixture
def desk(tmp_path: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> fx.Desk:
    return desk_on(tmp_path, bars, monkeypatch)


def trend(past: pd.DataFrame) -> float:
    """A tenth of the mean of the last five returns."""
    return 0.1 * float(past["log_return"].iloc[-5:].mean())


def test_importing_the_package_loads_nothing_of_it() -> None:
    loads = (
        "import sys, fx_assets as fx; print(fx.__version__, *(n for n in sys.modules if "
        "n.startswith('fx_assets.') or n in ('pandas', 'numpy', 'dagster')))"
    )
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [fx.__version__]
    assert {"open", "Desk", "Judgement", "Study", "__version__"} <= set(dir(fx))
    with pytest.raises(AttributeError, match="close"):
        _ = fx.close


def test_a_desk_does_not_load_dagster() -> None:
    loads = "import sys, fx_assets as fx; fx.open().forecasts; print('dagster' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_the_examples_in_the_documentation_run(desk: fx.Desk) -> None:
    assert doctest.testmod(face).failed == 0


def test_prices_are_those_that_were_known_at_a_moment(desk: fx.Desk, bars: pd.DataFrame) -> None:
    assert len(desk.prices("eurusd")) == len(desk.prices("momentum")) == len(bars)
    by_day = desk.prices("eurusd", as_of="2009-06-30")
    assert by_day["event_time"].max() == pd.Timestamp("2009-06-30 12:15", tz="UTC")
    assert (by_day["available_at"] <= pd.Timestamp("2009-07-01", tz="UTC")).all()
    before_noon = desk.prices("eurusd", as_of="2009-06-30T12:00:00+02:00")
    assert before_noon["event_time"].max() < by_day["event_time"].max()
    assert desk.features("momentum", as_of="2009-06-30")["target"].isna().sum() >= 1


def test_a_function_of_the_past_is_judged_and_no_luck_is_found(desk: fx.Desk) -> None:
    verdict = desk.judge(trend)
    assert verdict.verdict == "no skill demonstrated"
    assert not verdict.demonstrated
    assert verdict.lower <= verdict.skill <= verdict.upper
    assert verdict.rows == len(verdict.predictions) > 1000
    assert 0 < verdict.diebold_mariano_p < 1
    assert verdict.against == verdict.baseline == "zero"
    assert "Clark–West p = " in repr(verdict)
    assert "1 tried" in repr(verdict)


def test_a_function_never_sees_what_came_after(desk: fx.Desk) -> None:
    seen: list[pd.Timestamp] = []

    def look(past: pd.DataFrame) -> float:
        assert not {"target", "target_time", "label_available_at"} & set(past.columns)
        seen.append(past["event_time"].iloc[-1])
        return 0.0

    verdict = desk.judge(look)
    assert seen == list(verdict.predictions["event_time"])
    assert verdict.skill == 0.0


def test_what_is_tried_again_counts_once_and_what_is_new_raises_the_bar(desk: fx.Desk) -> None:
    def scaled(by: float) -> Callable[[pd.DataFrame], float]:
        return lambda past: by * float(past["log_return"].iloc[-1])

    first = desk.judge(scaled(0.1), name="a")
    again = fx.open(desk.settings.home).judge(scaled(0.1), name="b")
    assert (first.tried, again.tried) == (1, 1)
    other = desk.judge(scaled(0.2))
    assert other.tried == 2
    assert other.needed_p == pytest.approx(first.needed_p / 2)


def test_a_planted_signal_is_demonstrated_and_a_leak_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds.planted_direction(3600, 4, strength=0.2)
    anything = dict(worlds.ANYTHING_IS_PLAUSIBLE)
    desk = desk_on(tmp_path, world, monkeypatch, suspicion=str(anything))
    verdict = desk.judge(lambda past: 0.2 * past["log_return"].iloc[-1])
    assert verdict.demonstrated, verdict
    assert verdict.clark_west_p < verdict.needed_p
    assert verdict.lower > 0
    strict = desk_on(tmp_path / "strict", world, monkeypatch)
    ahead = dict(zip(world["event_time"], np.log(world["close"]).diff().shift(-1), strict=True))
    leak = strict.judge(lambda past: 0.5 * float(np.nan_to_num(ahead[past["event_time"].iloc[-1]])))
    assert leak.verdict == "too good: look for a leak"
    assert "beyond what is plausible" in repr(leak)


class Half(Model[NoParams]):
    """Half of what least squares says of the first feature."""

    name = "half"
    targets = ("return",)
    inputs = FEATURES
    params_type = NoParams

    def _fit(self, X, y):
        self.slope_ = float(X[:, 0] @ y / (X[:, 0] @ X[:, 0]))

    def _predict(self, X):
        return 0.5 * self.slope_ * np.nan_to_num(X[:, 0])


def test_models_estimators_and_declared_candidates_are_judged_alike(desk: fx.Desk) -> None:
    from sklearn.linear_model import Ridge

    rows = {
        desk.judge(idea).rows
        for idea in (Half, Ridge(alpha=10.0), "ridge", {"family": "ridge", "name": "mine"})
    }
    assert len(rows) == 1
    assert desk.judge("zero").skill == 0.0
    assert desk.judge(Half).tried == 4


@pytest.mark.parametrize(
    ("idea", "said"),
    [
        (3, "cannot be judged"),
        (lambda past: None, "no number"),
        (lambda past: float("inf"), "inf of the row of"),
        ("no_such_family", "no_such_family"),
    ],
)
def test_what_is_no_idea_is_refused(idea: object, said: str, desk: fx.Desk) -> None:
    with pytest.raises((SpecError, ValueError), match=said):
        desk.judge(idea)  # type: ignore[arg-type]


def test_what_is_not_there_is_told_with_what_to_do(desk: fx.Desk) -> None:
    with pytest.raises(SpecError, match="eurusd"):
        desk.prices("eurgbp")
    with pytest.raises(SpecError, match="2009-13-01"):
        desk.prices("eurusd", as_of="2009-13-01")
    with pytest.raises(NoChampionError, match="fx-assets run momentum"):
        desk.forecast("momentum")
    with pytest.raises(LakeError, match="fx-assets run"):
        fx.Desk(Settings(lake=str(desk.settings.home / "empty"))).prices("eurusd")


UNIVERSE = """\
type: fx_assets.components.Universe
attributes:
  name: many
  source: {kind: ecb, base: EUR}
  targets:
    - {kind: direction, candidates: [logistic_regression]}
"""


def test_a_universe_is_told_from_what_is_not_declared(
    tmp_path: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_on(tmp_path, bars, monkeypatch)
    (tmp_path / "defs" / "many").mkdir()
    (tmp_path / "defs" / "many" / "defs.yaml").write_text(UNIVERSE)
    for call in (desk.prices, desk.features, desk.ledger):
        with pytest.raises(SpecError, match="many is a universe") as told:
            call("many")
        assert "desk.lake.read('prices', 'many')" in told.value.remedy
    with pytest.raises(SpecError, match="no feed 'none_such'") as told:
        desk.prices("none_such")
    assert f"Declared in {tmp_path / 'defs'} are: eurusd" in told.value.remedy
