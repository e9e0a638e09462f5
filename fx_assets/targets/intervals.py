"""How a prediction gets its interval: from what happened out of sample after earlier ones.

The quantiles are those of split conformal prediction (Vovk et al. 2005).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from fx_assets.targets.losses import VARIANCE_FLOOR, Floats

NEIGHBOUR_SHARE = 0.2
MIN_NEIGHBOURS = 500
KNOTS = 101


class Bounds(NamedTuple):
    """What is learned: one number on each side, or one at each of the ascending ``knots``."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    knots: tuple[float, ...] = ()


class Learned(Protocol):
    """Bounds that can be asked often."""

    @property
    def lower(self) -> tuple[float, ...]:
        """As :class:`Bounds`."""
        ...

    @property
    def upper(self) -> tuple[float, ...]:
        """As :class:`Bounds`."""
        ...

    @property
    def curves(self) -> tuple[Floats, Floats, Floats]:
        """Knots, lower and upper bounds as arrays, which interpolation would build each time."""
        ...


class IntervalRule(ABC):
    """Learns from out-of-sample rows, and turns a prediction into an interval."""

    scaled: ClassVar[bool] = False
    """Whether it needs the EWMA volatility of each row's day."""
    of_outcomes: ClassVar[bool] = True
    """Whether one outcome lies inside or outside of it."""

    @abstractmethod
    def learn(self, coverage: float, said: Floats, came: Floats, scale: Floats) -> Bounds:
        """Bounds from (n,) predictions, outcomes and volatilities (ones unless ``scaled``)."""

    def scores(
        self,
        said: Floats,  # noqa: ARG002
        came: Floats,  # noqa: ARG002
        scale: Floats,  # noqa: ARG002
    ) -> tuple[Floats, Floats] | None:
        """Outcomes on the scale on which one bound a side serves every prediction, and its unit.

        ``None`` where there is no such scale; bounds do not adapt then.
        """
        return None

    @abstractmethod
    def interval(
        self, learned: Learned, prediction: float, volatility: float
    ) -> tuple[float, float]:
        """Lower and upper bound, in units of the target."""

    def held(self, came: Floats, bounds: Floats, coverage: float) -> list[bool]:  # noqa: ARG002
        """Whether (n,) outcomes lie within their (n, 2) bounds."""
        return list((bounds[:, 0] <= came) & (came <= bounds[:, 1]))


@dataclass(frozen=True)
class Residuals(IntervalRule):
    """The prediction plus quantiles of past residuals, each divided by its day's volatility."""

    scaled: ClassVar[bool] = True

    def learn(self, coverage: float, said: Floats, came: Floats, scale: Floats) -> Bounds:
        return conformal_bounds(self.scores(said, came, scale)[0], coverage)

    def scores(self, said: Floats, came: Floats, scale: Floats) -> tuple[Floats, Floats]:
        return (came - said) / scale, scale

    def interval(
        self, learned: Learned, prediction: float, volatility: float
    ) -> tuple[float, float]:
        return (
            prediction + learned.lower[0] * volatility,
            prediction + learned.upper[0] * volatility,
        )


@dataclass(frozen=True)
class Ratios(IntervalRule):
    """The prediction times quantiles of past outcomes, each divided by what was predicted."""

    floor: float = VARIANCE_FLOOR
    """Outcomes below this count as this."""

    def learn(self, coverage: float, said: Floats, came: Floats, scale: Floats) -> Bounds:
        return conformal_bounds(self.scores(said, came, scale)[0], coverage)

    def scores(
        self,
        said: Floats,
        came: Floats,
        scale: Floats,  # noqa: ARG002
    ) -> tuple[Floats, Floats]:
        return np.maximum(came, self.floor) / said, said

    def interval(
        self,
        learned: Learned,
        prediction: float,
        volatility: float,  # noqa: ARG002
    ) -> tuple[float, float]:
        return prediction * learned.lower[0], prediction * learned.upper[0]


@dataclass(frozen=True)
class Shares(IntervalRule):
    """Of the past predictions nearest to this one, the share of ones with its Jeffreys interval.

    "When it said about this, it came in a to b of the cases". One outcome cannot cover a
    probability, so that a block of outcomes is judged by its share.
    """

    of_outcomes: ClassVar[bool] = False

    def learn(
        self,
        coverage: float,
        said: Floats,
        came: Floats,
        scale: Floats,  # noqa: ARG002
    ) -> Bounds:
        from scipy.special import betaincinv

        n = len(said)
        neighbours = min(n, max(MIN_NEIGHBOURS, round(NEIGHBOUR_SHARE * n)))
        knots = np.unique(np.quantile(said, np.linspace(0, 1, KNOTS)))
        distance = np.abs(said[None, :] - knots[:, None])
        reach = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1 : neighbours]
        near = distance <= reach
        count = near.sum(axis=1)
        ups = near @ (came > 0.5).astype(np.float64)
        tail = (1 - coverage) / 2
        return Bounds(
            tuple(betaincinv(ups + 0.5, count - ups + 0.5, tail).tolist()),
            tuple(betaincinv(ups + 0.5, count - ups + 0.5, 1 - tail).tolist()),
            tuple(knots.tolist()),
        )

    def interval(
        self,
        learned: Learned,
        prediction: float,
        volatility: float,  # noqa: ARG002
    ) -> tuple[float, float]:
        knots, lower, upper = learned.curves
        return float(np.interp(prediction, knots, lower)), float(
            np.interp(prediction, knots, upper)
        )

    def held(self, came: Floats, bounds: Floats, coverage: float) -> list[bool]:
        """Whether the share of ones is within what bounds and the chance of a block allow."""
        from scipy.special import ndtri

        z = float(ndtri((1 + coverage) / 2))
        lower, upper = bounds.mean(axis=0)
        middle = (lower + upper) / 2
        spread = np.hypot((upper - lower) / 2, z * np.sqrt(middle * (1 - middle) / len(came)))
        return [bool(abs(float(came.mean()) - middle) <= spread)]


def conformal_bounds(values: Floats, coverage: float) -> Bounds:
    """The quantiles of split conformal prediction on both sides."""
    ordered = np.sort(values)
    n = len(ordered)
    k = max(1, int(np.floor((n + 1) * (1 - coverage) / 2)))
    return Bounds((float(ordered[k - 1]),), (float(ordered[n - k]),))
