from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.presentation import figures
from fx_assets.registry import links

N = 5600
RANDOM = np.random.default_rng(7)
TIMES = pd.Series(pd.bdate_range("2005-01-03 13:15", periods=N, tz="UTC").as_unit("us"))
BINS = pd.DataFrame(
    {
        "n": [1200, 1300],
        "predicted": [0.48, 0.52],
        "observed": [0.47, 0.51],
        "lower": [0.44, 0.48],
        "upper": [0.5, 0.54],
    }
)
DIFFERENCE = pd.DataFrame({"event_time": TIMES, "advantage": RANDOM.normal(0, 1e-3, N).cumsum()})
VARIANCE = pd.DataFrame(
    {"event_time": TIMES, "prediction": np.full(N, 2.5e-5), "target": RANDOM.chisquare(1, N) * 2e-5}
)
PLOTS: dict[str, Callable[[], Any]] = {
    "reliability": lambda: figures.reliability_figure(BINS),
    "loss": lambda: figures.cumulative_loss_figure(DIFFERENCE, "xgboost", "base_rate", "Brier"),
    "importance": lambda: figures.importance_figure({f"feature_{i}": i for i in range(36)}),
    "volatility": lambda: figures.volatility_figure(VARIANCE, horizon=1),
}


@pytest.fixture
def axes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """The axes of a plot instead of its PNG."""
    monkeypatch.setattr(figures, "to_png", lambda figure: figure)
    return lambda draw: draw().axes[0]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_png_of_800_by_350(name: str) -> None:
    from matplotlib.image import imread

    png = PLOTS[name]()
    assert imread(io.BytesIO(png)).shape[:2] == (350, 800)
    assert len(png) < 100_000


def test_the_loss_plot_says_which_side_is_better(axes_of: Any) -> None:
    axes = axes_of(PLOTS["loss"])
    notes = [text.get_text() for text in axes.texts]
    assert notes == ["above zero: xgboost is better", "below zero: base_rate is better"]
    assert axes.get_ylabel() == "Brier saved, cumulative"
    drawn = axes.lines[0].get_ydata()
    assert (drawn[0], drawn[-1]) == (
        DIFFERENCE["advantage"].iloc[0],
        DIFFERENCE["advantage"].iloc[-1],
    )
    assert list(axes.lines[1].get_ydata()) == [0, 0]


def test_the_reliability_plot_counts_the_predictions_of_each_bin(axes_of: Any) -> None:
    axes = axes_of(PLOTS["reliability"])
    assert [text.get_text() for text in axes.texts] == ["1,200", "1,300"]
    assert list(axes.lines[1].get_ydata()) == [0.47, 0.51]


def test_the_fifteen_most_important_features_are_shown_greatest_on_top(axes_of: Any) -> None:
    axes = axes_of(PLOTS["importance"])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"feature_{i}" for i in range(21, 36)]
    assert axes.patches[-1].get_width() == pytest.approx(100 * 35 / 630)


def test_volatility_has_units_and_dates(axes_of: Any) -> None:
    volatility = axes_of(PLOTS["volatility"])
    assert volatility.get_xlabel() == "event time (UTC)"
    assert volatility.get_ylabel() == "volatility (% a year)"
    predicted = volatility.lines[1].get_ydata()
    assert predicted[0] == pytest.approx(100 * np.sqrt(2.5e-5 * 252))
    assert len(predicted) == 3000


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.reliability_figure(BINS.iloc[:0]),
        lambda: figures.cumulative_loss_figure(DIFFERENCE.iloc[:0], "xgboost"),
        lambda: figures.importance_figure({"rsi_14": float("nan"), "macd": 0.0}),
        lambda: figures.volatility_figure(VARIANCE.iloc[:0]),
    ],
)
def test_without_data_a_plot_says_so(draw: Callable[[], Any], axes_of: Any) -> None:
    assert [text.get_text() for text in axes_of(draw).texts] == ["nothing to show yet"]


def test_threads_draw_the_same_pictures() -> None:
    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(lambda name: PLOTS[name](), [*PLOTS, *PLOTS]))
    assert drawn[: len(PLOTS)] == drawn[len(PLOTS) :]


def test_drawing_leaves_pyplot_alone() -> None:
    code = (
        "import sys; from fx_assets.presentation import figures; "
        "early = 'matplotlib' in sys.modules; "
        "figures.importance_figure({'a': 1.0}); print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_links_lead_to_mlflows_pages() -> None:
    assert links.ui_link("http://127.0.0.1:5000/", links.run_path("3", "abc")) == (
        "http://127.0.0.1:5000/#/experiments/3/runs/abc"
    )
    assert links.model_path("eurusd_direction", 4) == "#/models/eurusd_direction/versions/4"
    assert links.model_path("eurusd_direction") == "#/models/eurusd_direction"
