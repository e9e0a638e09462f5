"""Three bases of kinds of target, by what an outcome is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.targets.base import LARGEST, Floats, TargetDefinition
from fx_assets.targets.intervals import IntervalRule, Ratios, Residuals, Shares
from fx_assets.targets.losses import VARIANCE_FLOOR, qlike, squared_error
from fx_assets.targets.metrics import means, ranking_areas, ratio
from fx_assets.targets.shown import Metric, Outcome, ValueFormat

PROBABILITY_FLOOR = 1e-15
SMALLEST_VARIANCE = 1e-12
"""Below every variance that is predicted."""


class Binary(TargetDefinition):
    """Whether something comes (1) or not (0); a prediction is its probability.

    Brier score against the base rate.
    """

    outcome: ClassVar[Outcome] = "binary"
    limits = (1e-3, 1 - 1e-3)
    possible = (0.0, 1.0)
    baseline = "base_rate"
    loss_name = "brier"

    def loss(self, actual: ArrayLike, expected: ArrayLike) -> Floats:
        """Squared distance of a probability from an outcome of 0 or 1 (Brier 1950)."""
        return squared_error(actual, expected)

    def valid(self, outcomes: Floats) -> NDArray[np.bool_]:
        """0 and 1."""
        return np.isin(outcomes, (0.0, 1.0))

    def on_scale(self, predictions: Floats) -> Floats:
        """Log-odds."""
        return np.asarray(np.log(predictions) - np.log1p(-predictions), dtype=np.float64)

    def sides(self, came: Floats, said: Floats) -> tuple[Floats, Floats]:
        """Above one half or not."""
        return (came > 0.5).astype(np.float64), (said > 0.5).astype(np.float64)

    @property
    def interval(self) -> IntervalRule:
        """Of the share of ones."""
        return Shares()

    def metrics(self, target: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
        """Brier score, log loss, accuracy, Matthews correlation, ROC AUC and PR AUC."""
        up = target > 0.5
        said_up = prediction > 0.5
        bounded = np.clip(prediction, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
        log_loss = -np.where(up, np.log(bounded), np.log1p(-bounded))
        brier, log_loss_mean, tp, fp, fn, tn = means(
            weights,
            self.loss(target, prediction),
            log_loss,
            (up & said_up).astype(np.float64),
            (~up & said_up).astype(np.float64),
            (up & ~said_up).astype(np.float64),
            (~up & ~said_up).astype(np.float64),
        )
        product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        mcc = np.where(product > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(product, 1e-300)), 0.0)
        roc_auc, pr_auc = ranking_areas(target, prediction, weights)
        return {
            "brier": brier,
            "log_loss": log_loss_mean,
            "accuracy": tp + tn,
            "mcc": mcc,
            "roc_auc": roc_auc,
            "pr_auc": pr_auc,
        }

    def baseline_metrics(
        self, target: Floats, baseline: Floats, weights: Floats
    ) -> dict[str, Floats]:
        """Of PR AUC the share of ones, what a coin reaches."""
        return self.metrics(target, baseline, weights) | {"pr_auc": np.array([target.mean()])}

    @property
    def titles(self) -> dict[str, Metric]:
        """What the metrics are called."""
        return {
            "brier": Metric("Brier score"),
            "log_loss": Metric("Log loss"),
            "accuracy": Metric("Accuracy", "share"),
            "mcc": Metric("Matthews corr."),
            "roc_auc": Metric("ROC AUC"),
            "pr_auc": Metric("PR AUC"),
        }

    @property
    def shown(self) -> ValueFormat:
        """A share in per cent."""
        return ValueFormat(digits=1)

    @property
    def buckets(self) -> tuple[float, ...]:
        """Close together around one half."""
        half = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.475)
        return (*half, 0.5, *(round(1 - bound, 3) for bound in reversed(half)))


class Real(TargetDefinition):
    """Any number; a prediction is its expected value. Squared error against the mean so far."""

    outcome: ClassVar[Outcome] = "real"
    limits = (-10.0, 10.0)
    baseline = "historical_mean"
    loss_name = "mse"

    def loss(self, actual: ArrayLike, expected: ArrayLike) -> Floats:
        """Squared error."""
        return squared_error(actual, expected)

    def valid(self, outcomes: Floats) -> NDArray[np.bool_]:
        """Finite numbers."""
        return np.isfinite(outcomes)

    def sides(self, came: Floats, said: Floats) -> tuple[Floats, Floats]:
        """By sign, rows without one left out."""
        signed = (came != 0) & (said != 0)
        return (came[signed] > 0).astype(np.float64), (said[signed] > 0).astype(np.float64)

    @property
    def interval(self) -> IntervalRule:
        """As wide as the market is volatile."""
        return Residuals()

    def metrics(self, target: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
        """Errors, the share of right signs, and R² against zero."""
        has_sign = (target != 0) & (prediction != 0)
        right_sign = has_sign & (np.sign(target) == np.sign(prediction))
        mse, mae, mse_of_zero, signed, right = means(
            weights,
            self.loss(target, prediction),
            np.abs(target - prediction),
            np.square(target),
            has_sign.astype(np.float64),
            right_sign.astype(np.float64),
        )
        return {
            "mse": mse,
            "rmse": np.sqrt(mse),
            "mae": mae,
            "directional_accuracy": ratio(right, signed),
            "r2_random_walk": 1 - ratio(mse, mse_of_zero),
        }

    @property
    def titles(self) -> dict[str, Metric]:
        """What the metrics are called."""
        unit = self.wording.axis
        return {
            self.loss_name: Metric("Mean loss"),
            "mse": Metric("Mean squared error", f"squared {unit}"),
            "rmse": Metric("RMSE", unit),
            "mae": Metric("MAE", unit),
            "directional_accuracy": Metric("Right signs", "share"),
            "r2_random_walk": Metric("R² against no change", "share"),
        }

    @property
    def shown(self) -> ValueFormat:
        """In per cent, with its sign."""
        return ValueFormat(digits=3, signed=True)

    @property
    def buckets(self) -> tuple[float, ...]:
        """On both sides of zero."""
        falls = (-0.05, -0.02, -0.01, -0.005, -0.002, -0.001)
        return (*falls, 0.0, *(-fall for fall in reversed(falls[1:])))


class Positive(TargetDefinition):
    """A size, not below zero; a prediction is its expected value, above zero.

    QLIKE against the expanding mean.
    """

    outcome: ClassVar[Outcome] = "positive"
    limits = (SMALLEST_VARIANCE, 1e6)
    possible = (0.0, LARGEST)
    baseline = "expanding_mean"
    loss_name = "qlike"

    def loss(self, actual: ArrayLike, expected: ArrayLike) -> Floats:
        """QLIKE."""
        return qlike(actual, expected)

    def valid(self, outcomes: Floats) -> NDArray[np.bool_]:
        """Zero and above."""
        return outcomes >= 0

    def gap(self, expected: Floats, found: Floats) -> Floats:
        """Relative: sizes of all orders occur."""
        return np.abs(expected - found) / np.abs(expected)

    def beyond(self, said: Floats, baseline: Floats) -> Floats:
        """The logarithm of their ratio."""
        return np.asarray(np.log(said / baseline), dtype=np.float64)

    def on_scale(self, predictions: Floats) -> Floats:
        """Logarithms."""
        return np.asarray(np.log(predictions), dtype=np.float64)

    def bias(self, came: Floats, said: Floats) -> tuple[Floats, float, float]:
        """The ratio of outcome and prediction, one without bias."""
        return np.maximum(came, VARIANCE_FLOOR) / said, 1.0, 0.0

    def sides(self, came: Floats, said: Floats) -> tuple[Floats, Floats]:
        """Above their own medians."""
        return (
            (came > np.median(came)).astype(np.float64),
            (said > np.median(said)).astype(np.float64),
        )

    @property
    def interval(self) -> IntervalRule:
        """In proportion to the prediction."""
        return Ratios()

    def metrics(self, target: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
        """The loss, errors, and the correlation of logarithms."""
        x = np.log(prediction)
        y = np.log(np.maximum(target, VARIANCE_FLOOR))
        x, y = x - x.mean(), y - y.mean()
        loss, mse, mae, mx, my, mxx, myy, mxy = means(
            weights,
            self.loss(target, prediction),
            squared_error(target, prediction),
            np.abs(target - prediction),
            *(x, y, x * x, y * y, x * y),
        )
        spread = np.maximum(mxx - mx**2, 0.0) * np.maximum(myy - my**2, 0.0)
        return {
            self.loss_name: loss,
            "rmse": np.sqrt(mse),
            "mae": mae,
            "log_correlation": ratio(mxy - mx * my, np.sqrt(spread)),
        }

    @property
    def titles(self) -> dict[str, Metric]:
        """What the metrics are called."""
        return {
            self.loss_name: Metric("Mean loss"),
            "qlike": Metric("QLIKE loss"),
            "rmse": Metric("RMSE", self.unit),
            "mae": Metric("MAE", self.unit),
            "log_correlation": Metric("Correlation of logs"),
        }

    @property
    def shown(self) -> ValueFormat:
        """In per cent."""
        return ValueFormat(digits=3)

    @property
    def buckets(self) -> tuple[float, ...]:
        """By half orders of magnitude."""
        return (1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
