"""Candidates side by side on identical rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.errors import FxAssetsError, NotEnoughDataError
from fx_assets.evaluation.losses import Floats, loss_for
from fx_assets.specs import TargetSpec


@dataclass(frozen=True, eq=False)
class Evidence:
    """A candidate's walk-forward rows.

    ``predictions`` is a backtest's: sorted by ``event_time``, one row each. ``previous`` are the
    same recipe's predictions by the fit before, from
    :meth:`~fx_assets.evaluation.study.Study.previous`; only the champion needs them.
    ``trials`` is how many settings the recipe counts as, more than one if it was tuned. ``against``
    is what live rows alone say against it; empty where that is nothing.
    """

    candidate: str
    recipe: str
    predictions: pd.DataFrame
    previous: pd.DataFrame | None = None
    trials: int = 1
    against: str = ""


@dataclass(frozen=True)
class Paired:
    """What all candidates have in common: rows, truth and baseline; and what each one said."""

    target_spec: TargetSpec
    times: NDArray[np.datetime64]
    target: Floats
    baseline: Floats
    said: dict[str, Floats]
    """Predictions by recipe."""
    label_end: datetime
    """When the last label was known (UTC)."""

    @property
    def n(self) -> int:
        return len(self.times)

    @cached_property
    def baseline_loss(self) -> Floats:
        return loss_for(self.target_spec.kind)(self.target, self.baseline)

    def loss(self, recipe: str) -> Floats:
        return loss_for(self.target_spec.kind)(self.target, self.said[recipe])

    @cached_property
    def row_hash(self) -> str:
        """Identifies the rows: event times, targets and baseline forecasts."""
        content = self.times.tobytes() + self.target.tobytes() + self.baseline.tobytes()
        return hashlib.sha256(content).hexdigest()[:16]


def pair(target_spec: TargetSpec, evidence: Sequence[Evidence]) -> Paired:
    """Keep the rows that every candidate has.

    Raises
    ------
    NotEnoughDataError
        There is no such row.
    FxAssetsError
        Rows are not sorted by event time, or candidates disagree on the truth or the baseline.
    """
    tables = [_Columns.of(item.predictions) for item in evidence]
    for item, table in zip(evidence, tables, strict=True):
        if (np.diff(table.times) <= np.timedelta64(0)).any():
            raise FxAssetsError(
                f"The rows of {item.candidate} are not sorted by event_time, or come twice.",
                remedy="Pass the predictions of a Backtest, one recipe each.",
            )
    common = reduce(_common, [table.times for table in tables])
    if not len(common):
        raise NotEnoughDataError(
            f"The {len(evidence)} candidates have no row in common.",
            remedy="Run the walk-forward of all of them on the same folds.",
        )
    paired = [table.at(common) for table in tables]
    first = paired[0]
    for item, table in zip(evidence, paired, strict=True):
        for name in ("target", "baseline"):
            differ = np.flatnonzero(getattr(table, name) != getattr(first, name))
            if len(differ):
                raise FxAssetsError(
                    f"{item.candidate} and {evidence[0].candidate} disagree on the {name} of "
                    f"{common[differ[0]]} ({len(differ)} row(s)): they were not run on the same "
                    "data.",
                    remedy="Run the walk-forward of all candidates on the same labelled frame.",
                )
    label_end = pd.Timestamp(max(table.known_at.max() for table in tables), tz="UTC")
    return Paired(
        target_spec=target_spec,
        times=common,
        target=first.target,
        baseline=first.baseline,
        said={item.recipe: t.prediction for item, t in zip(evidence, paired, strict=True)},
        label_end=label_end.to_pydatetime(),
    )


@dataclass(frozen=True)
class _Columns:
    """The labelled rows of a backtest as arrays."""

    times: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    target: Floats
    baseline: Floats
    prediction: Floats

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> _Columns:
        known = ~np.isnan(predictions["target"].to_numpy(dtype=np.float64))
        times = [
            _instants(predictions[name])[known] for name in ("event_time", "label_available_at")
        ]
        values = [
            predictions[name].to_numpy(dtype=np.float64)[known]
            for name in ("target", "baseline", "prediction")
        ]
        return cls(*times, *values)

    def at(self, common: NDArray[np.datetime64]) -> _Columns:
        rows = np.searchsorted(self.times, common)
        return _Columns(*(getattr(self, name)[rows] for name in _Columns.__dataclass_fields__))


def _instants(column: pd.Series[pd.Timestamp]) -> NDArray[np.datetime64]:
    return pd.DatetimeIndex(column).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")


def _common(a: NDArray[np.datetime64], b: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return a if np.array_equal(a, b) else np.intersect1d(a, b, assume_unique=True)
