"""Quantiles of beta distributions without SciPy: a server shows them and has none."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

STEPS = 60
TERMS = 10_000
PRECISION = 1e-15
TINY = 1e-300


def beta_quantile(a: float, b: float, share: float) -> float:
    """Where a beta distribution has ``share`` of its mass below.

    Bisection of the distribution function: for the shares of counts that a server shows, which
    are between 0 and 1 exclusively and well above the smallest numbers.
    """
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_mass_below(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def beta_mass_below(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, of a number between 0 and 1 exclusively."""
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_mass_below(1 - x, b, a)
    logs = a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)
    return exp(logs) / a * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method."""
    value, c, d = TINY, TINY, 0.0
    for m in range(TERMS):
        half, odd = divmod(m, 2)
        if m == 0:
            term = 1.0
        elif odd:
            term = -(a + half) * (a + b + half) * x / ((a + m - 1) * (a + m))
        else:
            term = half * (b - half) * x / ((a + m - 1) * (a + m))
        d = 1 / (1 + term * d or TINY)
        c = 1 + term / c or TINY
        value *= c * d
        if m and abs(c * d - 1) < PRECISION:
            break
    return value
