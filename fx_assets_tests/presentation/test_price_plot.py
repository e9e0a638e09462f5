"""The picture of a feed's closes is true to them, and readable."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from fx_assets.presentation.price_plot import price_svg

N = 7000
TIMES = pd.Series(pd.bdate_range("1999-01-04 13:15", periods=N, tz="UTC").as_unit("us"))
CLOSE = pd.Series(1.2 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.005, N))))


def drawn(svg: str) -> np.ndarray[Any, Any]:
    """The points of the line: x and y in pixels."""
    (line,) = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("polyline")]  # noqa: S314
    return np.array([pair.split(",") for pair in line.attrib["points"].split()], dtype=float)


def texts(svg: str) -> list[str]:
    found = ElementTree.fromstring(svg).iter()  # noqa: S314
    return [e.text or "" for e in found if e.tag.endswith("text")]


def test_the_plot_has_units_dates_and_levels() -> None:
    shown = texts(price_svg(TIMES, CLOSE, "EURUSD"))
    assert {"EURUSD", "USD per EUR", "event time (UTC)", "2005"} <= set(shown)
    levels = [float(text) for text in shown if re.fullmatch(r"\d\.\d+", text)]
    assert 3 <= len(levels) <= 7
    assert np.allclose(np.diff(levels), levels[1] - levels[0])


def test_a_single_wild_bar_is_seen_among_thousands() -> None:
    wild = CLOSE.copy()
    wild[3210] = 10 * CLOSE.max()
    points = drawn(price_svg(TIMES, wild, "EURUSD"))
    assert len(points) < 1000
    top = points[points[:, 1].argmin()]
    share = (TIMES[3210] - TIMES[0]) / (TIMES[N - 1] - TIMES[0])
    assert top[0] == pytest.approx(64 + share * (800 - 64 - 14), abs=0.2)
    assert np.sort(points[:, 1])[1] > top[1] + 100


@pytest.mark.parametrize("bars", [1, 2, 30, 800])
def test_few_bars_are_all_drawn(bars: int) -> None:
    points = drawn(price_svg(TIMES[:bars], CLOSE[:bars], "BTC"))
    assert len(points) == bars
    assert np.isfinite(points).all()


def test_bars_that_never_move_are_a_line_in_the_middle() -> None:
    points = drawn(price_svg(TIMES[:50], CLOSE[:50] * 0 + 7.46, "EURDKK"))
    assert points[:, 1].std() == 0


def test_days_and_hours_of_intraday_bars_are_written_out() -> None:
    hours = pd.Series(pd.date_range("2026-10-01 03:00", periods=30, freq="h", tz="UTC"))
    assert "01 Oct 15:00" in texts(price_svg(hours, CLOSE[:30], "BTCUSD"))


def test_a_name_cannot_break_the_picture() -> None:
    assert "<x>&" in texts(price_svg(TIMES[:9], CLOSE[:9], "<x>&"))
