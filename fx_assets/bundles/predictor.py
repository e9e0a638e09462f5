"""What a champion says of the newest bar: one function for issued and for served predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.bundles.records import FittedFacts
from fx_assets.evaluation.distribution import Distribution
from fx_assets.evaluation.intervals import newest_volatility
from fx_assets.evaluation.losses import baseline_forecast
from fx_assets.features.spans import present_name
from fx_assets.specs.forecast import TargetSpec
from fx_assets.targets import target_definition
from fx_assets.targets.base import TargetDefinition

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Predicted:
    """A prediction with its interval and what the baseline says, in units of the target."""

    prediction: float
    lower: float
    upper: float
    baseline: float
    inputs: NDArray[np.float64]
    """(1, p) what the model read."""
    distribution: Distribution | None = None
    """What the outcome may be, where the forecast states it."""
    out_of_range: str = ""
    """Why the model was not heard, and the prediction is the reference's: which inputs are how far
    from what training saw."""


class Fitted(Protocol):
    """A model with what is said of it; a loaded bundle is one."""

    @property
    def manifest(self) -> FittedFacts:
        """What it reads and predicts."""
        ...

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, p) inputs to (n,) predictions."""
        ...


class _Target(TargetSpec):
    """A target that is asked about at each prediction: what its kind is, is looked up once."""

    @cached_property
    def definition(self) -> TargetDefinition:
        return target_definition(self.kind)


class Predictor:
    """A loaded bundle, ready to predict; safe to share between threads.

    Needs neither pandas nor the family's training code: the manifest says which columns are read.
    """

    def __init__(self, bundle: Fitted) -> None:
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.target = _Target(kind=self.manifest.target, horizon=self.manifest.horizon)
        self.inputs = self.manifest.reads
        self.intervals = self.manifest.intervals

    def newest(self, frame: Mapping[str, ArrayLike] | pd.DataFrame) -> Predicted:
        """The prediction of the last row.

        Parameters
        ----------
        frame
            A labelled frame, or a mapping of its columns: those that the model reads,
            ``log_return`` and ``baseline_mean``.
        """
        reach = self.inputs.reach
        rows = {
            name: np.asarray(frame[name if name in frame else present_name(name)])[-reach:]
            for name in self.inputs.columns
        }
        inputs = np.ascontiguousarray(self.inputs.matrix(rows)[-1:])
        volatility = newest_volatility(frame["log_return"])
        mean = np.asarray(frame["baseline_mean"])[-1]
        return self.predict(
            inputs,
            volatility=volatility,
            baseline_mean=float(mean),
            log_returns=frame["log_return"],
            features=self._features(frame),
        )[0]

    def predict(
        self,
        inputs: NDArray[np.float64],
        *,
        volatility: float,
        baseline_mean: float,
        log_returns: ArrayLike | None = None,
        features: NDArray[np.float64] | None = None,
    ) -> list[Predicted]:
        """Predictions of an (n, p) matrix of inputs, which share volatility and baseline.

        A distribution of returns needs the ``log_returns`` of the newest 500 bars, and so does a
        reference that is not the baseline. One whose shape depends on (p,) ``features`` needs these
        unless they are among the inputs. Where a row's inputs are not like those of training, the
        prediction is what the reference says, or else the baseline.

        Each interval holds its own prediction: one that lies beyond everything that was said out of
        sample, or beyond what such words stood for, widens the interval up to itself.
        """
        baseline = float(baseline_forecast(self.target, baseline_mean))
        stated = self.manifest.distribution
        out = []
        strange = self._strange(inputs)
        for row, said in enumerate(self.bundle.predict(inputs).tolist()):
            value, why = said, strange.get(row, "")
            if why:
                value = self._fallback(baseline, log_returns)
                value, why = (value, why) if np.isfinite(value) else (said, "")
            lower, upper = self.intervals.interval(value, volatility)
            bounds = min(lower, value), max(upper, value)
            out_row = inputs[row : row + 1]
            read = self._among(out_row[0]) if features is None else features
            density = None if stated is None else stated.of(value, log_returns, read)
            out.append(Predicted(value, *bounds, baseline, out_row, density, why))
        return out

    def _features(
        self, frame: Mapping[str, ArrayLike] | pd.DataFrame
    ) -> NDArray[np.float64] | None:
        """What the distribution's shape depends on, of the last row; ``None`` if on nothing."""
        names = self._shaped_by
        newest = [np.asarray(frame[n if n in frame else present_name(n)])[-1] for n in names]
        return np.array(newest, dtype=np.float64) if names else None

    def _among(self, inputs: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The same, where they are among (p,) inputs of the model."""
        names, given = self._shaped_by, self.manifest.input_names
        if not names or not {*names} <= {*given}:
            return None
        known = dict(zip(given, inputs.tolist(), strict=True))
        return np.array([known[name] for name in names])

    @cached_property
    def _shaped_by(self) -> tuple[str, ...]:
        stated = self.manifest.distribution
        return () if stated is None or stated.boosted is None else stated.boosted.columns

    def _strange(self, inputs: NDArray[np.float64]) -> dict[int, str]:
        """By row, which inputs training has not seen the like of, and how far out they are."""
        novelty = self.manifest.novelty
        if novelty is None:
            return {}
        far = novelty.distances(inputs)
        if (far <= 1).all():
            return {}
        names = self.manifest.input_names[-far.shape[1] :]
        given = inputs[:, -far.shape[1] :]
        return {
            int(row): ", ".join(
                f"{names[i]} is {given[row, i]:.4g}, {far[row, i]:.3g} times as far out as allowed"
                for i in np.argsort(-far[row], kind="stable")
                if far[row, i] > 1
            )
            for row in np.flatnonzero((far > 1).any(axis=1))
        }

    def _fallback(self, baseline: float, log_returns: ArrayLike | None) -> float:
        known = None if log_returns is None else np.asarray(log_returns, dtype=np.float64)
        said = self.target.definition.reference_value(self.target.horizon, known)
        return baseline if said is None else said
