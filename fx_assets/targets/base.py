"""What every kind of target states about itself.

Whatever is said about a target is a property, and what is computed a method: a forecast is computed
anew when the code changes that its labels, limits or losses reach, and not for another word.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.calendars import Frequency
from fx_assets.plural import sentence_case
from fx_assets.targets.intervals import IntervalRule
from fx_assets.targets.metrics import means
from fx_assets.targets.plausible import Measure
from fx_assets.targets.shown import Metric, Outcome, ValueFormat, Wording

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
NONE = -1
"""The position of a bar that is not there."""
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Reference:
    """What a practitioner would use without any work: a family with fixed hyper-parameters."""

    family: str
    params: dict[str, float] = field(default_factory=dict)
    called: str = ""
    """For people; the family's name unless it is given."""


class TargetDefinition(ABC):
    """A kind of target. Stateless: one object serves every forecast of the kind.

    Derive from :class:`~fx_assets.targets.Binary`, :class:`~fx_assets.targets.Real` or
    :class:`~fx_assets.targets.Positive`, by what its outcomes are.
    """

    door: ClassVar[str] = "fx_assets.targets"
    name: ClassVar[str]
    """What a target's ``kind`` says."""
    outcome: ClassVar[Outcome]
    """What an outcome is: 0 or 1, any number, or a number that is not negative."""
    limits: ClassVar[tuple[float, float]]
    """Every prediction is limited to this range."""
    possible: ClassVar[tuple[float, float]] = (-LARGEST, LARGEST)
    """What an expected outcome can be."""
    path: ClassVar[bool] = False
    """Whether the bars on the way count: a label is unknown where one is missing."""
    baseline: ClassVar[str]
    """The family that claims no skill."""
    loss_name: ClassVar[str]
    """The metric that is the mean loss."""

    @abstractmethod
    def loss(self, actual: ArrayLike, expected: ArrayLike) -> Floats:
        """The proper score of each row: least in the mean for the expected outcome.

        Clark and West's test asks for a Bregman loss, such as squared error or QLIKE.
        """

    @abstractmethod
    def valid(self, outcomes: Floats) -> NDArray[np.bool_]:
        """Which of (n,) numbers can be outcomes."""

    def between(self, now: Floats, then: Floats) -> Floats:
        """The outcomes of bars from their own closes and those at which the labels end."""
        raise NotImplementedError(f"{type(self).__name__} defines neither between nor labels")

    def labels(self, close: Floats, ends: Positions) -> Floats:
        """The outcome of every bar; NaN where it ends at no bar.

        Parameters
        ----------
        close
            (n,) closes.
        ends
            (n,) positions of the bars at which the labels end, ``NONE`` where there is no label.
        """
        rows = np.flatnonzero(ends != NONE)
        out = np.full(len(close), np.nan)
        out[rows] = self.between(close[rows], close[ends[rows]])
        return out

    def baseline_values(self, mean: Floats) -> Floats:
        """What the baseline says, given the means of all outcomes known."""
        return mean

    def reference(self, horizon: int) -> Reference:  # noqa: ARG002
        """What a practitioner would use without any work; by default the baseline."""
        return Reference(self.baseline)

    def intraday_references(self, horizon: int, bars_a_day: int) -> list[Reference]:  # noqa: ARG002
        """What else, where a day has several bars. A claim is made against the best of them."""
        return []

    def reference_value(self, horizon: int, log_returns: Floats | None) -> float | None:  # noqa: ARG002
        """What the reference says after these returns; ``None`` where it is the baseline."""
        return None

    def gap(self, expected: Floats, found: Floats) -> Floats:
        """How far two computations of the same predictions are apart."""
        return np.abs(expected - found)

    def beyond(self, said: Floats, baseline: Floats) -> Floats:
        """What predictions say beyond the baseline, in numbers whose drift is watched."""
        return said - baseline

    def on_scale(self, predictions: Floats) -> Floats:
        """Predictions on the scale on which effects of inputs add up."""
        return predictions

    def bias(self, came: Floats, said: Floats) -> tuple[Floats, float, float]:
        """Of each row a number whose mean shows bias; the mean without bias; and what is added."""
        usual = float(said.mean())
        return came - said, 0.0, usual

    @abstractmethod
    def sides(self, came: Floats, said: Floats) -> tuple[Floats, Floats]:
        """Which outcomes and predictions were up (1) or down (0), rows without a side left out."""

    @property
    @abstractmethod
    def interval(self) -> IntervalRule:
        """How predictions get their intervals."""

    def metrics(self, target: Floats, prediction: Floats, weights: Floats) -> dict[str, Floats]:
        """Figures by name for each row of an (r, n) weight matrix; the mean loss is one."""
        loss, mae = means(weights, self.loss(target, prediction), np.abs(target - prediction))
        return {self.loss_name: loss, "mae": mae}

    def baseline_metrics(
        self, target: Floats, baseline: Floats, weights: Floats
    ) -> dict[str, Floats]:
        """As :meth:`metrics`, of the baseline."""
        return self.metrics(target, baseline, weights)

    def plausible(self, frequency: Frequency, horizon: int) -> dict[Measure, float]:  # noqa: ARG002
        """What honest forecasts reach at most (of QLIKE: at least); better results are suspected.

        Without a limit nothing is.
        """
        return {}

    def usual_candidates(self, bars_a_day: int) -> list[Any]:  # noqa: ARG002
        """Candidates of a first forecast, as a declaration has them."""
        return [self.baseline]

    def described(self, instrument: str, over: str) -> str:
        """What is predicted, in a sentence; ``over`` is such as "the next day"."""
        called = self.wording.called
        return f"{sentence_case(called)} of {instrument} over {over}."

    @property
    def titles(self) -> dict[str, Metric]:
        """What the metrics are called, and their units."""
        return {}

    @property
    def unit(self) -> str:
        """Meaning and unit of a value; by default what it is called."""
        return self.wording.called

    @property
    @abstractmethod
    def shown(self) -> ValueFormat:
        """How a value becomes a number for people."""

    @property
    @abstractmethod
    def wording(self) -> Wording:
        """What people read."""

    @property
    @abstractmethod
    def buckets(self) -> tuple[float, ...]:
        """Bounds of the histogram of predicted values that the server keeps."""
