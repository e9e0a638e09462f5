"""A first forecast for a feed: features of its columns, folds that fit its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import SpecError
from fx_assets.features import feature_set
from fx_assets.specs import FeedSpec
from fx_assets.targets import target_definition

LEAST_TRAIN = 120
"""Fewest rows that a first model is trained on."""
LEAST_TEST = 60
"""Fewest rows that a first judgement is made of."""
USUAL_TRAIN = 750
PROMOTION_ROWS = (1000, 2000)
"""Fewest and usual out-of-sample rows that a challenger needs."""
PRESENT = 0.95
"""Share of bars that must have a value before features read it."""
_CHOICES = ("price_cap_volume", "ohlcv", "ohlc", "fx_close")


@dataclass(frozen=True)
class Proposal:
    """A forecast's attributes, or why there is none; notes for a person."""

    attributes: dict[str, Any] | None
    notes: tuple[str, ...]


def propose(
    name: str,
    feed: FeedSpec,
    bars: pd.DataFrame,
    target: str,
    horizon: int = 1,
    *,
    features: str | None = None,
    volume: bool = True,
) -> Proposal:
    """A forecast of a feed, as far as its history goes.

    Parameters
    ----------
    bars
        The feed's bars (``BAR_DTYPES``).
    target
        ``direction``, ``return`` or ``volatility``.
    features
        A feature set; unset means the one that reads most of what the bars have.
    volume
        Whether the volumes mean something.
    """
    chosen = features or _features(feed, bars, volume)
    if chosen is None:
        return Proposal(
            None,
            (
                f"No forecast is declared: bars of {feed.frequency} with closes only have no "
                "feature set. Import files with open, high and low, or daily ones.",
            ),
        )
    rows = len(bars) - feature_set(chosen, feed.market.bar).warm_up - 2 * horizon
    if rows < LEAST_TRAIN + LEAST_TEST:
        needed = len(bars) - rows + LEAST_TRAIN + LEAST_TEST
        return Proposal(
            None,
            (
                f"No forecast is declared: the features {chosen} and a first judgement take "
                f"{needed:,} bars, and there are {len(bars):,}.",
            ),
        )
    folds, test = _walk_forward(feed, bars, rows, horizon)
    definition = target_definition(target)
    attributes: dict[str, Any] = {
        "name": name,
        "description": definition.described(feed.instrument, _over(feed, horizon)),
        "feed": feed.name,
        "target": {"kind": target, **({"horizon": horizon} if horizon != 1 else {})},
        "features": chosen,
        "candidates": definition.usual_candidates(feed.market.bars_a_day),
        "walk_forward": folds,
    }
    notes = []
    promotion = _promotion(feed, test)
    if promotion:
        attributes["promotion"] = promotion
    if test < PROMOTION_ROWS[0]:
        notes.append(
            f"The history leaves {test:,} rows to judge candidates on, and a challenger needs "
            f"{PROMOTION_ROWS[0]:,}: until then the baseline predicts."
        )
    if feed.market.bar.total_seconds() < 86_400:
        attributes["watching"] = {"drift": {"window": max(20, 7 * feed.market.bars_a_day)}}
    return Proposal(attributes, tuple(notes))


def _features(feed: FeedSpec, bars: pd.DataFrame, volume: bool) -> str | None:
    """The feature set that reads most of what the bars have."""
    share = {name: float(bars[name].notna().mean()) for name in bars.columns}
    share["volume"] = float((bars["volume"] > 0).mean()) if volume else 0.0
    for name in _CHOICES:
        if any(share[column] < PRESENT for column in FEATURE_SETS[name].reads):
            continue
        try:
            feature_set(name, feed.market.bar)
        except SpecError:
            continue
        return name
    return None


def _walk_forward(
    feed: FeedSpec, bars: pd.DataFrame, rows: int, horizon: int
) -> tuple[dict[str, Any], int]:
    """Folds, and how many rows they test."""
    a_day = feed.market.bars_a_day
    train = min(USUAL_TRAIN * (1 if a_day == 1 else min(a_day, 12)), max(LEAST_TRAIN, rows // 3))
    test = rows - train
    refit = max(21, min(252, test // 6)) if a_day == 1 else max(60, test // 12)
    first = bars["event_time"].iloc[len(bars) - test - horizon]
    folds = {
        "first_test": feed.market.bar_day(first).isoformat(),
        "min_train": train,
        "refit_every": refit,
    }
    return folds, test


def _promotion(feed: FeedSpec, test: int) -> dict[str, int]:
    least, usual = PROMOTION_ROWS
    if feed.market.bars_a_day > 1:
        rows = max(least, min(8000, test // 2))
        return {"min_rows": rows, "demotion_rows": rows // 2, "refresh_rows": rows // 4}
    return {} if test >= usual else {"min_rows": least}


def _over(feed: FeedSpec, horizon: int) -> str:
    bar = "day" if feed.frequency == "1d" else f"bar of {feed.frequency}"
    return f"the next {bar}" if horizon == 1 else f"the next {horizon} {bar}s"
