"""Predictive distributions: a standard shape, moved and stretched for each row.

A :class:`Shape` is of a number without unit: Student's t or the normal with variance one, or what
was found out of sample, as quantiles. A :class:`Distribution` is of one outcome: ``centre + spread
* z``, or ``centre * exp(z)`` where it is multiplicative. Declared quantiles and single
probabilities need NumPy only, all else SciPy.
"""

from __future__ import annotations

from functools import cached_property
from math import erfc, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.evaluation.beta import beta_mass_below
from fx_assets.specs.base import Record
from fx_assets.targets.losses import VARIANCE_FLOOR, Floats

PERCENTS = tuple(k / 100 for k in range(1, 100))
FEWEST_IN_TAIL = 10
"""Outcomes beyond a quantile that is taken as found; farther out the tail is exponential."""
NODES = 2000
"""Levels at which the quantile score is averaged where it has no closed form."""
SMALLEST = 1e-12

Form = Literal["student_t", "normal", "empirical"]


class Shape(Record):
    """A distribution of a number without unit, asked with arrays of any shape.

    ``levels`` and ``values`` are its quantiles at some levels, both ascending. An empirical one is
    linear between them, and exponential beyond the first and the last.
    """

    form: Form
    levels: tuple[float, ...]
    values: tuple[float, ...]
    dof: float | None = None
    """Degrees of freedom of Student's t."""
    tails: tuple[float, float] = (1.0, 1.0)
    """Mean distance beyond the first and the last of the values."""

    def quantile(self, levels: ArrayLike) -> Floats:
        """The numbers below which it lies with these probabilities."""
        p = np.asarray(levels, dtype=np.float64)
        at, values = self._knots
        if self.form != "empirical":
            where = np.minimum(np.searchsorted(at, p), max(len(at) - 1, 0))
            if len(at) and bool((at[where] == p).all()):
                return np.asarray(values[where], dtype=np.float64)
            return np.asarray(self._scale * _quantile(p, self.dof), dtype=np.float64)
        out = np.interp(p, at, values)
        low, high = p < at[0], p > at[-1]
        with np.errstate(divide="ignore"):
            out = np.where(low, values[0] + self.tails[0] * np.log(p / at[0]), out)
            upper = values[-1] - self.tails[1] * np.log((1 - p) / (1 - at[-1]))
        return np.asarray(np.where(high, upper, out), dtype=np.float64)

    def cdf(self, z: ArrayLike) -> Floats:
        """The probability of at most each number."""
        z = np.asarray(z, dtype=np.float64)
        if self.form != "empirical":
            if z.ndim == 0:
                return np.asarray(_cdf_of_one(float(z) / self._scale, self.dof))
            return _cdf(z / self._scale, self.dof)
        at, values = self._knots
        below = at[0] * np.exp(np.minimum(z - values[0], 0) / self.tails[0])
        above = 1 - (1 - at[-1]) * np.exp(np.minimum(values[-1] - z, 0) / self.tails[1])
        inside = np.interp(z, values, at)
        out = np.where(z < values[0], below, np.where(z > values[-1], above, inside))
        return np.asarray(out, dtype=np.float64)

    def log_density(self, z: ArrayLike) -> Floats:
        """The logarithm of the density at each number."""
        z = np.asarray(z, dtype=np.float64)
        if self.form != "empirical":
            dense = standard_log_density(z / self._scale, self.dof)
            return np.asarray(dense - np.log(self._scale), dtype=np.float64)
        at, values = self._knots
        dense = np.log(np.diff(at) / np.maximum(np.diff(values), SMALLEST))
        which = np.searchsorted(values, z, side="right") - 1
        inside = np.append(dense, 0.0)[np.clip(which, 0, max(len(dense) - 1, 0))]
        low, high = self.tails
        below = np.log(at[0] / low) + (z - values[0]) / low
        above = np.log((1 - at[-1]) / high) - (z - values[-1]) / high
        out = np.where(z < values[0], below, np.where(z > values[-1], above, inside))
        return np.asarray(out, dtype=np.float64)

    def crps(self, z: ArrayLike, *, multiplicative: bool = False) -> Floats:
        """Continuous ranked probability score of (n,) numbers; of their exponentials, on demand.

        Closed forms of Jordan, Krüger and Lerch (2019); of an empirical shape the mean quantile
        score at 2,000 levels (Gneiting and Raftery 2007), to about one part in a thousand.
        """
        came: Floats = np.asarray(z, dtype=np.float64)
        if self.form != "empirical" and not multiplicative:
            return np.asarray(self._scale * _crps(came / self._scale, self.dof), dtype=np.float64)
        p: Floats = (np.arange(NODES, dtype=np.float64) + 0.5) / NODES
        q: Floats = self.quantile(p)
        if multiplicative:
            came, q = np.exp(came), np.exp(q)
        # The mean over levels of 2 (1{z < q} - p)(q - z), by sums of the ascending quantiles.
        k = np.searchsorted(q, came, side="right")
        above = np.concatenate([np.cumsum(q[::-1])[::-1], [0.0]])[k]
        total = 2 * ((above - (NODES - k) * came) - (float(p @ q) - came * float(p.sum())))
        return np.asarray(total / NODES, dtype=np.float64)

    @property
    def _scale(self) -> float:
        """What makes the variance of Student's t one."""
        return 1.0 if self.dof is None else float(np.sqrt((self.dof - 2) / self.dof))

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        return np.array(self.levels), np.array(self.values)


def parametric(levels: ArrayLike, dof: float | None = None) -> Shape:
    """Student's t with variance one, or the normal distribution without degrees of freedom."""
    p = np.asarray(levels, dtype=np.float64)
    shape = Shape(form="normal" if dof is None else "student_t", levels=(), values=(), dof=dof)
    values = tuple(shape.quantile(p).tolist())
    return shape.model_copy(update={"levels": tuple(p.tolist()), "values": values})


def empirical(z: Floats, levels: ArrayLike = ()) -> Shape:
    """What (n,) numbers say of the next, by the ranks of split conformal prediction.

    Quantiles are those of the ``levels`` and of each per cent between them, at least 10 numbers
    apart from each other and from both ends; of few numbers the median alone.
    """
    ordered = np.sort(np.asarray(z, dtype=np.float64))
    n = len(ordered)
    apart = FEWEST_IN_TAIL / (n + 1) - 1e-9
    kept: list[float] = []
    for level in [*np.asarray(levels, dtype=np.float64).tolist(), *PERCENTS]:
        far = all(abs(level - other) >= apart for other in kept)
        if min(level, 1 - level) >= apart and far:
            kept.append(level)
    at = np.array(sorted(kept) or [0.5])
    low = np.maximum(np.floor(np.round((n + 1) * at, 9)).astype(int) - 1, 0)
    high = np.minimum(n - np.floor(np.round((n + 1) * (1 - at), 9)).astype(int), n - 1)
    middle = (ordered[low] + ordered[high]) / 2
    values = np.where(at < 0.5, ordered[low], np.where(at > 0.5, ordered[high], middle))
    values = np.maximum.accumulate(values)
    tails = (
        _mean_beyond(values[0] - ordered[ordered < values[0]]),
        _mean_beyond(ordered[ordered > values[-1]] - values[-1]),
    )
    return Shape(
        form="empirical", levels=tuple(at.tolist()), values=tuple(values.tolist()), tails=tails
    )


class Distribution(Record):
    """What an outcome may be, in units of the target."""

    shape: Shape
    centre: float
    spread: float = 1.0
    multiplicative: bool = False

    def quantile(self, level: float) -> float:
        """The value below which the outcome lies with this probability."""
        return self._value(float(self.shape.quantile(level)))

    def quantiles(self, levels: ArrayLike) -> tuple[float, ...]:
        """As :meth:`quantile`, never descending."""
        z = self.shape.quantile(np.asarray(levels, dtype=np.float64))
        return tuple(self._value(value) for value in z.tolist())

    def below(self, value: float) -> float:
        """The probability that the outcome is at most this."""
        if self.multiplicative and value <= 0:
            return 0.0
        return float(self.shape.cdf(self._standard(value)))

    def scores(self, came: float) -> tuple[float, float, float]:
        """Of an outcome: the probability of at most as much, CRPS, and minus log density."""
        many = self.multiplicative
        z = self._standard(max(came, VARIANCE_FLOOR) if many else came)
        size = self.centre if many else self.spread
        crps = size * float(self.shape.crps(np.array([z]), multiplicative=many)[0])
        jacobian = np.log(size) + (z if many else 0.0)
        density = float(self.shape.log_density(z))
        return float(self.shape.cdf(z)), crps, float(jacobian) - density

    def _standard(self, value: float) -> float:
        if self.multiplicative:
            return float(np.log(value / self.centre))
        return (value - self.centre) / self.spread

    def _value(self, z: float) -> float:
        if self.multiplicative:
            return self.centre * float(np.exp(z))
        return self.centre + self.spread * z


def _mean_beyond(distances: Floats) -> float:
    return float(max(distances.mean(), SMALLEST)) if len(distances) else SMALLEST


def _quantile(p: Floats, dof: float | None) -> Floats:
    from scipy.special import ndtri, stdtrit

    return np.asarray(ndtri(p) if dof is None else stdtrit(dof, p), dtype=np.float64)


def _cdf(z: Floats, dof: float | None) -> Floats:
    from scipy.special import ndtr, stdtr

    return np.asarray(ndtr(z) if dof is None else stdtr(dof, z), dtype=np.float64)


def _cdf_of_one(z: float, dof: float | None) -> float:
    """Without SciPy, for a server, which has none."""
    if dof is None:
        return 0.5 * erfc(-z / sqrt(2))
    if z * z < dof:
        # Near the centre one minus the tail would lose half of the digits.
        inside = z * z / (dof + z * z)
        half = 0.5 * (beta_mass_below(inside, 0.5, dof / 2) if inside > 0 else 0.0)
        return 0.5 + half if z > 0 else 0.5 - half
    share = dof / (dof + z * z)
    tail = 0.5 * (beta_mass_below(share, dof / 2, 0.5) if share > 0 else 0.0)
    return 1 - tail if z > 0 else tail


def standard_log_density(z: Floats, dof: float | None) -> Floats:
    """Of Student's t, or of the normal distribution, whose variance is not made one."""
    from scipy.special import gammaln

    if dof is None:
        return np.asarray(-0.5 * (z * z + np.log(2 * np.pi)), dtype=np.float64)
    constant = gammaln((dof + 1) / 2) - gammaln(dof / 2) - 0.5 * np.log(dof * np.pi)
    return np.asarray(constant - (dof + 1) / 2 * np.log1p(z * z / dof), dtype=np.float64)


def _crps(z: Floats, dof: float | None) -> Floats:
    from scipy.special import betaln

    centred = z * (2 * _cdf(z, dof) - 1)
    density = np.exp(standard_log_density(z, dof))
    if dof is None:
        return np.asarray(centred + 2 * density - 1 / np.sqrt(np.pi), dtype=np.float64)
    constant = np.exp(betaln(0.5, dof - 0.5) - 2 * betaln(0.5, dof / 2))
    bent = 2 * density * (dof + z * z) / (dof - 1)
    return np.asarray(centred + bent - 2 * np.sqrt(dof) / (dof - 1) * constant, dtype=np.float64)
