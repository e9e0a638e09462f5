"""The figures of a strategy, by name: what they are called and measured in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Told(NamedTuple):
    """A figure's title, and its unit: a share is shown in per cent."""

    title: str
    unit: str = ""


SHARE, A_YEAR, PROBABILITY = "share", "share a year", "probability"
FIGURES: Mapping[str, Told] = {
    "net_return": Told("return after costs", A_YEAR),
    "gross_return": Told("return before costs", A_YEAR),
    "trading_cost": Told("spread and commission", A_YEAR),
    "swap": Told("swap received", A_YEAR),
    "turnover": Told("capital turned over a year, times"),
    "sharpe": Told("Sharpe ratio after costs, a year"),
    "sharpe_before_costs": Told("Sharpe ratio before costs, a year"),
    "deflated_sharpe": Told("deflated Sharpe ratio", PROBABILITY),
    "backtest_overfitting": Told("backtest overfitting", PROBABILITY),
    "max_drawdown": Told("largest drawdown", SHARE),
    "utility": Told("utility of risk targeting, of 4 % at best", A_YEAR),
    "utility_after_costs": Told("the same after costs", A_YEAR),
    "var_exceedances": Told("bars below the 2.5 % value at risk", SHARE),
    "kupiec_p": Told("that this is 2.5 % (Kupiec)", PROBABILITY),
    "christoffersen_p": Told("and that they come alone (Christoffersen)", PROBABILITY),
    "shortfall": Told("loss beyond it over the expected shortfall"),
    "fz0": Told("score of both (FZ0; smaller is better)"),
    "fz0_constant": Told("the same of the volatility of all of history"),
    "fz0_p": Told("that it is no better than that", PROBABILITY),
}
"""Every figure by name, in the order in which they are shown."""
