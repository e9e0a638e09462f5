"""The columns of fx_close mean what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib
from scipy import stats

from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.features import Bars, build_features, feature_set
from fx_assets.features.frame import bars_of
from fx_assets.testing.worlds import TARGET, bars_from_closes, ecb_bars, random_walk, trading_days

FX_CLOSE = feature_set("fx_close")
PAGE = Path(__file__).parents[2] / "docs" / "features.md"
BASE = ["event_time", "available_at", "close", "log_return"]


def of(bars: pd.DataFrame) -> pd.DataFrame:
    return build_features(bars, "fx_close", TARGET)


def tail(bars: Bars, end: int, n: int) -> Bars:
    return Bars(*(x[end - n : end] for x in (bars.close, bars.day, bars.next_day)))


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return of(ecb_bars())


def test_the_frame_has_the_base_columns_then_at_least_35_features(real: pd.DataFrame) -> None:
    assert list(real.columns) == BASE + list(FX_CLOSE.columns)
    assert len(FX_CLOSE.columns) == len(set(FX_CLOSE.columns)) >= 35
    assert str(real["event_time"].dtype) == "datetime64[us, UTC]"
    assert (real[list(FX_CLOSE.columns)].dtypes == np.float64).all()


def test_the_newest_bar_has_its_row() -> None:
    bars = ecb_bars()
    newest = of(bars).iloc[-1]
    assert newest["event_time"] == bars["event_time"].iloc[-1]
    assert newest.notna().all()


@pytest.mark.parametrize("n", [0, 1, 2, 100, 252, 253, 7126])
def test_only_the_declared_warm_up_is_missing_and_nothing_is_infinite(n: int) -> None:
    values = FX_CLOSE.compute(bars_of(ecb_bars()[:n], TARGET))
    assert FX_CLOSE.warm_up <= 252
    for feature, column in zip(FX_CLOSE.features, values.T, strict=True):
        assert np.isnan(column[: feature.warm_up]).all(), feature.name
        assert np.isfinite(column[feature.warm_up :]).all(), feature.name


@pytest.mark.parametrize("factor", [100.0, 1e-12, 3.7])
@pytest.mark.parametrize("quote", ["USD", "DKK"])
def test_features_do_not_depend_on_the_scale_of_prices(factor: float, quote: str) -> None:
    bars = ecb_bars("EUR", quote)
    columns = list(FX_CLOSE.columns)
    plain, scaled = of(bars)[columns], of(bars.assign(close=bars["close"] * factor))[columns]
    size = plain.abs().max()
    assert ((plain - scaled).abs().max() / size).max() < 1e-7


@pytest.mark.parametrize("quote", ["BGN", "DKK", "TRY", "RON", "HRK"])
def test_pegged_and_crashing_currencies_give_finite_features(quote: str) -> None:
    values = of(ecb_bars("EUR", quote))[list(FX_CLOSE.columns)].to_numpy()[252:]
    assert np.isfinite(values).all()
    assert np.abs(values).max() < 400


def test_a_price_that_never_moves_has_no_dispersion_and_an_rsi_of_50() -> None:
    frame = of(bars_from_closes(trading_days(300), np.full(300, 1.95583))).iloc[-1]
    for name in ("volatility_21", "zscore_252", "skew_63", "volatility_ratio_5_21", "return_1"):
        assert frame[name] == 0, name
    assert frame["rsi_14"] == 50
    assert frame["bollinger_percent_b"] == 0.5
    assert frame["log_variance_21"] == np.log(1e-12)
    assert abs(frame["sma_ratio_200"]) < 1e-12


def test_noise_of_rounding_is_not_dispersion() -> None:
    noise = np.random.default_rng(1).normal(0, 1e-12, 300)
    frame = of(bars_from_closes(trading_days(300), 1.95583 * (1 + noise))).iloc[-1]
    for name in ("volatility_21", "zscore_252", "zscore_63", "skew_63", "volatility_ratio_5_21"):
        assert frame[name] == 0, name


def test_columns_equal_their_definitions_in_other_libraries(real: pd.DataFrame) -> None:
    close, returns = real["close"], np.log(real["close"]).diff()
    log_close = np.log(close)
    low20, high20 = (log_close.rolling(20).mean() + k * log_close.rolling(20).std(ddof=0)
                     for k in (-2, 2))  # fmt: skip
    expected = {
        "return_21": log_close.diff(21),
        "return_lag_3": returns.shift(3),
        "sma_ratio_50": close / close.rolling(50).mean() - 1,
        "rate_of_change_42": close.pct_change(42),
        "macd": pd.Series(talib.MACD(close.to_numpy())[0]) / close,
        "rsi_14": pd.Series(talib.RSI(close.to_numpy(), 14)),
        "bollinger_percent_b": (log_close - low20) / (high20 - low20),
        "bollinger_bandwidth": high20 - low20,
        "zscore_252": (log_close - log_close.rolling(252).mean())
        / log_close.rolling(252).std(ddof=0),
        "volatility_63": returns.rolling(63).std(ddof=0),
        "volatility_ratio_5_21": returns.rolling(5).std(ddof=0) / returns.rolling(21).std(ddof=0),
        "log_variance_21": np.log((returns**2).rolling(21).mean()),
        "up_share_21": (returns > 0).astype(float).where(returns.notna()).rolling(21).mean(),
        "drawdown_252": np.log(close / close.rolling(252).max()),
        "above_low_252": np.log(close / close.rolling(252).min()),
    }
    for name, series in expected.items():
        np.testing.assert_allclose(real[name], series, rtol=1e-6, atol=1e-10, err_msg=name)
    assert real["skew_63"].iloc[-1] == pytest.approx(stats.skew(returns.iloc[-63:]))
    recursion = returns.iloc[1:33].pow(2).mean()
    for value in returns.iloc[33:].pow(2):
        recursion = 31 / 33 * recursion + 2 / 33 * value
    assert real["ewma_log_variance"].iloc[-1] == pytest.approx(np.log(recursion))


def test_calendar_columns_know_weekends_holidays_and_month_ends(real: pd.DataFrame) -> None:
    days = real.set_index(real["event_time"].dt.strftime("%Y-%m-%d"))
    thursday_before_easter = days.loc["2024-03-28"]
    assert thursday_before_easter["days_to_next_bar"] == 5
    assert thursday_before_easter["last_bar_of_month"] == 1
    assert thursday_before_easter["days_to_month_end"] == 3
    after_easter = days.loc["2024-04-02"]
    assert after_easter["gap_days"] == 5
    assert after_easter["last_bar_of_month"] == 0
    monday = days.loc["2024-04-08"]
    assert (monday["weekday_sin"], monday["weekday_cos"]) == (0, 1)


@pytest.mark.parametrize(("n", "limit"), [(300, 5e-4), (400, 1e-5), (600, 1e-8)])
def test_a_few_hundred_bars_give_the_newest_row_that_all_history_gives(
    n: int, limit: float
) -> None:
    bars = bars_of(ecb_bars(), TARGET)
    full = FX_CLOSE.compute(bars)
    spread = np.nanstd(full, axis=0)
    ends = range(n, len(full), 211)
    rows = np.array([FX_CLOSE.compute(tail(bars, end, n))[-1] for end in ends])
    assert (np.abs(rows - full[[end - 1 for end in ends]]) / spread).max() < limit


def test_the_numeric_core_computes_27_years_within_milliseconds() -> None:
    bars = bars_of(ecb_bars(), TARGET)

    def once() -> float:
        fresh = tail(bars, len(bars.close), len(bars.close))
        start = time.process_time()
        FX_CLOSE.compute(fresh)
        return time.process_time() - start

    assert min(once() for _ in range(10)) < 0.045, "15 ms on a free core; three times that here"


def test_the_numeric_core_asks_for_no_pandas_itself() -> None:
    program = """
import sys, types
import numpy as np
import talib
for name in [m for m in sys.modules if m.split('.')[0] == 'pandas']:
    del sys.modules[name]
sys.modules['pandas'] = None
from fx_assets.features import Bars, feature_set
day = np.arange(300)
values = feature_set('fx_close').compute(Bars(np.linspace(1, 2, 300), day, day + 1))
assert np.isfinite(values[-1]).all()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PAGE.parents[1])


def test_an_unknown_feature_set_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match="fx_close"):
        feature_set("fx_clsoe")


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_close_that_is_no_positive_number_is_refused_with_its_position(bad: float) -> None:
    bars = random_walk(30, seed=1)
    bars.loc[7, "close"] = bad
    with pytest.raises(FxAssetsError, match="bar 7"):
        of(bars)


def test_bars_out_of_order_or_twice_are_refused() -> None:
    bars = random_walk(30, seed=1)
    for wrong in (bars[::-1], pd.concat([bars, bars[-1:]])):
        with pytest.raises(FxAssetsError, match="sorted by event_time"):
            of(wrong)


def test_the_documentation_lists_exactly_the_columns_with_their_meanings() -> None:
    section = PAGE.read_text().split("## fx_close")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (\d+) \|$", section, re.M)
    assert rows == [(f.name, f.meaning, f.unit, str(f.warm_up)) for f in FX_CLOSE.features]
