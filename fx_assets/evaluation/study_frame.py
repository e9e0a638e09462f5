"""A forecast's labelled frame, as all of its candidates see it; each part is found once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.evaluation.folds import Fold, Positions, feature_columns, folds, labelled_rows
from fx_assets.evaluation.losses import Floats, baseline_forecast
from fx_assets.models.base import InputSpec
from fx_assets.models.reads import Reads
from fx_assets.specs import CandidateSpec, ForecastSpec


@dataclass(frozen=True)
class Inputs:
    """What a candidate reads of each row: an (n, p) matrix, and a digest of each of its rows."""

    reads: Reads
    matrix: Floats

    @cached_property
    def digests(self) -> list[bytes]:
        return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in self.matrix]


class StudyFrame:
    """Folds, target, baseline and inputs of a labelled frame of ``n`` rows."""

    def __init__(self, spec: ForecastSpec, frame: pd.DataFrame, bars_a_day: int = 1) -> None:
        self.spec, self.frame, self.bars_a_day = spec, frame, bars_a_day
        self._inputs: dict[Reads, Inputs] = {}

    @cached_property
    def folds(self) -> list[Fold]:
        """The walk-forward folds, oldest first; raises ``NotEnoughDataError`` without any."""
        return folds(self.frame, self.spec)

    @cached_property
    def columns(self) -> list[str]:
        """The feature columns, in order."""
        return feature_columns(self.frame)

    @cached_property
    def labelled(self) -> Positions:
        """Positions of the rows past the warm-up that have a target."""
        return np.flatnonzero(labelled_rows(self.frame)).astype(np.intp)

    @cached_property
    def target(self) -> Floats:
        """(n,) what happened; NaN while it is not known."""
        return self.frame["target"].to_numpy(dtype=np.float64)

    @cached_property
    def baseline(self) -> Floats:
        """(n,) what the baseline says of each row."""
        return baseline_forecast(self.spec.target, self.frame["baseline_mean"])

    def inputs(self, candidate: CandidateSpec) -> Inputs:
        """What a candidate reads of each row; candidates that read the same share it.

        The newest three are kept: what a model reads, its baseline, and both of them.
        """
        reads = Reads.of(self.reads(candidate))
        if reads not in self._inputs:
            kept = list(self._inputs.items())[-2:]
            self._inputs = {**dict(kept), reads: Inputs(reads, reads.matrix(self.frame))}
        return self._inputs[reads]

    def reads(self, candidate: CandidateSpec) -> list[InputSpec]:
        """What a candidate's model reads, or each of those that it is made of."""
        families = [models.model_class(each.family) for each in self.spec.fitted_of(candidate)]
        return [family.input_columns(self.columns) for family in families]
