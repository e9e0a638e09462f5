"""Faults that a sender plants in honest bars, and what it means to find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from fx_assets.testing.gate.kinds import PRICES, Kind

Bars = pd.DataFrame
Plant = Callable[[Bars, Kind, np.random.Generator], Bars]
ALL, OHLC, VOLUME, INTRADAY, DAILY, CAP, FX = (
    "all",
    "ohlc",
    "volume",
    "intraday",
    "daily",
    "cap",
    "fx",
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    needs
        What a kind must have for it to make sense.
    arrives
        How many of the newest bars are new; all by default. The fault lies among these.
    unknowable
        Why nobody can see it in the bars alone.
    """

    name: str
    plant: Plant
    needs: frozenset[str] = frozenset()
    arrives: int = 0
    revises: bool = False
    unknowable: str = ""

    def suits(self, kind: Kind) -> bool:
        has = {OHLC: "open" in kind.columns, VOLUME: "volume" in kind.columns}
        has |= {CAP: "market_cap" in kind.columns, FX: kind.fx}
        has |= {INTRADAY: not kind.spec.market.daily, DAILY: kind.spec.market.daily}
        return all(has[need] for need in self.needs)


def _some(bars: Bars, rng: np.random.Generator, count: int = 1) -> np.ndarray:
    return np.sort(rng.choice(np.arange(70, len(bars) - 70), count, replace=False))


def _cell(column: str, factor: float, count: int = 1) -> Plant:
    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        changed.loc[_some(bars, rng, count), column] *= factor
        return changed

    return plant


def _value(column: str, value: float) -> Plant:
    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        changed.loc[_some(bars, rng), column] = value
        return changed

    return plant


def _wick(factor: float, *, up: bool) -> Plant:
    return _cell("high" if up else "low", factor)


def _scaled(factor: float, rows: Callable[[int, np.random.Generator], slice]) -> Plant:
    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        where = changed.index[rows(len(bars), rng)]
        changed.loc[where, PRICES] *= factor
        return changed

    return plant


def _one(n: int, rng: np.random.Generator) -> slice:
    at = int(rng.integers(70, n - 70))
    return slice(at, at + 1)


def _third(n: int, rng: np.random.Generator) -> slice:
    return slice(int(rng.integers(n // 2, 2 * n // 3)), None)


def _whole(_: int, __: np.random.Generator) -> slice:
    return slice(None)


def _newest(_: int, __: np.random.Generator) -> slice:
    return slice(-1, None)


def _inverted(rows: Callable[[int, np.random.Generator], slice]) -> Plant:
    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        where = changed.index[rows(len(bars), rng)]
        turned = 1 / changed.loc[where, PRICES]
        changed.loc[where, ["open", "close"]] = turned[["open", "close"]]
        changed.loc[where, "high"], changed.loc[where, "low"] = turned["low"], turned["high"]
        return changed

    return plant


def _frozen(days: float, *, repeat: bool = False) -> Plant:
    def plant(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        length = int(days * kind.a_day)
        at = int(rng.integers(100, len(bars) - length - 70))
        rows = np.arange(at, at + length)
        source = rows - _lag(kind) if repeat else np.full(length, at - 1)
        changed.loc[rows, PRICES] = bars[PRICES].to_numpy()[source]
        if not repeat:
            for name in ("open", "high", "low"):
                changed.loc[rows, name] = bars[name].where(bars[name].isna(), bars["close"][at - 1])
        return changed

    return plant


def _lag(kind: Kind) -> int:
    return 20 if kind.spec.market.daily else kind.a_day


def _stale(share: float) -> Plant:
    """A stretch whose close and open are those of the bar before."""

    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        length = int(share * len(bars))
        at = int(rng.integers(1, len(bars) - length))
        rows = np.arange(at, at + length)
        changed.loc[rows, "close"] = bars["close"].to_numpy()[rows - 1]
        changed.loc[rows, "open"] = bars["open"].to_numpy()[rows - 1]
        return _contained(changed)

    return plant


def _contained(bars: Bars) -> Bars:
    top = bars[["open", "close", "high"]].max(axis=1)
    bottom = bars[["open", "close", "low"]].min(axis=1)
    return bars.assign(high=top, low=bottom)


def _early(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    """Every close is that of the bar after."""
    return _contained(bars.assign(close=bars["close"].shift(-1)).iloc[:-1])


def _stale_for(count: int) -> Plant:
    """Some closes in a row are those of the bar before; their opens are right."""

    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        at = int(rng.integers(100, len(bars) - count - 1))
        rows = np.arange(at, at + count)
        changed.loc[rows, "close"] = changed.loc[rows, "open"] = bars["close"].to_numpy()[rows - 1]
        return _contained(changed)

    return plant


def _copied(count: int) -> Plant:
    """Some bars come again right after themselves."""

    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        at = int(rng.integers(100, len(bars) - 2 * count))
        rows = np.arange(at + count, at + 2 * count)
        names = [*PRICES, "volume"]
        changed.loc[rows, names] = bars[names].to_numpy()[rows - count]
        return changed

    return plant


def _stale_and_one_bad_low(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
    changed = _stale(0.9)(bars, kind, rng)
    changed["low"] *= np.where(np.arange(len(bars)) == len(bars) // 2, 0.75, 1.0)
    return changed


def _whole_day(share: float, *, volume: bool = False, ahead: bool = True) -> Plant:
    """Bars of one hour that carry the range, or the volume, of the whole day."""

    def plant(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
        changed = bars.copy()
        a_day = kind.a_day
        opens = bars["event_time"] - pd.Timedelta(kind.spec.market.bar)
        at = np.flatnonzero((opens.dt.hour == 0) & (opens.dt.minute == 0))
        at = at[(at >= a_day) & (at + a_day < len(bars))]
        at = np.sort(rng.choice(at, max(1, int(share * len(at))), replace=False))
        for i in at.tolist():
            span = bars.iloc[i : i + a_day] if ahead else bars.iloc[i - a_day + 1 : i + 1]
            if volume:
                changed.loc[i, "volume"] = span["volume"].sum()
            else:
                changed.loc[i, ["high", "low"]] = span["high"].max(), span["low"].min()
        return changed

    return plant


def _moved_dates(count: int, *, both: bool) -> Plant:
    """Days whose day and month were exchanged: with another day's, or with a free one's."""

    def plant(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
        market = kind.spec.market
        days = market.day_index(pd.DatetimeIndex(bars["event_time"])).date
        have = set(days)
        able = sorted(d for d in have if d.day <= 12 and d.day < d.month and _other(d) in have)
        chosen: set[date] = set()
        for i in rng.permutation(len(able)):
            if len(chosen) < count:
                chosen.add(able[i])
        moves = {d: _other(d) for d in chosen} | ({_other(d): d for d in chosen} if both else {})
        gone = set() if both else {_other(d) for d in chosen}
        keep = np.array([day not in gone for day in days])
        closes = [market.event_time(moves.get(day, day)) for day in days[keep]]
        changed = bars[keep].assign(event_time=pd.DatetimeIndex(closes).as_unit("us"))
        return changed.sort_values("event_time", ignore_index=True)

    return plant


def _other(day: date) -> date:
    return day.replace(month=day.day, day=day.month)


def _later(step: timedelta) -> Plant:
    """Every bar stamped later, or with a negative step earlier, than it closed."""

    def plant(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
        return bars.assign(event_time=bars["event_time"] + step)

    return plant


def _shifted_bars(bars_early: int) -> Plant:
    """The right instants with the prices of bars to come."""

    def plant(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
        changed = bars.iloc[:-bars_early].copy()
        names = [*PRICES, "volume", "market_cap"]
        changed[names] = bars[names].to_numpy()[bars_early:]
        return changed

    return plant


def _holes(days: int) -> Plant:
    def plant(bars: Bars, kind: Kind, __: np.random.Generator) -> Bars:
        length = days * kind.a_day
        at = len(bars) - length - 30
        return bars.drop(index=range(at, at + length)).reset_index(drop=True)

    return plant


def _zone(bars: Bars, kind: Kind, rng: np.random.Generator) -> Bars:
    return _later(timedelta(hours=-5))(bars, kind, rng)


def _upside_down(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
    changed = bars.copy()
    at = _some(bars, rng)
    changed.loc[at, "open"] = np.nan
    changed.loc[at, "high"] = changed["low"][at] * 0.99
    return changed


def _swapped_columns(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    return bars.assign(high=bars["low"], low=bars["high"])


def _constant_volume(bars: Bars, _: Kind, __: np.random.Generator) -> Bars:
    return bars.assign(volume=1234.0)


def _revised(count: int, factor: float) -> Plant:
    def plant(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
        at = int(rng.integers(len(bars) // 2, len(bars) - count - 30))
        changed = bars.iloc[at : at + count].copy()
        changed[PRICES] *= factor
        return changed.reset_index(drop=True)

    return plant


def _twice(bars: Bars, _: Kind, rng: np.random.Generator) -> Bars:
    extra = bars.iloc[_some(bars, rng)].copy()
    extra[PRICES] *= 1.001
    return pd.concat([bars, extra], ignore_index=True)


def _weekend(bars: Bars, kind: Kind, _: np.random.Generator) -> Bars:
    """The bars of each Friday stamped with the Saturday after it."""
    days = kind.spec.market.day_index(pd.DatetimeIndex(bars["event_time"]))
    step = pd.to_timedelta(np.where(days.weekday == 4, 1, 0), unit="D")
    return bars.assign(event_time=(bars["event_time"] + step).astype("datetime64[us, UTC]"))


def _every_second(_: int, __: np.random.Generator) -> slice:
    return slice(1, None, 2)


def _is(*needs: str) -> frozenset[str]:
    return frozenset(needs)


FAULTS: tuple[Fault, ...] = (
    Fault("high x100", _wick(100, up=True), _is(OHLC)),
    Fault("high x10", _wick(10, up=True), _is(OHLC)),
    Fault("low /100", _wick(0.01, up=False), _is(OHLC)),
    Fault("low /10", _wick(0.1, up=False), _is(OHLC)),
    Fault("low -40 %, FX", _wick(0.6, up=False), _is(OHLC, FX)),
    Fault("open x100", _cell("open", 100), _is(OHLC)),
    Fault("open /100", _cell("open", 0.01), _is(OHLC)),
    Fault("an empty open, high below low", _upside_down, _is(OHLC)),
    Fault("high and low exchanged", _swapped_columns, _is(OHLC)),
    Fault("close x100", _cell("close", 100)),
    Fault("close x10 in five bars", _cell("close", 10, 5)),
    Fault("close zero", _value("close", 0.0)),
    Fault("close negative", _value("close", -1.0)),
    Fault("close empty", _value("close", np.nan)),
    Fault("close infinite", _value("close", np.inf)),
    Fault("one bar x100", _scaled(100, _one)),
    Fault("one bar x2", _scaled(2, _one), _is(OHLC)),
    Fault("one bar x2, FX", _scaled(2, _one), _is(FX)),
    Fault("the last third x10", _scaled(10, _third)),
    Fault("the last third x100,000", _scaled(1e5, _third)),
    Fault("the newest bar x10", _scaled(10, _newest), arrives=1),
    Fault("the newest bar /100", _scaled(0.01, _newest), arrives=1),
    Fault("all x100,000, FX", _scaled(1e5, _whole), _is(FX)),
    Fault("one bar inverted", _inverted(_one)),
    Fault("every second bar inverted", _inverted(_every_second)),
    Fault("the last third inverted", _inverted(_third)),
    Fault("all inverted, FX", _inverted(_whole), _is(FX)),
    Fault("99 daily closes the same", _frozen(99), _is(DAILY)),
    Fault("25 daily closes the same", _frozen(25), _is(DAILY)),
    Fault("100 hours frozen", _frozen(100 / 24), _is(INTRADAY)),
    Fault("a day's bars come twice", _frozen(1, repeat=True), _is(INTRADAY)),
    Fault("four weeks come twice", _frozen(20, repeat=True), _is(DAILY)),
    Fault("close of the bar before, all", _stale(0.9), _is(OHLC)),
    Fault("close of the bar before, a fifth", _stale(0.2), _is(OHLC)),
    Fault("close of the bar before and one bad low", _stale_and_one_bad_low, _is(OHLC)),
    Fault("closes of the bar after, all", _early, _is(OHLC)),
    Fault("20 closes of the bar before, opens right", _stale_for(20), _is(OHLC)),
    Fault("four bars come twice", _copied(4), _is(OHLC)),
    Fault("one midnight bar carries the day", _whole_day(0.0), _is(OHLC, INTRADAY)),
    Fault("a fifth of the midnight bars carry the day", _whole_day(0.2), _is(OHLC, INTRADAY)),
    Fault("midnight bars carry the day", _whole_day(1.0), _is(OHLC, INTRADAY)),
    Fault("most midnight bars carry the day", _whole_day(0.6), _is(OHLC, INTRADAY)),
    Fault("midnight bars carry the day before", _whole_day(1.0, ahead=False), _is(OHLC, INTRADAY)),
    Fault(
        "midnight bars carry the day's volume", _whole_day(1.0, volume=True), _is(OHLC, INTRADAY)
    ),
    Fault("volume 1e300", _value("volume", 1e300), _is(VOLUME)),
    Fault("volume negative", _value("volume", -5.0), _is(VOLUME)),
    Fault("volume infinite", _value("volume", np.inf), _is(VOLUME)),
    Fault("volume x1,000,000", _cell("volume", 1e6), _is(VOLUME)),
    Fault("volume constant", _constant_volume, _is(VOLUME)),
    Fault("market cap x100", _cell("market_cap", 100), _is(CAP)),
    Fault("market cap negative", _value("market_cap", -5.0), _is(CAP)),
    Fault("six dates exchanged, the true days empty", _moved_dates(6, both=False), _is(DAILY)),
    Fault("six pairs of dates exchanged", _moved_dates(6, both=True), _is(DAILY)),
    Fault("all dates exchanged", _moved_dates(1000, both=True), _is(DAILY)),
    Fault("a day stamped twice", _twice),
    Fault("Fridays on Saturdays, FX", _weekend, _is(FX)),
    Fault("the clock 5 h early, FX", _zone, _is(FX, INTRADAY)),
    Fault("a day early, FX", _shifted_bars(1), _is(FX, DAILY)),
    Fault("a first load stamped a day early, FX", _later(timedelta(days=-1)), _is(FX)),
    Fault("a first load stamped a day late, FX", _later(timedelta(days=1)), _is(FX)),
    Fault("a month is missing in the newest year", _holes(22)),
    Fault("20 revisions of +3 %", _revised(20, 1.03), revises=True),
    Fault("100 revisions of +1 %", _revised(100, 1.01), revises=True),
    Fault("one revision x10", _revised(1, 10.0), revises=True),
    Fault(
        "all bars 3 % too high",
        _scaled(1.03, _whole),
        unknowable="no bar contradicts another; a declared second feed shows it above 10 %",
    ),
    Fault(
        "all inverted, no other feed",
        _inverted(_whole),
        _is(VOLUME, INTRADAY),
        unknowable="the inverse of an honest path is one; a second feed or the ECB shows it",
    ),
    Fault("volume x3", _cell("volume", 3), _is(VOLUME), unknowable="volumes do that"),
    Fault("one close off by 0.05 %", _cell("close", 1.0005), unknowable="prices do that"),
)
