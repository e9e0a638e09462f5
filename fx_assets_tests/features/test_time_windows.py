"""The sets whose windows are stated in time: the same columns mean the same at any frequency."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib

from fx_assets.calendars import BAR_LENGTHS
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.features import build_features, feature_set, labelled_frame
from fx_assets.features.frame import bars_of
from fx_assets.features.spans import bars_in
from fx_assets.specs import ForecastSpec
from fx_assets.testing.markets import bars_of_market, market

SETS = ("ohlc", "ohlcv", "price_cap_volume")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURLY = market()
every_set = pytest.mark.parametrize("name", SETS)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return bars_of_market(HOURLY, 1500, seed=4)


@pytest.fixture(scope="module")
def frame(bars: pd.DataFrame) -> pd.DataFrame:
    return build_features(bars, "ohlcv", HOURLY)


def columns_of(bars: pd.DataFrame, name: str) -> pd.DataFrame:
    return build_features(bars, name, HOURLY)[list(feature_set(name, HOUR).columns)]


def test_24_hours_are_24_hourly_bars_and_one_daily_bar_never_288() -> None:
    lengths = {name: bars_in("24h", bar) for name, bar in BAR_LENGTHS.items()}
    assert lengths == {
        "1min": 1440, "5min": 288, "15min": 96, "30min": 48, "1h": 24, "4h": 6, "1d": 1,
    }  # fmt: skip
    warm_up = {f.name: f.warm_up for f in feature_set("ohlcv", HOUR).features}
    assert warm_up["realised_volatility_24h"] == 24
    assert warm_up["return_7d"] == 168


@every_set
def test_a_window_of_fewer_than_two_bars_is_left_out(name: str) -> None:
    minute, hour, day = (
        set(feature_set(name, BAR_LENGTHS[f]).columns) for f in ("1min", "1h", "1d")
    )
    assert {"return_15min", "return_24h", "return_30d"} <= minute
    assert "return_15min" not in hour
    assert not any("24h" in column or column.startswith("hour") for column in day)
    assert {"return_7d", "return_90d", "realised_volatility_ratio_7d_30d"} <= day
    assert not any("90d" in column for column in hour)
    assert day - minute == {c for c in day if "90d" in c or "14d" in c}


@every_set
@pytest.mark.parametrize("frequency", ["1h", "1d"])
@pytest.mark.parametrize("n", [0, 1, 2, 721, 1000])
def test_only_the_declared_warm_up_is_missing_and_nothing_is_infinite(
    name: str, frequency: str, n: int
) -> None:
    calendar = market(frequency)
    features = feature_set(name, calendar.bar)
    values = features.compute(bars_of(bars_of_market(calendar, n), calendar))
    assert values.shape == (n, len(set(features.columns)))
    for feature, column in zip(features.features, values.T, strict=True):
        assert np.isnan(column[: feature.warm_up]).all(), feature.name
        assert np.isfinite(column[feature.warm_up :]).all(), feature.name


@every_set
@pytest.mark.parametrize("factor", [100.0, 1e-6, 3.7])
def test_features_do_not_depend_on_the_units_of_prices_or_volumes(
    name: str, factor: float, bars: pd.DataFrame
) -> None:
    prices = ["open", "high", "low", "close", "market_cap", "volume"]
    scaled = bars.assign(**{column: bars[column] * factor for column in prices})
    others = columns_of(scaled, name)
    if name == "ohlcv":
        others = columns_of(scaled.assign(volume=bars["volume"] * 1e5), name)
    plain = columns_of(bars, name)
    assert ((plain - others).abs().max() / plain.abs().max().clip(lower=1e-9)).max() < 1e-6


def test_columns_equal_their_definitions(bars: pd.DataFrame, frame: pd.DataFrame) -> None:
    opens, high, low, close, volume = (
        bars[name] for name in ("open", "high", "low", "close", "volume")
    )
    log_close, log_volume = np.log(close), np.log(volume)
    returns = log_close.diff()
    parkinson = np.log(high / low) ** 2 / (4 * np.log(2))
    garman_klass = 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / opens) ** 2
    rogers_satchell = np.log(high / close) * np.log(high / opens) + np.log(low / close) * np.log(
        low / opens
    )
    volatility = (returns**2).rolling(24).mean() ** 0.5
    lowest, highest = low.rolling(168).min(), high.rolling(168).max()
    typical = (high + low + close) / 3
    expected = {
        "return_24h": log_close.diff(24),
        "return_lag_2": returns.shift(2),
        "log_price_deviation_7d": log_close - log_close.rolling(168).mean(),
        "ema_ratio_24h": close / pd.Series(talib.EMA(close.to_numpy(), 24)) - 1,
        "zscore_24h": (log_close - log_close.rolling(24).mean())
        / log_close.rolling(24).std(ddof=0),
        "rsi_24h": pd.Series(talib.RSI(close.to_numpy(), 24)),
        "range_position_7d": (close - lowest) / (highest - lowest),
        "up_share_24h": (returns > 0).astype(float).where(returns.notna()).rolling(24).mean(),
        "realised_volatility_24h": volatility,
        "realised_volatility_ratio_24h_7d": volatility / (returns**2).rolling(168).mean() ** 0.5,
        "standardised_return_24h": returns / volatility,
        "momentum_24h": log_close.diff(24) / (volatility * 24**0.5),
        "parkinson_24h": parkinson.rolling(24).mean() ** 0.5,
        "garman_klass_24h": garman_klass.rolling(24).mean() ** 0.5,
        "rogers_satchell_7d": rogers_satchell.rolling(168).mean() ** 0.5,
        "open_gap": np.log(opens / close.shift()),
        "close_open": np.log(close / opens),
        "high_low": np.log(high / low),
        "candle_position": (close - low) / (high - low),
        "body_share": (close - opens) / (high - low),
        "upper_wick_share": (high - np.maximum(opens, close)) / (high - low),
        "lower_wick_share": (np.minimum(opens, close) - low) / (high - low),
        "volume_change": log_volume.diff(),
        "volume_zscore_30d": (log_volume - log_volume.rolling(720).mean())
        / log_volume.rolling(720).std(ddof=0),
        "volume_ratio_24h_7d": volume.rolling(24).mean() / volume.rolling(168).mean(),
        "signed_volume_24h": (np.sign(returns) * volume).rolling(24).sum()
        / volume.where(returns.notna()).rolling(24).sum(),
        "vwap_ratio_24h": close / ((typical * volume).rolling(24).sum() / volume.rolling(24).sum())
        - 1,
    }
    for name, series in expected.items():
        np.testing.assert_allclose(frame[name], series, rtol=1e-6, atol=1e-9, err_msg=name)
    wilder = pd.concat(
        [high - low, (high - close.shift()).abs(), (low - close.shift()).abs()], axis=1
    )
    ranges = wilder.max(axis=1)[1:]
    atr = ranges[:24].mean()
    for value in ranges[24:]:
        atr += (value - atr) / 24
    assert frame["atr_24h"].iloc[-1] == pytest.approx(atr / close.iloc[-1])


def test_range_based_estimators_find_the_volatility_of_a_dense_path() -> None:
    rng = np.random.default_rng(0)
    path = 100 * np.exp(np.cumsum(0.01 / 30 * rng.standard_normal((1000, 900)).ravel()))
    path = path.reshape(1000, 900)
    plain = bars_of_market(HOURLY, 1000).assign(
        open=np.concatenate([path[:1, 0], path[:-1, -1]]),
        high=path.max(axis=1), low=path.min(axis=1), close=path[:, -1],
    )  # fmt: skip
    newest = columns_of(plain, "ohlc").iloc[-1]
    for name in ("parkinson_7d", "garman_klass_30d", "rogers_satchell_7d"):
        assert newest[name] == pytest.approx(0.01, rel=0.1), name


@every_set
@pytest.mark.parametrize(("frequency", "n", "limit"), [("1h", 721, 1e-9), ("1d", 300, 1e-6)])
def test_a_few_hundred_bars_give_the_newest_row_that_all_history_gives(
    name: str, frequency: str, n: int, limit: float
) -> None:
    calendar = market(frequency)
    features = feature_set(name, calendar.bar)
    bars = bars_of_market(calendar, 2500, seed=6)
    full = features.compute(bars_of(bars, calendar))
    for end in (1500, 2111, 2500):
        newest = features.compute(bars_of(bars[end - n : end], calendar))[-1]
        away = np.abs(newest - full[end - 1]) / np.maximum(np.nanstd(full, axis=0), 1e-9)
        assert away.max() < limit, features.columns[int(away.argmax())]


def test_market_capitalisation_tells_supply_and_turnover(bars: pd.DataFrame) -> None:
    frame = columns_of(bars, "price_cap_volume")
    supply = np.log(bars["market_cap"] / bars["close"])
    turnover = np.log(bars["volume"] / bars["market_cap"])
    expected = {
        "supply_change_1": supply.diff(),
        "supply_change_7d": supply.diff(168),
        "log_turnover": turnover,
        "turnover_zscore_24h": (turnover - turnover.rolling(24).mean())
        / turnover.rolling(24).std(ddof=0),
    }
    for name, series in expected.items():
        np.testing.assert_allclose(frame[name], series, rtol=1e-6, atol=1e-12, err_msg=name)
    assert "open_gap" not in frame


@every_set
def test_a_price_that_never_moves_has_no_dispersion_and_sits_in_the_middle(name: str) -> None:
    flat = bars_of_market(HOURLY, 900)
    for column in ("open", "high", "low", "close"):
        flat[column] = 1.95583
    flat["volume"], flat["market_cap"] = 7.0, 1e9
    newest = columns_of(flat, name).iloc[-1]
    assert np.isfinite(newest).all()
    half = [c for c in newest.index if "_position" in c]
    assert (newest[half] == 0.5).all()
    assert newest["rsi_24h"] == 50
    for column in (
        "realised_volatility_24h",
        "zscore_24h",
        "momentum_24h",
        "standardised_return_24h",
    ):
        assert newest[column] == 0, column
    if name != "ohlc":
        assert newest["volume_ratio_24h_7d"] == 1
        assert newest["volume_zscore_24h"] == newest["signed_volume_24h"] == 0


@pytest.mark.parametrize("name", ["ohlcv", "price_cap_volume"])
def test_bars_without_volume_are_quiet_not_infinite(name: str, bars: pd.DataFrame) -> None:
    holes = bars.copy()
    volume = holes["volume"].to_numpy(copy=True)
    volume[:800] = 0.0
    volume[900:950] = 0.0
    volume[1000:1005] = np.nan
    cap = holes["market_cap"].to_numpy(copy=True)
    cap[:30] = 0.0
    cap[1100:1110] = np.nan
    features = feature_set(name, HOUR)
    frame = columns_of(holes.assign(volume=volume, market_cap=cap), name)
    last_known = pd.Series(volume).ffill().to_numpy()
    assert frame.equals(columns_of(holes.assign(volume=last_known, market_cap=cap), name))
    assert np.isfinite(frame.iloc[features.warm_up :]).all(axis=None)
    assert (frame["volume_change"][1:801] == 0).all()
    assert frame["signed_volume_24h"][940] == 0
    assert frame["volume_change"][920] == 0
    assert frame["volume_change"][1002] == 0
    if name == "price_cap_volume":
        assert frame["supply_change_1"][1105] == 0
        assert frame["supply_change_1"][1110] > 0


def test_a_bar_without_open_high_and_low_is_a_line_from_the_close_before(
    bars: pd.DataFrame,
) -> None:
    holes = bars.copy()
    holes.loc[1000, ["open", "high", "low"]] = np.nan
    row = columns_of(holes, "ohlc").loc[1000]
    change = np.log(bars["close"][1000] / bars["close"][999])
    assert row["open_gap"] == 0
    assert row["close_open"] == pytest.approx(change)
    assert row["high_low"] == pytest.approx(abs(change))
    assert abs(row["body_share"]) == 1


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("ohlc", "high"), ("ohlcv", "volume"), ("price_cap_volume", "market_cap")],
)
@pytest.mark.parametrize("how", ["no column", "empty column"])
def test_a_feed_that_lacks_what_a_set_reads_is_named(
    name: str, lacking: str, how: str, bars: pd.DataFrame
) -> None:
    spec = ForecastSpec(
        name="f",
        feed="btcusd_hourly",
        target={"kind": "return"},
        candidates=["zero"],
        features=name,
    )
    less = bars.drop(columns=lacking) if how == "no column" else bars.assign(**{lacking: np.nan})
    with pytest.raises(FxAssetsError, match=f"btcusd_hourly has no {lacking.replace('_', ' ')}"):
        labelled_frame(less, spec, HOURLY)


def test_daily_closes_need_daily_bars() -> None:
    with pytest.raises(SpecError, match="for bars of 1d"):
        feature_set("fx_close", HOUR)


def test_the_clock_is_on_a_circle_and_gaps_are_counted_in_bars() -> None:
    fx = market("1h", "24x5")
    frame = build_features(bars_of_market(fx, 400), "ohlc", fx).set_index("event_time")
    friday, sunday = frame.loc["2021-03-05 22:00Z"], frame.loc["2021-03-07 23:00Z"]
    assert friday["log_gap"] == 0
    assert sunday["log_gap"] == pytest.approx(np.log(49))
    assert sunday["hour_sin"] == pytest.approx(np.sin(2 * np.pi * 23 / 24))
    assert (sunday["weekday_sin"], friday["weekday_cos"]) == (
        pytest.approx(np.sin(2 * np.pi * 6 / 7)),
        pytest.approx(np.cos(2 * np.pi * 4 / 7)),
    )
    midnight = frame.loc["2021-03-03 00:00Z"]
    assert (midnight["hour_sin"], midnight["hour_cos"]) == (0, 1)
    assert midnight["weekday_sin"] == pytest.approx(np.sin(2 * np.pi / 7)), "it ends Tuesday"


def test_a_change_to_daylight_saving_is_no_gap_in_daily_bars() -> None:
    fx = market("1d", "24x5")
    frame = build_features(bars_of_market(fx, 60), "ohlc", fx).set_index("event_time")
    monday_after = frame.loc["2021-03-15 21:00Z"]
    assert monday_after["log_gap"] == pytest.approx(np.log(3))
    assert set(np.round(np.exp(frame["log_gap"][1:])).astype(int)) == {1, 3}


def test_the_columns_that_no_price_can_change_are_known() -> None:
    for name, bar, count in (("fx_close", DAY, 6), ("ohlc", HOUR, 5), ("ohlcv", DAY, 3)):
        features = feature_set(name, bar)
        assert len(features.calendar_columns) == count
    first, second = (
        columns_of(bars_of_market(HOURLY, 800, seed), "ohlcv")[720:] for seed in (1, 2)
    )
    same = {name for name in first if (first[name] == second[name]).all()}
    assert same == feature_set("ohlcv", HOUR).calendar_columns


def test_features_take_little_more_memory_than_their_matrix() -> None:
    calendar = market("1min")
    n, features = 200_000, feature_set("ohlcv", calendar.bar)
    bars = bars_of(bars_of_market(calendar, n), calendar)
    tracemalloc.start()
    matrix = features.compute(bars)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert matrix.nbytes == n * len(features.columns) * 8
    assert peak < 1.2 * matrix.nbytes


def test_the_frame_holds_the_matrix_itself(bars: pd.DataFrame) -> None:
    frame = build_features(bars, "ohlcv", HOURLY)
    first, last = (frame[name].to_numpy() for name in feature_set("ohlcv", HOUR).columns[::30][:2])
    assert np.shares_memory(first.base, last.base)


def test_the_numeric_core_asks_for_no_pandas_itself() -> None:
    program = """
import sys
import numpy as np
import talib
for name in [m for m in sys.modules if m.split('.')[0] == 'pandas']:
    del sys.modules[name]
sys.modules['pandas'] = None
from fx_assets.calendars import calendar
from fx_assets.features import feature_set
from fx_assets.features.arrays import bars_from_columns, labelled_columns
from fx_assets.specs import TargetSpec
market = calendar('24x7|1h||0')
times = np.datetime64('2024-01-01T01:00', 'us') + np.arange(800) * np.timedelta64(market.bar)
price = np.linspace(1, 2, 800)
columns = dict.fromkeys(('open', 'high', 'low', 'close', 'volume'), price) | {'event_time': times}
bars = bars_from_columns(columns, market)
features, target = feature_set('ohlcv', market.bar), TargetSpec(kind='return')
made = labelled_columns(bars, times, features, target, market)
assert all(np.isfinite(values[-1]) for name, values in made.items() if name != 'target')
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_the_documentation_lists_exactly_the_columns_with_their_meanings() -> None:
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    lengths = [BAR_LENGTHS[frequency] for frequency in ("1min", "1h", "1d")]
    expected: dict[str, tuple[str, str, list[str]]] = {}
    for name in SETS:
        counts = ", ".join(str(len(feature_set(name, bar).columns)) for bar in lengths)
        assert re.search(rf"^\| `{name}` \| .+ \| {counts} \|$", page, re.M)
        for place, bar in enumerate(lengths):
            for f in feature_set(name, bar).features:
                row = expected.setdefault(f.name, (f.meaning, f.unit, ["-"] * 3))
                assert row[:2] == (f.meaning, f.unit), f.name
                row[2][place] = str(f.warm_up)
    section = page.split("## Windows stated in time")[1].split("\n## ")[0]
    cells = r"^\| `(\w+)` \| (.+?) \| (.+?) \| ([\d, -]+) \|$"
    rows = re.findall(cells, section, re.M)
    assert len(rows) == len(expected)
    found = {name: (meaning, unit, warm.split(", ")) for name, meaning, unit, warm in rows}
    assert found == expected
