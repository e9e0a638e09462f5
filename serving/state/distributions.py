"""Issued distributions as answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fx_assets.evaluation.distribution import Distribution
from fx_assets.evaluation.stated import DistributionModel, Stated
from serving.http.problems import Problem
from serving.schemas import Below, Quantile


def stated_in(row: Mapping[str, Any]) -> Stated | None:
    """The distribution of a row of the ``predictions`` table; rows of old have none."""
    text = row.get("distribution")
    return Stated.model_validate_json(text) if isinstance(text, str) and text else None


def quantiles_of(levels: tuple[float, ...], values: tuple[float, ...]) -> list[Quantile]:
    """Levels with their values."""
    return [Quantile(*pair) for pair in zip(levels, values, strict=True)]


def made_quantiles(
    model: DistributionModel | None, made: Distribution | None
) -> list[Quantile] | None:
    """The quantiles of a prediction from the caller's data."""
    if model is None or made is None:
        return None
    return quantiles_of(model.quantiles, made.quantiles(model.quantiles))


def below(forecast: str, stated: Stated | None, value: float, factor: float = 1.0) -> Below:
    """The probability of at most ``value``, of outcomes that are multiplied by ``factor``.

    Raises
    ------
    Problem
        404: the forecast states no distribution.
    """
    if stated is None:
        raise Problem(
            404,
            "no-distribution",
            f"This prediction of {forecast} was issued without a distribution.",
            field="below",
            value=value,
            remedy="Leave below out. Returns and volatilities state one when the forecast is "
            "declared with quantiles, from its next retrain on.",
        )
    return Below(value, stated.distribution.below(value / factor))
