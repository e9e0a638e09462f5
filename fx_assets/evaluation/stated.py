"""Distributions as they are kept, issued and served. Needs neither pandas nor training code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.boosted import Boosted
from fx_assets.evaluation.distribution import Distribution, Shape
from fx_assets.evaluation.intervals import newest_volatility
from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.spread import GarchSpread
from fx_assets.specs.base import Record
from fx_assets.specs.distribution import DistributionName
from fx_assets.targets import Metric

if TYPE_CHECKING:
    import pandas as pd

DENSITY_TITLES: Final = {
    "crps": Metric("CRPS"),
    "log_score": Metric("Log score (nats)"),
    "pinball": Metric("Quantile loss"),
    "crps_skill": Metric("CRPS skill", "share"),
    "log_score_gain": Metric("Log score gained (nats)"),
    "pit_distance": Metric("PIT distance"),
    "pit_p_value": Metric("p of uniform PIT"),
}
"""What the scores of distributions are called."""


class Calibration(Record):
    """Where outcomes fell in the distributions that were stated before them."""

    n: int
    histogram: tuple[float, ...]
    """Shares of the probability integral transforms in bins of equal width; equal if it is true."""
    distance: float
    """Of their distribution function from the uniform one, at the edges of the bins."""
    p_value: float
    """Of uniformity, by blocks of rows: small where the distribution is wrong."""
    below: tuple[tuple[float, float], ...]
    """Each level with the share of outcomes below its quantile."""


class DistributionModel(Record):
    """Turns a prediction into a distribution; serialise it with ``model_dump_json``."""

    family: DistributionName
    quantiles: tuple[float, ...]
    shape: Shape
    scaled: bool = False
    """Whether it spreads as the EWMA volatility of the bars up to it."""
    multiplicative: bool = False
    garch: GarchSpread | None = None
    boosted: Boosted | None = None
    """What makes the shape of each row from its features; ``shape`` is of all rows then."""
    n: int
    """Rows that it was learned from."""
    measured: Calibration | None = None
    """Walking forward; ``None`` where too few rows were out of sample."""

    def of(
        self,
        prediction: float,
        log_returns: ArrayLike | None,
        features: Floats | None = None,
    ) -> Distribution | None:
        """The distribution around a prediction that is made after these returns.

        ``None`` where it needs returns, or the (p,) features that its shape depends on, and they
        are not known.
        """
        if not self.multiplicative and log_returns is None:
            return None
        shape = self.shape
        if self.boosted is not None:
            if features is None or np.isnan(features).any():
                return None
            (shape,) = self.boosted.shapes(features[None, :])
        spread = 1.0
        if self.garch is not None and log_returns is not None:
            spread = self.garch.newest(log_returns)
        elif self.scaled and log_returns is not None:
            spread = newest_volatility(log_returns)
        return Distribution(
            shape=shape,
            centre=float(prediction),
            spread=spread,
            multiplicative=self.multiplicative,
        )


class Stated(Record):
    """An issued distribution with its quantiles; JSON in a prediction's row."""

    family: DistributionName
    levels: tuple[float, ...]
    values: tuple[float, ...]
    """In units of the target, never descending."""
    distribution: Distribution


def stated(model: DistributionModel | None, made: Distribution | None) -> str:
    """An issued distribution as JSON; empty where there is none."""
    if model is None or made is None:
        return ""
    levels = model.quantiles
    return Stated(
        family=model.family, levels=levels, values=made.quantiles(levels), distribution=made
    ).model_dump_json()


def issued_scores(rows: pd.DataFrame) -> dict[str, Floats]:
    """``pit``, ``crps`` and ``log_score`` of issued rows with outcomes; NaN without a distribution.

    Parameters
    ----------
    rows
        ``target`` and, unless they are of before it was said, ``distribution`` as JSON.
    """
    found = np.full((3, len(rows)), np.nan)
    told = rows["distribution"].tolist() if "distribution" in rows else []
    for i, text in enumerate(told):
        if isinstance(text, str) and text:
            made = Stated.model_validate_json(text).distribution
            found[:, i] = made.scores(float(rows["target"].iloc[i]))
    return dict(zip(("pit", "crps", "log_score"), found, strict=True))
