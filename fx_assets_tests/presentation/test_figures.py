from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.presentation import figures
from fx_assets.presentation.universe_figure import skill_figure
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
PLOTS: dict[str, Callable[[], str]] = {
    "reliability": lambda: figures.reliability_figure(BINS),
    "loss": lambda: figures.cumulative_loss_figure(DIFFERENCE, "xgboost", "base_rate", "Brier"),
    "importance": lambda: figures.importance_figure({f"feature_{i}": i for i in range(36)}),
    "volatility": lambda: figures.volatility_figure(VARIANCE, 1, 256),
}


Drawn = tuple[list[str], list[np.ndarray], list[dict[str, str]]]


def drawn(svg: str) -> Drawn:
    """Texts, points of lines, and attributes of bars of a plot."""
    found = list(ElementTree.fromstring(svg).iter())  # noqa: S314

    def all_of(tag: str) -> list[ElementTree.Element]:
        return [element for element in found if element.tag.endswith(f"}}{tag}")]

    lines = [
        np.array([pair.split(",") for pair in line.attrib["points"].split()], dtype=float)
        for line in all_of("polyline")
    ]
    return [e.text or "" for e in all_of("text")], lines, [e.attrib for e in all_of("rect")[1:]]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_picture_of_800_by_350(name: str) -> None:
    svg = PLOTS[name]()
    root = ElementTree.fromstring(svg)  # noqa: S314
    assert (root.attrib["width"], root.attrib["height"]) == ("800", "350")
    assert len(svg) < 50_000


def test_the_loss_plot_says_which_side_is_better() -> None:
    texts, (loss, zero), _ = drawn(PLOTS["loss"]())
    notes = {"above zero: xgboost is better", "below zero: base_rate is better"}
    assert {*notes, "Brier saved, cumulative", "event time (UTC)", "2016"} <= set(texts)
    values = DIFFERENCE["advantage"]
    assert set(zero[:, 1]) == {zero[0, 1]}
    above = zero[0, 1] - loss[:, 1]
    scale = above[-1] / values.iloc[-1]
    assert above.max() == pytest.approx(scale * values.max(), abs=0.2), "no extreme is left out"
    assert above.min() == pytest.approx(scale * values.min(), abs=0.2)


def test_the_reliability_plot_counts_the_predictions_of_each_bin() -> None:
    svg = PLOTS["reliability"]()
    texts, (diagonal,), _ = drawn(svg)
    assert {"1,200", "1,300", "observed share", "perfectly calibrated"} <= set(texts)
    assert diagonal[1, 0] > diagonal[0, 0]
    assert diagonal[1, 1] < diagonal[0, 1]
    assert svg.count("<circle") == 2


def test_the_fifteen_most_important_features_are_shown_greatest_on_top() -> None:
    texts, _, bars = drawn(PLOTS["importance"]())
    assert [text for text in texts if text.startswith("feature_")] == [
        f"feature_{i}" for i in range(21, 36)
    ]
    tops, widths = (np.array([bar[name] for bar in bars], dtype=float) for name in ("y", "width"))
    assert (np.diff(tops) < 0).all()
    assert widths / widths[-1] == pytest.approx(np.arange(21, 36) / 35, abs=0.001)


def test_volatility_has_units_dates_and_every_spike() -> None:
    texts, (came, said), _ = drawn(PLOTS["volatility"]())
    assert {"volatility (% a year)", "event time (UTC)", "realised", "predicted"} <= set(texts)
    assert set(said[:, 1]) == {said[0, 1]}
    bottom = 350 - 44
    ratio = np.sqrt(VARIANCE["target"].max() / 2.5e-5)
    assert (bottom - came[:, 1].min()) / (bottom - said[0, 1]) == pytest.approx(ratio, rel=0.01)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.reliability_figure(BINS.iloc[:0]),
        lambda: figures.cumulative_loss_figure(DIFFERENCE.iloc[:0], "xgboost"),
        lambda: figures.importance_figure({"rsi_14": float("nan"), "macd": 0.0}),
        lambda: figures.volatility_figure(VARIANCE.iloc[:0], 1, 256),
    ],
)
def test_without_data_a_plot_says_so(draw: Callable[[], str]) -> None:
    assert "nothing to show yet" in drawn(draw())[0]


@given(
    st.lists(st.floats(allow_infinity=False, min_value=-1e300, max_value=1e300), min_size=1),
    st.sampled_from(["a", "<&>"]),
)
def test_any_losses_make_a_picture_that_can_be_read(values: list[float], name: str) -> None:
    rows = pd.DataFrame({"event_time": TIMES[: len(values)], "advantage": values})
    texts, (loss, _), _ = drawn(figures.cumulative_loss_figure(rows, name))
    assert f"above zero: {name} is better" in texts
    assert np.isfinite(loss).all()


def test_a_universes_picture_has_a_panel_a_target_and_a_row_an_instrument() -> None:
    best = pd.DataFrame(
        {
            "kind": ["direction"] * 3 + ["volatility"],
            "horizon": 1,
            "instrument": ["EURUSD", "EURGBP", "EURCHF", "EURUSD"],
            "skill": [0.02, -0.01, np.nan, 0.2],
            "skill_lower": [0.01, -0.02, np.nan, 0.1],
            "may_predict": [True, False, False, True],
        }
    )
    svg = skill_figure(best)
    texts = drawn(svg)[0]
    assert "direction, 1 bar: 1 of 3 better than the baseline" in texts
    assert "volatility, 1 bar: 1 of 1 better than the baseline" in texts
    assert texts.count("EURUSD") == 2
    assert svg.count("<circle") == 3
    assert "no skill to show yet" in drawn(skill_figure(best[:0]))[0]


def test_links_lead_to_mlflows_pages() -> None:
    assert links.ui_link("http://127.0.0.1:5000/", links.run_path("3", "abc")) == (
        "http://127.0.0.1:5000/#/experiments/3/runs/abc"
    )
    assert links.model_path("eurusd_direction", 4) == "#/models/eurusd_direction/versions/4"
    assert links.model_path("eurusd_direction") == "#/models/eurusd_direction"
