"""Horizons side by side do not contradict each other, and hide nothing that was issued."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.presentation.figures import term_figure
from fx_assets.presentation.term import reconciled, term_rows, term_text
from fx_assets.targets import target_definition

VOLATILITY = target_definition("volatility")
BAR = pd.Timestamp("2026-10-30T13:15Z")


def row(horizon: int, value: float, at: pd.Timestamp = BAR) -> dict[str, Any]:
    return {
        "event_time": at, "horizon": horizon, "prediction": value, "bars_a_year": 256,
        "lower": value / 2, "upper": value * 2,
    }  # fmt: skip


@given(st.lists(st.floats(1e-12, 1), max_size=12))
def test_variances_never_fall_with_the_horizon_and_move_up_only(values: list[float]) -> None:
    shown = reconciled(VOLATILITY, values)
    assert shown == sorted(shown)
    assert all(mine >= issued for mine, issued in zip(shown, values, strict=True))
    assert reconciled(VOLATILITY, shown) == shown
    assert reconciled(VOLATILITY, sorted(values)) == sorted(values)


@pytest.mark.parametrize("kind", ["return", "direction"])
def test_what_does_not_add_up_is_shown_as_issued(kind: str) -> None:
    assert reconciled(target_definition(kind), [0.3, -0.1, 0.2]) == [0.3, -0.1, 0.2]


def test_a_raised_value_stands_beside_the_issued_one() -> None:
    rows = term_rows(VOLATILITY, {"h20": row(20, 9e-5), "h1": row(1, 1e-5), "h5": row(5, 1e-4)})
    assert [one.forecast for one in rows] == ["h1", "h5", "h20"]
    assert [one.value for one in rows] == [1e-5, 1e-4, 1e-4]
    assert [one.moved for one in rows] == [1.0, 1.0, pytest.approx(1e-4 / 9e-5)]
    text = term_text(VOLATILITY, rows)
    assert text.startswith("1 bar: 5.1 % a year, 5 bars: ")
    assert "20 bars: 3.6 % a year (issued 3.4 % a year, less than of fewer bars)" in text
    assert "bars ahead" in term_figure(VOLATILITY, rows)


def test_horizons_that_are_behind_are_left_out() -> None:
    late = row(5, 1e-4, BAR - pd.Timedelta(days=1))
    rows = term_rows(VOLATILITY, {"h1": row(1, 1e-5), "h5": late})
    assert [one.horizon for one in rows] == [1]
    assert term_rows(VOLATILITY, {}) == []
