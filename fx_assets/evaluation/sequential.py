"""Levels of tests that look again and again: a yearly error budget, spent look by look.

Looks share most of their rows, and recipes much of what they say. The level of a look is the one
at which, in years without any signal, no more than the budget's share has a promotion: the
multiplier bootstrap of the recipes' studentised statistics over the looks of the year that have
been and those that remain. Recipes that came together have a budget together, the smaller the later
they came (:func:`budget_shares`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from fx_assets.evaluation.losses import Floats
from fx_assets.specs.base import Record

REPLICATIONS = 4_000
HIGHEST = 30.0
"""Critical value that nothing exceeds."""
TILTED = 0.9
"""Share of draws that begin near the boundary; all are weighted."""
LATER_SHARE = 0.3
"""Of the budget, kept for all recipes that are not there from the first decision on."""
LATER_DECAY = 1.6
LATER_TOTAL = 2.2857656572
"""Riemann's zeta at ``LATER_DECAY``, the sum of all ``i ** -LATER_DECAY``."""


class Account(Record):
    """What recipes that came together have spent of a year's error budget, and their level."""

    arrival: int
    """Number of the decision that saw them first, from 0."""
    recipes: tuple[str, ...]
    """Those on trial."""
    settings: int
    """How many count, those that were withdrawn and every setting of a tuned one included."""
    budget: float
    """Share of years that they may err in."""
    spent: float
    """Of it, by the looks before."""
    spends: float
    """Of it, by this look."""
    level: float
    """A p-value has to lie below it."""


class Boundary(Record):
    """The account of a look: the level of every recipe, and what is left for the year."""

    year_from: datetime
    """Beginning of the year whose budget is spent, by the data's time (UTC)."""
    look: int
    """Number of the look in its year, from 1."""
    looks: int
    """Looks of the year, those that remain as planned."""
    rows_a_look: float
    """Rows that come between two looks."""
    accounts: tuple[Account, ...]
    recipes: tuple[str, ...]
    """Those on trial, in the order of ``correlation``."""
    correlation: tuple[tuple[float, ...], ...]
    """Long-run correlation of what is tested."""
    replications: int
    seed: int

    def level_of(self, recipe: str) -> float | None:
        """What the p-value of a recipe on trial has to lie below."""
        return next((a.level for a in self.accounts if recipe in a.recipes), None)

    @property
    def budget(self) -> float:
        """Share of years that the recipes on trial may err in."""
        return sum(account.budget for account in self.accounts)

    @property
    def spent(self) -> float:
        """Of it, by the looks before and by this one."""
        return sum(account.spent + account.spends for account in self.accounts)

    @property
    def left(self) -> float:
        """Of it, for the looks that remain."""
        return sum(max(0.0, a.budget - a.spent - a.spends) for a in self.accounts)

    @property
    def mean_correlation(self) -> float | None:
        """Of the recipes on trial with each other; none of fewer than two."""
        n = len(self.correlation)
        if n < 2:
            return None
        return (sum(map(sum, self.correlation)) - n) / (n * (n - 1))

    @property
    def text(self) -> str:
        """For people."""
        now = sum(account.spends for account in self.accounts)
        return (
            f"look {self.look} of {self.looks} in the year from {self.year_from:%Y-%m-%d}: it "
            f"spends {now:.2%} of the error budget of {self.budget:.2%} a year, and "
            f"{self.left:.2%} is left"
        )


def budget_shares(settings: Sequence[int]) -> list[float]:
    """The share of the error budget that recipes have, by when they came.

    Those of the first decision have ``1 - LATER_SHARE`` together. Who brings in others may have
    seen the rows, so they pay for it: the i-th recipe that came later has
    ``LATER_SHARE * i ** -1.6 / zeta(1.6)``, and recipes that came together share the sum of theirs.
    All shares, however many are to come, sum to one at most: alpha-spending, which holds the
    family-wise error rate over an endless sequence of hypotheses whatever their dependence (Tian
    and Ramdas, 2021).

    Parameters
    ----------
    settings
        How many came with each decision, the first decision first; a tuned recipe counts as many
        times as it has settings.
    """
    shares = [1.0 - LATER_SHARE] if settings else []
    place = 1
    for count in settings[1:]:
        places = np.arange(place, place + count, dtype=np.float64)
        shares.append(LATER_SHARE * float((places**-LATER_DECAY).sum()) / LATER_TOTAL)
        place += count
    return shares


def long_run_correlation(differences: Floats, lags: int) -> Floats:
    """Correlation of the means of series, (rows, series): Newey and West's, Bartlett weights.

    A series that never varies is uncorrelated with all others.
    """
    n = len(differences)
    centred = differences - differences.mean(axis=0)
    covariance = centred.T @ centred
    for lag in range(1, min(lags, n - 1) + 1):
        cross = centred[lag:].T @ centred[:-lag]
        covariance += (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
    scale = np.sqrt(np.diag(covariance).clip(0.0))
    known = scale > 0
    scale[~known] = 1.0
    correlation = covariance / np.outer(scale, scale)
    correlation[~known, :] = correlation[:, ~known] = 0.0
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation.clip(-1.0, 1.0), dtype=np.float64)


def spend(
    correlation: Floats,
    past: Sequence[tuple[int, float]],
    rows: Sequence[float],
    *,
    budget: float,
    seed: int,
    absent: int = 0,
    replications: int = REPLICATIONS,
) -> tuple[float, float, float]:
    """The level of a look, and what the looks before and this one spend of a budget.

    Given the rows, the multiplier bootstrap of studentised means with Bartlett-dependent
    multipliers (Shao, 2010) is normal with the long-run correlation; over a growing window it is a
    Brownian motion, whose values at n and m > n rows correlate by ``sqrt(n / m)``. It is drawn
    from that law. The past looks have the levels that they had; this one and those to come share
    one, the highest that keeps the share of years with a crossing within the budget. Most years
    are drawn with a recipe near the boundary and weighted by the ratio of densities (importance
    sampling), so that small budgets are met as closely as large ones.

    Parameters
    ----------
    correlation
        Of the recipes on trial.
    past
        Rows and level of the looks before in this year.
    rows
        Rows of this look and of those that remain.
    absent
        How many settings count that are not on trial, such as recipes that were withdrawn: taken
        as independent of all others.
    """
    from scipy.special import ndtr, ndtri

    if budget <= 0:
        return 0.0, 0.0, 0.0
    k, before = len(correlation), len(past)
    counts = np.array([*(float(min(n, rows[0])) for n, _ in past), *rows])
    steps = np.sqrt(np.diff(counts, prepend=0.0))
    values, vectors = np.linalg.eigh(correlation)
    random = np.random.default_rng(seed)
    draws = random.standard_normal((len(counts), replications, k + 1))
    # The last stream stands for a setting that is absent.
    draws[..., :k] = draws[..., :k] @ (vectors * np.sqrt(values.clip(0.0))).T
    shift = -float(ndtri(min(0.5, budget / (k + absent))))
    tilted = shift * (random.random(replications) < TILTED)
    draws[0, :, :k] += tilted[:, None] * correlation[random.integers(0, k, replications)]
    draws[0, :, k] += tilted
    ratio = np.exp(shift * draws[0] - 0.5 * shift**2)
    weight = 1.0 / (1.0 - TILTED + TILTED * ratio[:, :k].mean(axis=1))
    weight_alone = 1.0 / (1.0 - TILTED + TILTED * ratio[:, k])
    paths = np.cumsum(draws * steps[:, None, None], axis=0)
    paths /= np.sqrt(counts)[:, None, None]
    crossed = np.zeros((replications, k + 1), dtype=bool)
    for index, (_, level) in enumerate(past):
        crossed |= paths[index] > -ndtri(level)
    now, rest = paths[before], paths[before:].max(axis=0)

    def erred(critical: float, found: Floats) -> float:
        crosses = crossed | (found > critical)
        ours = float((weight * crosses[:, :k].any(axis=1)).mean())
        alone = float((weight_alone * crosses[:, k]).mean())
        return 1.0 - max(0.0, 1.0 - ours) * max(0.0, 1.0 - alone) ** absent

    low, high = 0.0, HIGHEST
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if erred(middle, rest) <= budget else (middle, high)
    spent = erred(np.inf, now)
    return float(ndtr(-high)), spent, erred(high, now) - spent
