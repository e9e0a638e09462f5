"""A label ends when the calendar says, never at whatever bar comes next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import Calendar
from fx_assets.features import add_labels, labelled_frame
from fx_assets.features.arrays import bars_from_columns, labelled_columns
from fx_assets.features.base import feature_set
from fx_assets.specs import ForecastSpec, TargetSpec
from fx_assets.testing.honesty import assert_future_scramble_invariant, assert_prefix_invariant
from fx_assets.testing.markets import bars_of_market, market

KINDS = ("direction", "return", "volatility")
HOURLY, FX_HOURLY, FX_DAILY = market("1h"), market("1h", "24x5"), market("1d", "24x5")
every_kind = pytest.mark.parametrize("kind", KINDS)


def label(
    bars: pd.DataFrame, kind: str, horizon: int = 1, calendar: Calendar = HOURLY
) -> pd.DataFrame:
    frame = bars[["event_time", "available_at", "close"]]
    return add_labels(frame, TargetSpec(kind=kind, horizon=horizon), calendar)


def without(bars: pd.DataFrame, *rows: int) -> pd.DataFrame:
    return bars.drop(index=list(rows)).reset_index(drop=True)


@every_kind
def test_a_label_that_would_span_missing_hours_is_unknown(kind: str) -> None:
    bars = bars_of_market(HOURLY, 300)
    whole, gap = label(bars, kind), label(without(bars, 100, 101, 102), kind)
    assert np.isnan(gap["target"][99])
    assert pd.isna(gap["label_available_at"][99])
    assert gap["target_time"][99] == bars["event_time"][100], "where it would have ended"
    assert gap["target"][:99].equals(whole["target"][:99])
    later = whole["target"][103:].reset_index(drop=True)
    assert gap["target"][100:].reset_index(drop=True).equals(later)
    assert gap["target"].isna().sum() == 2, "that row, and the newest"
    assert gap["baseline_mean"][100:].notna().all()


def test_a_label_of_several_hours_is_the_return_to_its_hour_or_unknown() -> None:
    bars = bars_of_market(HOURLY, 300)
    gap = label(without(bars, 100), "return", 4)
    assert np.isnan(gap["target"][96]), "its last hour is missing"
    close = bars["close"]
    assert gap["target"][98] == np.log(close[102] / close[98]), "it ends after the gap"
    variance = label(without(bars, 100), "volatility", 4)["target"]
    assert variance[96:100].isna().all(), "a variance needs every hour"
    assert variance[[95, 100]].notna().all()


def test_the_hour_after_friday_is_sunday_evening_in_currency_markets() -> None:
    bars = bars_of_market(FX_HOURLY, 300)
    frame = label(bars, "return", 1, FX_HOURLY)
    friday = frame.index[frame["event_time"] == "2021-03-05 22:00Z"][0]
    assert frame["target_time"][friday] == pd.Timestamp("2021-03-07 23:00Z")
    assert frame["target"].iloc[:-1].notna().all()


@every_kind
def test_bars_of_a_quiet_day_do_not_shift_labels(kind: str) -> None:
    quiet = np.datetime64("2024-12-25T22:00", "us")
    week = FX_DAILY.closes(pd.Timestamp("2024-12-20").date(), pd.Timestamp("2025-01-10").date())
    assert quiet not in week
    times = np.sort(np.append(week, quiet))
    close = np.exp(np.cumsum(0.01 * np.random.default_rng(1).standard_normal(len(times))))
    index = pd.DatetimeIndex(times).tz_localize("UTC")
    bars = pd.DataFrame({"event_time": index, "available_at": index, "close": close})
    at = int(np.flatnonzero(times == quiet)[0])
    frame = label(bars, kind, 1, FX_DAILY)
    assert frame["target_time"][at - 1] == frame["target_time"][at] == index[at + 1]
    expected = {
        "direction": float(close[at + 1] > close[at - 1]),
        "return": np.log(close[at + 1] / close[at - 1]),
        "volatility": np.square(np.diff(np.log(close[at - 1 : at + 2]))).sum(),
    }[kind]
    assert frame["target"][at - 1] == pytest.approx(expected)
    plain = label(without(bars, at), kind, 1, FX_DAILY)
    assert plain["target_time"][at - 1] == frame["target_time"][at - 1]


@every_kind
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cut=st.integers(2, 200),
    horizon=st.integers(1, 26),
    missing=st.floats(0, 0.3),
)
def test_what_a_row_knows_of_labels_does_not_change_with_the_future_whatever_is_missing(
    kind: str, seed: int, cut: int, horizon: int, missing: float
) -> None:
    bars = bars_of_market(FX_HOURLY, 300, seed % 100)
    bars = bars[np.random.default_rng(seed).random(300) >= missing].reset_index(drop=True)
    cut = min(cut, len(bars) - 1)

    def build(some: pd.DataFrame) -> pd.DataFrame:
        return label(some, kind, horizon, FX_HOURLY)

    known = ["baseline_mean", "last_target", "target_time"]
    assert_prefix_invariant(build, bars, [cut], columns=known)
    assert_future_scramble_invariant(build, bars, cut, seed, columns=known)
    frame = build(bars).dropna(subset=["target"])
    assert frame["target_time"].isin(bars["event_time"]).all()
    assert (frame["label_available_at"] >= frame["target_time"]).all()
    dues = FX_HOURLY.next_closes(frame["event_time"].dt.tz_localize(None).to_numpy(), horizon)
    assert (frame["target_time"].dt.tz_localize(None).to_numpy() == dues).all()


@every_kind
def test_the_server_computes_the_same_labels_and_features_from_arrays(kind: str) -> None:
    bars = without(bars_of_market(HOURLY, 900), 800, 801)
    spec = ForecastSpec(
        name="f", feed="btc", target={"kind": kind, "horizon": 3}, features="ohlcv",
        candidates=[{"direction": "base_rate", "return": "zero"}.get(kind, "expanding_mean")],
    )  # fmt: skip
    frame = labelled_frame(bars, spec, HOURLY)
    times = bars["event_time"].dt.tz_localize(None).to_numpy()
    prices = ("open", "high", "low", "close", "volume", "market_cap")
    columns = {name: bars[name].to_numpy() for name in prices} | {"event_time": times}
    arrays = labelled_columns(
        bars_from_columns(columns, HOURLY), times, feature_set("ohlcv", HOURLY.bar),
        spec.target, HOURLY,
    )  # fmt: skip
    for name, values in arrays.items():
        np.testing.assert_array_equal(frame[name].to_numpy(), values, err_msg=name)
