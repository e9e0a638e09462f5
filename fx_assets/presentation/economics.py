"""What a strategy would have earned, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from fx_assets.evaluation.economic_figures import A_YEAR, FIGURES, PROBABILITY, SHARE
from fx_assets.evaluation.economics import Figure, best_utility
from fx_assets.presentation.markdown import markdown_table
from fx_assets.specs.strategy import StrategySpec

_KINDS = {
    "sign": "Following the sign of the forecast",
    "sized": "Following the forecast, sized by expected return over variance",
    "risk_target": "Held at {target:.0f} % predicted volatility a year",
}
_UNITS = {"pips": "pips", "basis_points": "basis points"}


def figure_text(name: str, value: float) -> str:
    """A figure with its unit."""
    unit = FIGURES[name].unit
    if unit in (SHARE, A_YEAR):
        return f"{100 * value:+.2f} %{' a year' if unit == A_YEAR else ''}"
    return f"{value:.3f}" if unit == PROBABILITY else f"{value:.2f}"


def terms(strategy: StrategySpec) -> str:
    """The strategy and its costs."""
    costs = strategy.costs
    if costs is None:
        return ""
    kind = _KINDS[strategy.kind].format(target=100 * strategy.target_volatility)
    fill = strategy.fill.replace("_", " ")
    return (
        f"{kind}, filled at the {fill} after the decision (spread {costs.spread:g}, commission "
        f"{costs.commission:g} a side, swap {costs.swap_long:+g} long and {costs.swap_short:+g} "
        f"short a night, in {_UNITS[costs.unit]})"
    )


def earned_sentence(
    candidate: str, strategy: StrategySpec, figures: Sequence[Figure], of_baseline: Sequence[Figure]
) -> str:
    """What following a candidate would have earned, and how much of that may be luck."""
    found = {figure.figure: figure for figure in figures}
    ratio, n = found["sharpe"], found["net_return"].n
    money = {name: figure_text(name, found[name].value) for name in ("net_return", "trading_cost")}
    said = f"{terms(strategy)}, {candidate} would have earned {money['net_return']} after costs"
    said += f" on {n:,} bars: "
    parts = [f"spread and commission {money['trading_cost'].lstrip('+')}"]
    parts.append(f"swap {figure_text('swap', found['swap'].value)}")
    parts.append(f"{found['turnover'].value:.3g} times the capital turned over a year")
    if math.isfinite(ratio.value):
        interval = f"{ratio.lower:+.2f} to {ratio.upper:+.2f}"
        before = found["sharpe_before_costs"].value
        parts.append(f"Sharpe {ratio.value:+.2f} ({interval}; before costs {before:+.2f})")
    if "deflated_sharpe" in found and math.isfinite(found["deflated_sharpe"].value):
        parts.append(f"deflated probability {found['deflated_sharpe'].value:.2f}")
    if "backtest_overfitting" in found and math.isfinite(found["backtest_overfitting"].value):
        parts.append(f"probability of overfitting {found['backtest_overfitting'].value:.2f}")
    parts.append(f"largest drawdown {100 * found['max_drawdown'].value:.1f} %")
    said += ", ".join(parts) + "."
    if "utility" in found:
        said += f" {_utility(found, {figure.figure: figure for figure in of_baseline})}"
    return said


def _utility(found: Mapping[str, Figure], baseline: Mapping[str, Figure]) -> str:
    worth = found["utility"]
    beside = f", the baseline's {100 * baseline['utility'].value:.2f} %" if baseline else ""
    return (
        f"To whom risk is a cost, its variance is worth {100 * worth.value:.2f} % a year "
        f"({100 * worth.lower:.2f} to {100 * worth.upper:.2f}; "
        f"{100 * found['utility_after_costs'].value:.2f} after costs) of "
        f"{100 * best_utility():.2f} % at best{beside}."
    )


def figures_markdown(figures: pd.DataFrame) -> str:
    """Every candidate's figures beside each other, as a table."""
    backtest = figures[(figures["evidence"] == "backtest") & figures["figure"].isin(list(FIGURES))]
    candidates = list(dict.fromkeys(backtest["candidate"]))
    lines = []
    for name, told in FIGURES.items():
        rows = backtest[backtest["figure"] == name].set_index("candidate")["value"]
        if len(rows):
            cells = (figure_text(name, rows[c]) if c in rows else "" for c in candidates)
            lines.append([told.title, *cells])
    return markdown_table(["", *candidates], lines)
