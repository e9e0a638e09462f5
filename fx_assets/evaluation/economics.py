"""Figures of a strategy's bars: what it earned after costs, and how much of that may be luck.

Shown beside the verdict of a forecast; nothing is decided by them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from fx_assets.evaluation.bootstrap import weight_parts
from fx_assets.evaluation.deflation import deflated_sharpe, overfitting, sharpe
from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.strategy import Earned
from fx_assets.evaluation.tail_risk import tail_risk
from fx_assets.specs.strategy import StrategySpec

RESAMPLES = 500
SHARPE_HELD, RISK_AVERSION = 0.4, 2.0
"""Of the asset and the investor in the utility of Bollerslev, Hood, Huss and Pedersen (2018)."""
BEST_TARGET = SHARPE_HELD / RISK_AVERSION
"""The volatility a year that such an investor wants."""


class Figure(NamedTuple):
    """A figure with its 95 % block-bootstrap interval, NaN where it has none, and its rows."""

    figure: str
    value: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True, eq=False)
class Followed:
    """A recipe whose predictions a strategy followed.

    ``predictions`` has ``prediction`` and, where it is known, ``target``.
    """

    candidate: str
    recipe: str
    predictions: pd.DataFrame
    earned: Earned


def weigh(
    followed: Sequence[Followed],
    strategy: StrategySpec,
    *,
    tried: int,
    horizon: int,
    bars_a_year: int,
) -> dict[str, list[Figure]]:
    """The figures of each recipe.

    Parameters
    ----------
    followed
        Every recipe of the series whose predictions are stored, former ones too.
    tried
        How many recipes count, a tuned one once for each setting.
    """
    overfit = overfitting(_aligned([each.earned for each in followed]))
    useful = [_useful(each, strategy) for each in followed]
    columns = [(e.earned.net, e.earned.gross, u) for e, u in zip(followed, useful, strict=True)]
    squared = [(net, net**2, gross, gross**2, u) for net, gross, u in columns]
    draws = _resampled([column for row in squared for column in row], horizon)
    found = {}
    for place, each in enumerate(followed):
        rows, mine = len(each.earned.net), draws[5 * place : 5 * place + 5]
        deflated = deflated_sharpe(each.earned.net, max(tried, len(followed)))
        found[each.recipe] = [
            *_earnings(each.earned, mine, bars_a_year),
            _plain("deflated_sharpe", deflated, rows),
            _plain("backtest_overfitting", overfit, rows),
            *_utility(each.earned, useful[place], mine[-1], strategy, bars_a_year),
            *_tails(each.earned),
        ]
    return found


def _resampled(columns: Sequence[Floats], horizon: int) -> list[Floats]:
    """The mean of each column in every resample; columns of one length are drawn at once."""
    found = [np.full(RESAMPLES, np.nan)] * len(columns)
    for n in sorted({len(column) for column in columns} - {0, 1}):
        places = [i for i, column in enumerate(columns) if len(column) == n]
        table = np.column_stack([columns[i] for i in places])
        parts = [weights @ table / n for weights in weight_parts(n, horizon, RESAMPLES, seed=0)]
        means = np.concatenate(parts)
        for position, place in enumerate(places):
            found[place] = means[:, position]
    return found


def best_utility() -> float:
    """What risk targeting is worth a year to whom the variance is known."""
    return SHARPE_HELD**2 / RISK_AVERSION / 2


def utility(predicted: Floats, realised: Floats) -> Floats:
    """Utility a year of each row: an investor of risk aversion 2 holds an asset of Sharpe ratio 0.4
    at the constant predicted volatility of 20 % a year (Bollerslev et al., 2018, equation 18)."""
    share = realised / predicted
    return np.asarray(2 * best_utility() * (np.sqrt(share) - share / 2))


def _earnings(earned: Earned, draws: Sequence[Floats], bars_a_year: int) -> Iterable[Figure]:
    net, gross = earned.net, earned.gross
    n, a_year = len(net), math.sqrt(bars_a_year)
    for name, x, mean, square in (
        ("sharpe", net, draws[0], draws[1]),
        ("sharpe_before_costs", gross, draws[2], draws[3]),
    ):
        spread = np.sqrt(np.maximum(square - mean**2, 0.0) * n / (n - 1))
        ratios = np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > 0)
        yield _bounded(name, sharpe(x) * a_year, ratios * a_year, n)
    yield _bounded("net_return", net.mean() * bars_a_year, draws[0] * bars_a_year, n)
    yield _bounded("gross_return", gross.mean() * bars_a_year, draws[2] * bars_a_year, n)
    yield _plain("trading_cost", earned.cost.mean() * bars_a_year, n)
    yield _plain("swap", earned.swap.mean() * bars_a_year, n)
    yield _plain("turnover", earned.turnover.mean() * bars_a_year, n)
    level = np.concatenate([[0.0], np.cumsum(net)])
    yield _plain("max_drawdown", float(np.max(np.maximum.accumulate(level) - level)), n)


def _useful(each: Followed, strategy: StrategySpec) -> Floats:
    """The utility of each row whose outcome is known; none unless risk is targeted."""
    if strategy.kind != "risk_target" or "target" not in each.predictions:
        return np.empty(0)
    said, came = (each.predictions[c].to_numpy(dtype=np.float64) for c in ("prediction", "target"))
    known = np.isfinite(came) & (said > 0)
    return utility(said[known], came[known])


def _utility(
    earned: Earned, rows: Floats, draws: Floats, strategy: StrategySpec, bars_a_year: int
) -> Iterable[Figure]:
    if len(rows) < 2:
        return
    cost = float(earned.cost.mean()) * bars_a_year * BEST_TARGET / strategy.target_volatility
    yield _bounded("utility", float(rows.mean()), draws, len(rows))
    yield _plain("utility_after_costs", float(rows.mean()) - cost, len(rows))


def _tails(earned: Earned) -> Iterable[Figure]:
    held = np.abs(earned.position)
    some = held > 0
    if not some.any():
        return
    at, n = held[some], int(some.sum())
    risk = tail_risk(earned.gross[some], at * earned.volatility[some], at * earned.usual[some])
    for name, value in (
        ("var_exceedances", risk.exceedances),
        ("kupiec_p", risk.kupiec_p),
        ("christoffersen_p", risk.christoffersen_p),
        ("shortfall", risk.shortfall),
        ("fz0", risk.score),
        ("fz0_constant", risk.constant_score),
        ("fz0_p", risk.better_p),
    ):
        yield _plain(name, value, n)


def _aligned(earned: Sequence[Earned]) -> Floats:
    """(n, recipes) what was left of each bar that all of them were held on.

    Recipes that cover less than half of the longest are left out.
    """
    longest = max(len(each.net) for each in earned)
    long = [each for each in earned if 2 * len(each.net) >= longest]
    first = max(each.first for each in long)
    last = min(each.first + len(each.net) for each in long)
    if last <= first:
        return np.zeros((0, len(long)))
    return np.column_stack([each.net[first - each.first : last - each.first] for each in long])


def _plain(name: str, value: float, n: int) -> Figure:
    return Figure(name, float(value), math.nan, math.nan, n)


def _bounded(name: str, value: float, draws: Floats, n: int) -> Figure:
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return _plain(name, value, n)
    lower, upper = np.quantile(finite, [0.025, 0.975])
    return Figure(name, float(value), float(lower), float(upper), n)
