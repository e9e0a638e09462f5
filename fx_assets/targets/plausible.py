"""What is plausible of honest forecasts, by frequency and horizon.

A drift that lasts adds up over the horizon while noise grows with its root, so the share of
explained squared error may grow, at most with the horizon; the defaults let it grow with the root,
and the share of right directions with the root of that.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Literal

from fx_assets.calendars import Frequency

Measure = Literal["accuracy", "roc_auc", "skill", "qlike", "log_correlation"]

HIT_RATES: dict[Frequency, float] = {
    "1min": 0.56,
    "5min": 0.55,
    "15min": 0.54,
    "30min": 0.54,
    "1h": 0.535,
    "4h": 0.535,
    "1d": 0.53,
}
"""Plausible share of right directions, and area under the ROC curve, of the next bar."""
SHARES_EXPLAINED: dict[Frequency, float] = {
    "1min": 0.03,
    "5min": 0.02,
    "15min": 0.01,
    "30min": 0.01,
    "1h": 0.0075,
    "4h": 0.0075,
    "1d": 0.005,
}
"""Plausible share of the next bar's squared error that is explained: Brier skill, or R² against the
random walk."""
VARIANCES_OF_LOG_VARIANCE: dict[Frequency, float] = dict.fromkeys(HIT_RATES, 2.0) | {"1d": 1.0}
"""How much the logarithm of a bar's true variance varies at most (daily currencies: 0.3 to 0.8; an
intraday day has its quiet and its busy hours)."""
MOST_LOG_CORRELATION = 0.85
"""More than models of realised variance reach on sums of many bars: R² of 0.4 to 0.7 of its
logarithm (Andersen, Bollerslev and Diebold 2007; Corsi 2009)."""


def hit_rate(frequency: Frequency, horizon: int) -> float:
    """The largest plausible share of right directions."""
    growth: float = horizon**0.25
    return min(0.5 + (HIT_RATES[frequency] - 0.5) * growth, 0.75)


def share_explained(frequency: Frequency, horizon: int) -> float:
    """The largest plausible skill of a direction or return."""
    growth: float = horizon**0.5
    return min(SHARES_EXPLAINED[frequency] * growth, 0.25)


def least_qlike(horizon: int) -> float:
    """What the true variance scores when returns are Gaussian given it; fat tails only add to it.

    ``log(h/2) - psi(h/2)``.
    """
    from scipy import special

    half = horizon / 2
    return log(half) - float(special.digamma(half))


def log_correlation(frequency: Frequency, horizon: int) -> float:
    """Correlation of the logs of a true variance and of such returns' squares."""
    from scipy import special

    trigamma: Callable[[int, float], float] = special.zeta
    spread = VARIANCES_OF_LOG_VARIANCE[frequency]
    correlation: float = (spread / (spread + float(trigamma(2, horizon / 2)))) ** 0.5
    return min(correlation, MOST_LOG_CORRELATION)
