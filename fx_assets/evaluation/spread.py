"""How far returns spread: the standard deviation that a GARCH model with Student's t states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.distribution import standard_log_density
from fx_assets.evaluation.losses import Floats
from fx_assets.models._window import LENGTH, RETURN_COLUMN, squares
from fx_assets.models.base import BLOCK, InputSpec, input_matrix, row_dot
from fx_assets.specs import TargetSpec
from fx_assets.specs.base import Record
from fx_assets.targets.volatility import decay_powers

if TYPE_CHECKING:
    from fx_assets.evaluation.folds import Positions
    from fx_assets.evaluation.study_frame import StudyFrame

SPREAD_BARS: Final = LENGTH
"""Newest log returns that a spread is made of."""
LEAST_DOF: Final = 2.1
NEARLY_NORMAL: Final = 200.0
"""Degrees of freedom from which on Student's t counts as normal."""


class GarchSpread(Record):
    """The variance over the horizon: ``offset`` plus ``weight * decay ** k`` times each square."""

    offset: float
    weight: float
    decay: float
    fill: float
    """Variance that stands for a return that is not known."""
    scale: float = 1.0
    """What outcomes over the horizon spread in units of its root."""
    dof: float | None = None
    """Degrees of freedom of what is left; ``None`` of the normal distribution."""

    def newest(self, log_returns: ArrayLike) -> float:
        """The standard deviation after the last of the returns."""
        last = np.asarray(log_returns, dtype=np.float64)[-LENGTH:]
        row = np.full((1, LENGTH), np.nan)
        row[0, LENGTH - len(last) :] = last
        return float(self.of(row)[0])

    def of(self, windows: Floats) -> Floats:
        """(n,) standard deviations after (n, 500) log returns, the newest last."""
        weights = self.weight * decay_powers(self.decay)
        variance = self.offset + row_dot(squares(windows, self.fill), weights)
        return np.asarray(self.scale * np.sqrt(variance), dtype=np.float64)


@dataclass(frozen=True)
class Spreads:
    """(n,) standard deviations of the outcomes of a frame's rows, and degrees of freedom; NaN in
    rows that no fold tests."""

    spread: Floats
    dof: Floats


def fit_spread(study: StudyFrame, rows: Positions) -> GarchSpread:
    """Fit on labelled rows of a study of returns.

    Over several bars, and where GARCH's own estimates are not to be trusted, scale and degrees of
    freedom are the maximum-likelihood estimates of the training rows' outcomes in units of the
    model's standard deviation.
    """
    from fx_assets.models.garch import Garch

    horizon = study.spec.target.horizon
    windows, came = _windows(study), study.target[rows]
    model = Garch(target=TargetSpec(kind="volatility", horizon=horizon))
    # It reads the rows' own returns, the last of each window, and all of them would fill memory.
    model.fit(windows[rows, -1:], np.maximum(came**2, 1e-12))
    found = GarchSpread(
        offset=float(model.offset_),
        weight=float(model.weights_[-1]),
        decay=float(model.coefficients_.beta),
        fill=float(model.fill_),
        dof=_dof(model.coefficients_.nu),
    )
    if horizon == 1 and model.converged_:
        return found
    scale, dof = _student(came / _of_rows(found, windows, rows))
    return found.model_copy(update={"scale": scale, "dof": _dof(dof)})


def walk_spreads(study: StudyFrame) -> Spreads:
    """The spread of every test row, from a fit on its fold's training rows; found once a study."""
    known = _KNOWN.get(study)
    if known is not None:
        return known
    spread, dof = np.full((2, len(study.frame)), np.nan)
    windows = _windows(study)
    for fold in study.folds:
        found = fit_spread(study, fold.train)
        spread[fold.test] = _of_rows(found, windows, fold.test)
        dof[fold.test] = np.inf if found.dof is None else found.dof
    _KNOWN[study] = Spreads(spread, dof)
    return _KNOWN[study]


_KNOWN: WeakKeyDictionary[StudyFrame, Spreads] = WeakKeyDictionary()


def _of_rows(found: GarchSpread, windows: Floats, rows: Positions) -> Floats:
    """The spreads of some rows, a block of their windows in memory at a time."""
    starts = range(0, len(rows), BLOCK)
    parts = [found.of(windows[rows[first : first + BLOCK]]) for first in starts]
    return np.concatenate([*parts, np.empty(0)])


def _windows(study: StudyFrame) -> Floats:
    return input_matrix(study.frame, InputSpec((RETURN_COLUMN,), LENGTH))


def _dof(value: float) -> float | None:
    return None if value >= NEARLY_NORMAL else max(float(value), LEAST_DOF)


def _student(z: Floats) -> tuple[float, float]:
    """Scale and degrees of freedom of numbers that are Student's t with mean zero."""
    from scipy.optimize import minimize

    root = float(np.sqrt(np.mean(z * z))) or 1.0

    def loss(at: Floats) -> float:
        dof = LEAST_DOF + np.exp(at[1])
        unit = np.exp(at[0]) * np.sqrt((dof - 2) / dof)
        return float(np.log(unit) - np.mean(standard_log_density(z / (root * unit), dof)))

    found = minimize(loss, np.array([0.0, 1.5]), method="Nelder-Mead")  # type: ignore[no-untyped-call]
    return root * float(np.exp(found.x[0])), float(LEAST_DOF + np.exp(found.x[1]))
