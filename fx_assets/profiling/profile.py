"""What a feed's bars are like: span, gaps, revisions, providers, and the distribution of returns.

All figures are of all rows; pages draw from :meth:`FeedProfile.sample`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.calendars import Calendar, Instants
from fx_assets.errors import NotEnoughDataError
from fx_assets.lake.bitemporal import as_known_at
from fx_assets.quality.missing import unbroken
from fx_assets.quality.times import bar_times
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import PRICE_COLUMNS

READ_COLUMNS = ["event_time", "available_at", "ingested_at", *PRICE_COLUMNS, "source"]
"""Columns of ``raw_prices`` that a profile needs."""
BASIS_POINT = 1e-4
LISTED = 10
"""Rows of a list of extremes."""
_FEWEST = 3


@dataclass(frozen=True)
class FeedProfile:
    """A feed as it is known at a moment.

    Parameters
    ----------
    feed, instrument, frequency, calendar
        As declared.
    at
        The moment (UTC).
    rows
        Bars.
    first, last
        Event times of the first and the last bar (UTC).
    due, missing
        Closes of the calendar from the first bar to the last, and those without a bar.
    unexpected
        Bars at instants at which the calendar has no close, quiet days aside.
    gaps
        The longest gaps: ``after``, ``until`` (UTC, the bars around it), ``missing``.
    by_year
        ``year``, ``bars``, ``due``, ``missing``, ``longest``, ``revised``.
    revised, revisions
        Bars that were revised, and how often in all.
    largest_revisions
        ``event_time``, ``known_at``, ``before``, ``after`` (closes), ``change_bp``, ``columns``.
    providers
        ``source``, ``bars``, ``share``, ``first``, ``last``.
    columns
        A row for each price column: ``column``, ``share`` of bars that have it, ``zero`` share.
    returns
        Name to figure; see :func:`moments`.
    extremes
        The largest moves: ``event_time``, ``return_bp``, ``close``.
    series
        ``event_time``, the price columns that are in use, and of every bar ``return_bp``,
        ``abs_return_bp``, ``range_bp`` (high to low) and ``body_bp`` (open to close), all as log
        ratios; a return spans no gap.
    """

    feed: str
    instrument: str
    frequency: str
    calendar: str
    at: datetime
    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    due: int
    missing: int
    unexpected: int
    gaps: pd.DataFrame
    by_year: pd.DataFrame
    revised: int
    revisions: int
    largest_revisions: pd.DataFrame
    providers: pd.DataFrame
    columns: pd.DataFrame
    returns: dict[str, float]
    extremes: pd.DataFrame
    series: pd.DataFrame

    def sample(self, most: int, seed: int = 0) -> pd.DataFrame:
        """At most ``most`` rows of ``series``, drawn evenly and at random, in order."""
        if len(self.series) <= most:
            return self.series
        return self.series.sample(most, random_state=seed).sort_index().reset_index(drop=True)


def profile(raw: pd.DataFrame, spec: FeedSpec, at: datetime) -> FeedProfile:
    """The profile of a feed.

    Parameters
    ----------
    raw
        :data:`READ_COLUMNS` of ``raw_prices``, revisions included, in any order.
    at
        Rows that became available later are left out (UTC).

    Raises
    ------
    NotEnoughDataError
        There are fewer than three bars.
    """
    market = spec.market
    known = raw[raw["available_at"] <= pd.Timestamp(at)]
    bars = as_known_at(known, at)
    if len(bars) < _FEWEST:
        raise NotEnoughDataError(
            f"{spec.name} has {len(bars)} bars; a profile needs {_FEWEST}.",
            remedy=f"Run {spec.name}_ingest first.",
        )
    times = bar_times(bars)
    due, position = _due(market, times)
    whole = np.isin(due, times)
    adjacent = np.concatenate([[False], np.diff(position) == 1])
    series = _series(bars, adjacent)
    gaps = _gaps(due, whole)
    changes = revisions(known)
    return FeedProfile(
        feed=spec.name,
        instrument=spec.instrument,
        frequency=spec.frequency,
        calendar=spec.calendar,
        at=at,
        rows=len(bars),
        first=bars["event_time"].iloc[0],
        last=bars["event_time"].iloc[-1],
        due=len(due),
        missing=int((~whole).sum()),
        unexpected=int((~np.isin(times, due)).sum()),
        gaps=gaps.nlargest(LISTED, "missing", keep="first").reset_index(drop=True),
        by_year=_by_year(market, due, whole, times, changes),
        revised=int(changes["event_time"].nunique()),
        revisions=len(changes),
        largest_revisions=_largest(changes, "change_bp"),
        providers=_providers(bars),
        columns=_columns(bars),
        returns=moments(series["return_bp"].to_numpy(float) * BASIS_POINT, market.bars_a_year),
        extremes=_largest(series[["event_time", "return_bp", "close"]], "return_bp"),
        series=series,
    )


def moments(returns: np.ndarray[Any, Any], bars_a_year: int) -> dict[str, float]:
    """Figures of log returns; NaN is left out of all of them.

    Returns
    -------
    dict
        ``n``, ``mean_bp``, ``std_bp``, ``annual_volatility``, ``skewness``, ``excess_kurtosis``,
        ``up_share`` (of returns that are not zero), ``zero_share``, ``longest_unchanged`` (bars),
        ``best_bp``, ``worst_bp``, and the autocorrelations ``acf_1`` of returns and ``acf_1_abs``
        of their absolute values. NaN where it is not defined.
    """
    known = returns[np.isfinite(returns)]
    n = len(known)
    if n < _FEWEST:
        return {"n": float(n)}
    centred = known - known.mean()
    std = float(known.std(ddof=1))
    scaled = centred / std if std > 0 else np.full(n, np.nan)
    moving = known[known != 0]
    return {
        "n": float(n),
        "mean_bp": float(known.mean()) / BASIS_POINT,
        "std_bp": std / BASIS_POINT,
        "annual_volatility": std * float(np.sqrt(bars_a_year)),
        "skewness": float((scaled**3).mean()),
        "excess_kurtosis": float((scaled**4).mean()) - 3,
        "up_share": float((moving > 0).mean()) if len(moving) else float("nan"),
        "zero_share": float((known == 0).mean()),
        "longest_unchanged": float(unbroken(returns == 0)[1].max(initial=0)),
        "best_bp": float(known.max()) / BASIS_POINT,
        "worst_bp": float(known.min()) / BASIS_POINT,
        "acf_1": autocorrelation(returns, 1),
        "acf_1_abs": autocorrelation(np.abs(returns), 1),
    }


def autocorrelation(values: np.ndarray[Any, Any], lag: int) -> float:
    """Correlation of a series with itself ``lag`` bars before; pairs with NaN are left out."""
    now, before = values[lag:], values[:-lag]
    both = np.isfinite(now) & np.isfinite(before)
    if both.sum() < _FEWEST or not now[both].std() or not before[both].std():
        return float("nan")
    return float(np.corrcoef(now[both], before[both])[0, 1])


def revisions(raw: pd.DataFrame) -> pd.DataFrame:
    """Every row that replaced an earlier one of its event time, with what it changed.

    Returns
    -------
    DataFrame
        ``event_time``, ``known_at`` (UTC), ``before`` and ``after`` (closes), ``change_bp`` (of
        the close, as a log ratio), ``columns`` (names, separated by a comma).
    """
    again = raw[raw.duplicated("event_time", keep=False)]
    order = ["event_time", "available_at", "ingested_at"]
    rows = again.sort_values(order, kind="stable").reset_index(drop=True)
    prices = rows[list(PRICE_COLUMNS)].to_numpy(float)
    follows = rows["event_time"].eq(rows["event_time"].shift()).to_numpy(bool)
    here = np.flatnonzero(follows)
    old, new = prices[here - 1], prices[here]
    differs = ~((old == new) | (np.isnan(old) & np.isnan(new)))
    close = PRICE_COLUMNS.index("close")
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(new[:, close] / old[:, close]) / BASIS_POINT
    names = np.array(PRICE_COLUMNS)
    return pd.DataFrame(
        {
            "event_time": rows["event_time"].to_numpy()[here],
            "known_at": rows["available_at"].to_numpy()[here],
            "before": old[:, close],
            "after": new[:, close],
            "change_bp": change,
            "columns": [", ".join(names[row]) for row in differs],
        }
    ).astype({"event_time": "datetime64[us, UTC]", "known_at": "datetime64[us, UTC]"})


def _due(market: Calendar, times: Instants) -> tuple[Instants, Instants]:
    """The closes that are due from the first bar to the last, and each bar's place among them."""
    first, last = (pd.Timestamp(t, tz="UTC").to_pydatetime() for t in (times[0], times[-1]))
    due = market.closes(market.bar_day(first), market.bar_day(last))
    due = due[(due >= times[0]) & (due <= times[-1])]
    return due, np.searchsorted(due, times)


def _series(bars: pd.DataFrame, adjacent: np.ndarray[Any, Any]) -> pd.DataFrame:
    used = [name for name in PRICE_COLUMNS if bars[name].notna().any()]
    series = bars[["event_time", *used]].copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.log(bars["close"]).diff().where(adjacent)
        series["return_bp"] = returns / BASIS_POINT
        series["abs_return_bp"] = series["return_bp"].abs()
        if {"open", "high", "low"} <= set(used):
            series["range_bp"] = np.log(bars["high"] / bars["low"]) / BASIS_POINT
            series["body_bp"] = np.log(bars["close"] / bars["open"]) / BASIS_POINT
    return series.replace([np.inf, -np.inf], np.nan)


def _gaps(due: Instants, whole: np.ndarray[Any, Any]) -> pd.DataFrame:
    first, length = unbroken(~whole)
    edges = (
        (due[first - 1], due[np.minimum(first + length, len(due) - 1)]) if len(first) else ([],) * 2
    )
    return pd.DataFrame(
        {
            "after": pd.DatetimeIndex(edges[0]).tz_localize("UTC"),
            "until": pd.DatetimeIndex(edges[1]).tz_localize("UTC"),
            "missing": length,
        }
    )


def _by_year(
    market: Calendar,
    due: Instants,
    whole: np.ndarray[Any, Any],
    times: Instants,
    changes: pd.DataFrame,
) -> pd.DataFrame:
    def years(instants: Instants) -> pd.Index[Any]:
        return market.day_index(pd.DatetimeIndex(instants).tz_localize("UTC")).year

    def per_year(which: Any) -> pd.Series[Any]:
        return pd.Series(which).value_counts()

    of_due = years(due)
    first, length = unbroken(~whole)
    longest = pd.Series(length, index=of_due[first]).groupby(level=0).max()
    revised = market.day_index(pd.DatetimeIndex(changes["event_time"].unique())).year
    table = pd.DataFrame(
        {
            "bars": per_year(years(times)),
            "due": per_year(of_due),
            "missing": per_year(of_due[~whole]),
            "longest": longest,
            "revised": per_year(revised),
        }
    )
    return table.fillna(0).astype("int64").rename_axis("year").reset_index()


def _largest(table: pd.DataFrame, column: str) -> pd.DataFrame:
    known = table[table[column].notna()]
    order = known[column].abs().sort_values(ascending=False, kind="stable").index
    return known.loc[order[:LISTED]].reset_index(drop=True)


def _providers(bars: pd.DataFrame) -> pd.DataFrame:
    found = bars.groupby("source", sort=False)["event_time"].agg(["size", "min", "max"])
    table = found.rename(columns={"size": "bars", "min": "first", "max": "last"})
    table.insert(1, "share", table["bars"] / len(bars))
    return table.sort_values("bars", ascending=False).reset_index()


def _columns(bars: pd.DataFrame) -> pd.DataFrame:
    prices = bars[list(PRICE_COLUMNS)]
    return pd.DataFrame(
        {
            "column": list(PRICE_COLUMNS),
            "share": prices.notna().mean().to_numpy(),
            "zero": prices.eq(0).mean().to_numpy(),
        }
    )
