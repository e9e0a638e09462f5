"""Honest extremes that a gate must let through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fx_assets.specs import FeedSpec
from fx_assets.testing.gate.kinds import PRICES, Kind, honest
from fx_assets.testing.worlds import ecb_bars

Bars = pd.DataFrame
Change = Callable[[Bars, Kind, np.random.Generator], Bars]


@dataclass(frozen=True)
class Honest:
    """Bars that are right. ``suits`` says of which kinds; ``arrives`` how many are new.

    ``alone``: of an instrument that no other history is known of.
    """

    name: str
    change: Change
    suits: Callable[[Kind], bool] = field(default=lambda _: True)
    arrives: int = 0
    revises: bool = False
    alone: bool = False


def _crash(size: float, back: float, after: int) -> Change:
    """A fall with its whole way in the bars, taken back in part some bars later."""

    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        at = int(rng.integers(len(bars) // 2, len(bars) - 80))
        return _fallen(bars, at, size, back, after)

    return change


def _fallen(bars: Bars, at: int, size: float, back: float, after: int) -> Bars:
    changed = bars.copy()
    factor = np.ones(len(bars))
    factor[at:] = 1 - size
    factor[at + after :] = 1 - size * (1 - back)
    before = np.append(1.0, factor[:-1])
    changed["open"] = bars["open"] * before
    changed["close"] = bars["close"] * factor
    changed["market_cap"] = bars["market_cap"] * factor
    top = np.fmax(bars["high"] * factor, changed["open"])
    bottom = np.fmin(bars["low"] * factor, changed["open"])
    changed["high"] = np.where(bars["high"].isna(), np.nan, top)
    changed["low"] = np.where(bars["low"].isna(), np.nan, bottom)
    changed["volume"] = bars["volume"] * np.where(np.arange(len(bars)) == at, 8.0, 1.0)
    return changed


def _newest_falls(size: float) -> Change:
    def change(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
        return _fallen(bars, len(bars) - 1, size, 0.0, 10)

    return change


def _wick(size: float) -> Change:
    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        at = int(rng.integers(100, len(bars) - 10))
        changed["low"] *= np.where(np.arange(len(bars)) == at, 1 - size, 1.0)
        return changed

    return change


def _without(share: float) -> Change:
    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        keep = rng.random(len(bars)) >= share
        keep[[0, -1]] = True
        return bars[keep].reset_index(drop=True)

    return change


def _one_day_gone(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
    at = int(rng.integers(1, len(bars) - kind.a_day - 1))
    return bars.drop(index=range(at, at + kind.a_day)).reset_index(drop=True)


def _a_year_gone(bars: Bars, kind: Kind, _: np.random.Generator) -> Bars:
    first = len(bars) // 4
    return bars.drop(index=range(first, first + 252 * kind.a_day)).reset_index(drop=True)


def _rounded(decimals: int) -> Change:
    """Prices rounded once more, each column by itself and one of them cut, as some exports do."""

    def change(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
        changed = bars.copy()
        changed[PRICES] = bars[PRICES].round(decimals)
        unit = 10.0**-decimals
        changed["high"] = np.round(np.floor(bars["high"] / unit) * unit, decimals)
        changed["low"] = np.round(np.ceil(bars["low"] / unit) * unit, decimals)
        return changed

    return change


def _as_32_bits(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    changed = bars.copy()
    changed[PRICES] = bars[PRICES].astype("float32").astype("float64")
    changed["high"] = np.nextafter(changed["high"].astype("float32"), np.float32(0)).astype(float)
    return changed


def _quiet(hours: int) -> Change:
    """A holiday: closes that do not move, without volume."""

    def change(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        length = hours * kind.a_day // 24
        at = int(rng.integers(100, len(bars) - length - 50))
        rows = slice(at, at + length - 1)
        for name in PRICES:
            if bars[name].notna().any():
                changed.loc[rows, name] = bars["close"][at - 1]
        changed.loc[rows, "volume"] = 0.0
        return changed

    return change


def _illiquid(share: float) -> Change:
    """Bars in which nobody traded: flat at the close before, without volume."""

    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        still = rng.random(len(bars)) < share
        still[0] = False
        close = bars["close"].mask(still).ffill()
        changed["close"] = close
        for name in ("open", "high", "low"):
            changed[name] = bars[name].mask(still, close)
        changed["high"] = changed[["open", "high", "close"]].max(axis=1)
        changed["low"] = changed[["open", "low", "close"]].min(axis=1)
        changed["volume"] = bars["volume"].mask(still, 0.0)
        return changed

    return change


def _weekend_gap(size: float) -> Change:
    def change(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
        pause = np.flatnonzero(bars["event_time"].diff() > pd.Timedelta("40h"))
        at = int(pause[len(pause) // 2])
        changed = bars.copy()
        changed.loc[at:, PRICES] *= 1 - size
        back = int(pause[len(pause) // 2 + 2])
        changed.loc[back:, PRICES] /= 1 - size
        return changed

    return change


def _no_volume(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    return bars.assign(volume=0.0)


def _heavy(times: float) -> Change:
    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        changed.loc[rng.choice(len(bars), 3, replace=False), "volume"] *= times
        return changed

    return change


def _grows(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    return bars.assign(volume=bars["volume"] * np.geomspace(1, 1000, len(bars)))


def _late_cap(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    """Market cap and volume that begin later than prices, as 0 before."""
    changed = bars.copy()
    changed.loc[: len(bars) // 4, ["volume", "market_cap"]] = 0.0
    return changed


def _calm(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    """A year in which prices move a tenth as much, and then as before."""
    changed = bars.copy()
    first, last = len(bars) // 3, len(bars) // 3 + min(250, len(bars) // 5)
    x = np.log(bars["close"].to_numpy())
    r = np.diff(x, prepend=x[:1])
    r[first:last] *= 0.1
    factor = np.exp(x[0] + np.cumsum(r) - x)
    before = np.append(1.0, factor[:-1])
    changed["close"] = bars["close"] * factor
    for name in ("open", "high", "low"):
        changed[name] = bars[name] * (before if name == "open" else factor)
    changed["high"] = changed[["open", "high", "close"]].max(axis=1, skipna=True)
    changed["low"] = changed[["open", "low", "close"]].min(axis=1, skipna=True)
    if bars["open"].isna().all():
        changed[["high", "low"]] = np.nan
    return changed


def _revised(count: int, size: float) -> Change:
    def change(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        at = rng.choice(len(bars) - 10, count, replace=False)
        changed = bars.iloc[np.sort(at)].copy()
        factor = np.exp(size * rng.standard_normal(count))
        changed[PRICES] = changed[PRICES].mul(factor, axis=0)
        return changed.reset_index(drop=True)

    return change


def _same(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    return bars


def _ohlc(kind: Kind) -> bool:
    return "open" in kind.columns


def _coin(kind: Kind) -> bool:
    return not kind.fx


def _volume(kind: Kind) -> bool:
    return "volume" in kind.columns


def _intraday(kind: Kind) -> bool:
    return not kind.spec.market.daily


HONEST: tuple[Honest, ...] = (
    Honest("as they are", _same),
    Honest("one new bar", _same, arrives=1),
    Honest("a month of new bars", _same, arrives=22),
    Honest("a coin falls 39.5 %", _crash(0.395, 0.0, 1), _coin),
    Honest("a coin falls 55 %", _crash(0.55, 0.0, 1), _coin),
    Honest("the newest bar of a coin falls 39.5 %", _newest_falls(0.395), _coin, arrives=1),
    Honest("the newest bar of a coin falls 55 %", _newest_falls(0.55), _coin, arrives=1),
    Honest("a coin falls 55 % and is back a bar later", _crash(0.55, 1.0, 1), _coin),
    Honest("a coin falls 55 % and is back two bars later", _crash(0.55, 0.9, 2), _coin),
    Honest("a currency falls 15 %", _crash(0.15, 0.0, 1), alone=True),
    Honest("a currency falls 9 % and is back a bar later", _crash(0.09, 0.9, 1), alone=True),
    Honest("a wick of 60 % of a coin", _wick(0.6), lambda kind: _coin(kind) and _ohlc(kind)),
    Honest("a wick of 9 %", _wick(0.09), _ohlc),
    Honest("a weekend's gap of 3 %", _weekend_gap(0.03), lambda kind: kind.fx),
    Honest("one day is missing", _one_day_gone),
    Honest("one bar in a hundred is missing", _without(0.01)),
    Honest("one bar in thirty is missing", _without(0.033)),
    Honest("a year is missing", _a_year_gone, lambda kind: len(honest(kind, 0)) > 504 * kind.a_day),
    Honest("cut to fewer decimals", _rounded(3), lambda kind: kind.fx and _ohlc(kind)),
    Honest("cut to whole units", _rounded(0), lambda kind: _coin(kind) and _ohlc(kind)),
    Honest("kept in 32 bits", _as_32_bits, _ohlc),
    Honest("a day's holiday", _quiet(24), _intraday),
    Honest("two days' holiday", _quiet(48), _intraday),
    Honest("a tenth of bars stand still", _illiquid(0.1)),
    Honest("a third of bars stand still", _illiquid(0.33)),
    Honest("no volume at all", _no_volume, _volume),
    Honest("volumes 50 times as large", _heavy(50.0), _volume),
    Honest("volume grows a thousandfold", _grows, _volume),
    Honest("cap and volume begin later", _late_cap, lambda kind: "market_cap" in kind.columns),
    Honest("a year ten times as calm", _calm, lambda kind: _coin(kind) or _intraday(kind)),
    Honest("three small revisions", _revised(3, 5e-4), revises=True),
    Honest("fifteen small revisions", _revised(15, 5e-4), revises=True),
)

CURRENCIES = """USD JPY BGN CZK DKK GBP HUF PLN RON SEK CHF NOK TRY AUD BRL CAD CNY HKD IDR ILS INR
KRW MXN MYR NZD PHP SGD THB ZAR ISK RUB HRK CYP EEK LTL LVL MTL ROL SIT SKK TRL"""


def real_fixings() -> list[tuple[str, FeedSpec, Bars]]:
    """Every currency that the ECB has fixed, as it comes: crises, pegs, pauses and all."""
    spec = FeedSpec.model_validate({"name": "bench", "source": {"kind": "ecb", "quote": "USD"}})
    return [(code, spec, ecb_bars(quote=code)) for code in CURRENCIES.split()]
