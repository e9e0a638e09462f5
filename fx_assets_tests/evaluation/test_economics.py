"""Figures of a strategy beside references of a few lines, and in worlds whose truth is known."""

from __future__ import annotations

import math
from datetime import date
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fx_assets.calendars import calendar
from fx_assets.evaluation.deflation import deflated_sharpe, expected_best, overfitting, sharpe
from fx_assets.evaluation.economic_figures import FIGURES
from fx_assets.evaluation.economics import Followed, best_utility, utility, weigh
from fx_assets.evaluation.strategy import Prices, earn
from fx_assets.evaluation.tail_risk import LEVEL, christoffersen, fz0, kupiec, tail_risk
from fx_assets.presentation.economics import earned_sentence
from fx_assets.specs.strategy import StrategySpec
from fx_assets.targets import target_definition

MARKET = calendar("24x5|1d||0")
COSTS = {"unit": "pips", "spread": 1, "commission": 0, "swap_long": 0, "swap_short": 0}


def test_the_deflated_sharpe_ratio_is_that_of_the_papers_example() -> None:
    """Bailey and Lopez de Prado (2014): an annual 2.5 on five years, the best of 100, is 0.9004."""
    n, annual, variance = 1250, 2.5, 0.5
    best = expected_best(variance / 250, 100)
    assert best == pytest.approx(0.1132, abs=1e-4)
    ratio, skewness, kurtosis = annual / math.sqrt(250), -3.0, 10.0
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    p = stats.norm.cdf((ratio - best) * math.sqrt(n - 1) / math.sqrt(spread))
    assert p == pytest.approx(0.9004, abs=1e-4)


def test_the_deflated_sharpe_ratio_is_what_a_few_lines_give() -> None:
    returns = np.random.default_rng(1).standard_t(5, 900) * 0.01 + 0.0004
    ratio = returns.mean() / returns.std(ddof=1)
    trials, variance = 7, 0.002
    z = stats.norm.ppf
    best = math.sqrt(variance) * (
        (1 - np.euler_gamma) * z(1 - 1 / trials) + np.euler_gamma * z(1 - 1 / (trials * math.e))
    )
    spread = math.sqrt(
        1
        - stats.skew(returns) * ratio
        + stats.kurtosis(returns, fisher=False) / 4 * ratio**2
        - ratio**2 / 4
    )
    wanted = stats.norm.cdf((ratio - best) * math.sqrt(899) / spread)
    assert deflated_sharpe(returns, trials, variance) == pytest.approx(wanted, rel=1e-9)
    assert deflated_sharpe(returns, 1) > deflated_sharpe(returns, trials, variance)
    assert math.isnan(sharpe(np.zeros(50)))
    assert math.isnan(deflated_sharpe(np.zeros(50), 3))


def test_overfitting_is_what_the_paper_counts() -> None:
    returns = np.random.default_rng(2).standard_normal((160, 4)) * 0.01
    blocks = np.split(returns, 16)
    below = []
    for chosen in list(combinations(range(16), 8))[::97]:
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.concatenate([blocks[i] for i in range(16) if i not in chosen])
        best = np.argmax(inside.mean(0) / inside.std(0))
        rank = stats.rankdata(outside.mean(0) / outside.std(0))[best] / 5
        below.append(math.log(rank / (1 - rank)) <= 0)
    assert overfitting(returns) == pytest.approx(np.mean(below), abs=0.15)
    returns[:, 2] += 0.02
    assert overfitting(returns) < 0.01
    assert math.isnan(overfitting(returns[:, :1]))


def test_tails_are_judged_as_few_lines_do() -> None:
    draws = np.random.default_rng(3)
    volatility = 0.01 * np.exp(0.5 * np.sin(np.arange(4000) / 50))
    returns = volatility * draws.standard_normal(4000)
    usual = np.full(4000, float(np.sqrt(np.mean(volatility**2))))
    found = tail_risk(returns, volatility, usual)
    z = stats.norm.ppf(LEVEL)
    hits = returns < z * volatility
    k, n = int(hits.sum()), 4000
    ratio = 2 * (stats.binom.logpmf(k, n, k / n) - stats.binom.logpmf(k, n, LEVEL))
    assert found.kupiec_p == pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-6)
    assert found.kupiec_p > 0.01
    assert found.christoffersen_p > 0.01
    assert found.shortfall == pytest.approx(1, abs=0.1)
    assert found.better_p < 1e-4
    assert found.score < found.constant_score
    wrong = tail_risk(returns, 0.7 * volatility, usual)
    assert wrong.kupiec_p < 1e-6


def test_exceedances_that_come_together_are_found() -> None:
    hits = np.zeros(4000, dtype=bool)
    hits[1000:1100] = True
    assert kupiec(hits) == pytest.approx(1)
    assert christoffersen(hits) < 1e-10
    assert 0 <= christoffersen(np.zeros(500, dtype=bool)) <= 1
    assert 0 <= kupiec(np.ones(5, dtype=bool)) <= 1


def test_the_score_is_least_for_the_true_value_at_risk_and_shortfall() -> None:
    returns = np.random.default_rng(4).standard_normal(400_000)
    v = stats.norm.ppf(LEVEL)
    e = -stats.norm.pdf(v) / LEVEL

    def mean(a: float, b: float) -> float:
        n = len(returns)
        return float(fz0(returns, np.full(n, a * v), np.full(n, b * e)).mean())

    best = mean(1, 1)
    assert all(mean(a, b) > best for a, b in ((0.85, 1), (1.15, 1), (1, 0.85), (1, 1.15)))


def test_who_knows_the_variance_has_all_of_the_utility() -> None:
    variance = np.exp(np.random.default_rng(5).standard_normal(1000))
    assert best_utility() == pytest.approx(0.04)
    assert utility(variance, variance) == pytest.approx(0.04)
    assert (utility(np.full(1000, variance.mean()), variance) <= 0.04).all()


def world(seed: int, drift: float, spread: float, n: int = 2500) -> list[Followed]:
    """A price whose drift has a sign that lasts; one recipe knows it, three do not."""
    draws = np.random.default_rng(seed)
    times = MARKET.closes(date(2005, 1, 3), date(2020, 1, 1))[:n]
    regime = np.where(np.cumsum(draws.random(n) < 1 / 40) % 2, 1.0, -1.0)
    close = np.exp(np.cumsum(0.005 * draws.standard_normal(n) + drift * regime))
    at = pd.DatetimeIndex(times).tz_localize("UTC")
    spec = StrategySpec.model_validate({"kind": "sign", "costs": COSTS | {"spread": spread}})
    bars = pd.DataFrame({"event_time": at, "close": close})
    prices = Prices.of(bars, MARKET, spec, "EURUSD")
    found = []
    for place in range(4):
        knows = regime if place == 0 else draws.standard_normal(n)
        said = pd.DataFrame({"event_time": at, "prediction": knows * 1e-4})
        definition = target_definition("return")
        earned = earn(said, prices, spec, definition, 1, MARKET.bars_a_year)
        found.append(Followed(f"c{place}", f"r{place}", said, earned))
    return found


def test_an_edge_beyond_its_cost_is_found_and_one_below_it_is_not() -> None:
    spec = StrategySpec.model_validate({"kind": "sign", "costs": COSTS})
    about = {"tried": 4, "horizon": 1, "bars_a_year": MARKET.bars_a_year}
    figures = {f.figure: f for f in weigh(world(1, 0.001, 1.0), spec, **about)["r0"]}  # type: ignore
    assert figures["deflated_sharpe"].value > 0.95
    assert figures["backtest_overfitting"].value < 0.05
    assert figures["sharpe"].lower > 0
    assert figures["sharpe"].lower < figures["sharpe"].value < figures["sharpe"].upper
    assert set(figures) <= set(FIGURES)
    dear = weigh(world(1, 0.001, 900.0), spec, **about)["r0"]  # type: ignore[arg-type]
    costly = {f.figure: f for f in dear}
    assert costly["sharpe_before_costs"].value > 0 > costly["net_return"].value
    assert costly["deflated_sharpe"].value < 0.05
    said = earned_sentence("c0", spec, dear, [])
    assert "would have earned -" in said
    assert "spread and commission" in said


def test_figures_follow_from_the_rows() -> None:
    spec = StrategySpec.model_validate({"kind": "sign", "costs": COSTS})
    followed = world(2, 0.0, 1.0)
    found = weigh(followed, spec, tried=4, horizon=1, bars_a_year=259)["r1"]
    figures = {f.figure: f.value for f in found}
    rows = followed[1].earned.table()
    net, level = rows["net"], np.append(0, rows["net"].cumsum())
    assert figures["net_return"] == pytest.approx(net.mean() * 259)
    assert figures["sharpe"] == pytest.approx(net.mean() / net.std() * math.sqrt(259))
    assert figures["max_drawdown"] == pytest.approx((np.maximum.accumulate(level) - level).max())
    turned = rows["position"].diff().fillna(rows["position"]).abs().mean() * 259
    assert figures["turnover"] == pytest.approx(turned)
    parts = figures["gross_return"] - figures["trading_cost"] + figures["swap"]
    assert figures["net_return"] == pytest.approx(parts)


def test_recipes_that_earn_the_same_are_overfitted_as_often_as_a_coin_falls() -> None:
    earned = np.random.default_rng(0).standard_normal((400, 1)) / 100
    assert overfitting(np.hstack([earned, earned, earned])) == 0.5
