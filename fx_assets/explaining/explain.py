"""Why a prediction is what it is: Shapley values of its inputs, for every family alike.

The value function is interventional: inputs outside a coalition are taken from background rows of
the training data. Everything is computed on the published ONNX graph, so that the UI and the API
explain exactly what predicted. Contributions are on the scale on which effects add up: log-odds for
a direction, logarithm for a variance. There the values of a linear family are its coefficients
times the distances of the inputs from their mean in the background.

Up to ``EXACT`` inputs all coalitions are evaluated (Shapley 1953). Beyond, inputs are added one by
one in random orders, each order forwards and backwards (Strumbelj and Kononenko 2014; antithetic
pairs, Mitchell et al. 2022): unbiased, with a standard error, and the contributions add up to the
prediction exactly whatever the draw. Needs neither pandas nor a training library.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fx_assets.bundles.records import (
    BACKGROUND_FILE,
    Blobs,
    LoadedBundle,
    Manifest,
    folder,
)
from fx_assets.errors import RegistryError
from fx_assets.models.base import InputSpec
from fx_assets.specs.base import Spec
from fx_assets.targets import target_definition

Floats = NDArray[np.float64]
Predict = Callable[[Floats], Floats]

EXACT = 8
LAGS = ", lag"
"""In the name of a group of a window's lags."""
BACKGROUND_ROWS = 64
ORDERS_PER_ROW = 2
WINDOW_EDGES = (1, 2, 6, 22, 64, 251)
"""Lags at which a window is cut: newest, the day before, a week, a month, a quarter, a year."""


class Background(Spec):
    """Training rows that stand for "not known"; null stands for NaN."""

    forecast: str
    version: int
    """Of the bundle whose training rows they are."""
    names: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    sha256: str

    def array(self) -> Floats:
        """The rows as an (n, p) matrix.

        Raises
        ------
        RegistryError
            The rows are not those that were written.
        """
        if _digest(self.rows) != self.sha256:
            raise RegistryError(
                f"The background of {self.forecast} v{self.version} does not match its hash.",
                remedy=f"Materialize {self.forecast}/champion again.",
            )
        return np.array(self.rows, dtype=np.float64).reshape(len(self.rows), len(self.names))


class Contribution(Spec):
    """What one input, or one group of a window's lags, adds to a prediction."""

    name: str
    value: float | None
    """The input's value; of a group of lags, the standard deviation of its returns."""
    usual: float | None
    """Its mean in the background."""
    effect: float
    """On the explanation's scale; positive raises the prediction."""
    standard_error: float
    meaning: str = ""


class Explanation(Spec):
    """A prediction taken apart: ``base`` plus all effects is ``total``."""

    forecast: str
    version: int
    family: str
    scale: str
    """What base, effects and total are measured in."""
    prediction: float
    """In units of the target."""
    base: float
    """Mean of the background's predictions on the scale."""
    total: float
    """The prediction on the scale."""
    contributions: tuple[Contribution, ...]
    """Largest effect first."""
    background_rows: int
    exact: bool
    sentence: str


def background_path(forecast: str, version: int) -> str:
    """Where the background of a published bundle is kept."""
    return f"{folder(forecast, version)}/{BACKGROUND_FILE}"


def make_background(manifest: Manifest, inputs: ArrayLike) -> Background:
    """Choose background rows evenly in time from the champion's training inputs.

    Parameters
    ----------
    manifest
        Of the published bundle.
    inputs
        (n, p) inputs of its labelled rows, in order of time.
    """
    X = np.asarray(inputs, dtype=np.float64)
    chosen = np.unique(np.linspace(0, len(X) - 1, min(BACKGROUND_ROWS, len(X))).round().astype(int))
    rows = tuple(
        tuple(float(v) if math.isfinite(v) else None for v in row) for row in X[chosen].tolist()
    )
    return Background(
        forecast=manifest.forecast,
        version=manifest.version,
        names=manifest.input_names,
        rows=rows,
        sha256=_digest(rows),
    )


def store_background(blobs: Blobs, background: Background) -> None:
    """Write the background beside its bundle; the same content again changes nothing."""
    path = background_path(background.forecast, background.version)
    blobs.write_blob(path, background.model_dump_json().encode())


def load_background(blobs: Blobs, forecast: str, version: int) -> Background:
    """Read the background of a bundle.

    Raises
    ------
    RegistryError
        There is none, or it cannot be read.
    """
    path = background_path(forecast, version)
    if not blobs.blob_exists(path):
        raise RegistryError(
            f"{forecast} v{version} has no background to explain its predictions with: no {path}.",
            remedy=f"Materialize {forecast}/champion.",
        )
    try:
        return Background.model_validate_json(blobs.read_blob(path))
    except ValueError as error:
        raise RegistryError(
            f"{path} cannot be read: {error}", remedy=f"Materialize {forecast}/champion again."
        ) from error


def explain(bundle: LoadedBundle, row: ArrayLike, background: Background) -> Explanation:
    """Explain what a published champion says about one row.

    Parameters
    ----------
    bundle
        The champion.
    row
        (p,) inputs of the prediction.
    background
        Of the same bundle.
    """
    manifest = bundle.manifest
    x = np.asarray(row, dtype=np.float64).reshape(-1)
    rows = background.array()
    names, groups = _groups(manifest)
    target = target_definition(manifest.target)

    def on_scale(X: Floats) -> Floats:
        return target.on_scale(bundle.predict(X))

    base = float(on_scale(rows).mean())
    total = float(on_scale(x[None, :])[0])
    exact = len(groups) <= EXACT
    effects, errors = (
        exact_shapley(on_scale, x, rows, groups)
        if exact
        else sampled_shapley(on_scale, x, rows, groups)
    )
    contributions = [
        Contribution(
            name=name,
            value=_summary(x[None, group], of_returns=LAGS in name),
            usual=_summary(rows[:, group], of_returns=LAGS in name),
            effect=float(effect),
            standard_error=float(error),
            meaning=manifest.meaning(name),
        )
        for name, group, effect, error in zip(names, groups, effects, errors, strict=True)
    ]
    contributions.sort(key=lambda c: -abs(c.effect))
    scale = target.wording.scale
    return Explanation(
        forecast=manifest.forecast,
        version=manifest.version,
        family=manifest.family,
        scale=scale,
        prediction=float(bundle.predict(x[None, :])[0]),
        base=base,
        total=total,
        contributions=tuple(contributions),
        background_rows=len(rows),
        exact=exact,
        sentence=_sentence(scale, base, total, contributions),
    )


def exact_shapley(
    predict: Predict, x: Floats, background: Floats, groups: Sequence[NDArray[np.intp]]
) -> tuple[Floats, Floats]:
    """Shapley values from all ``2^k`` coalitions of ``k`` groups of inputs; the errors are zero."""
    k = len(groups)
    members = (np.arange(2**k)[:, None] >> np.arange(k)) & 1 == 1
    mask = np.zeros((2**k, len(x)), dtype=bool)
    for g, group in enumerate(groups):
        mask[:, group] = members[:, [g]]
    mixed = np.where(mask[:, None, :], x, background[None, :, :])
    worth = predict(mixed.reshape(-1, len(x))).reshape(2**k, -1).mean(axis=1)
    size = members.sum(axis=1)
    weight = np.array(
        [math.factorial(s) * math.factorial(k - s - 1) / math.factorial(k) for s in range(k)]
    )
    effects = np.zeros(k)
    for g in range(k):
        without = np.flatnonzero(~members[:, g])
        gain = worth[without | (1 << g)] - worth[without]
        effects[g] = float((weight[size[without]] * gain).sum())
    return effects, np.zeros(k)


def sampled_shapley(
    predict: Predict, x: Floats, background: Floats, groups: Sequence[NDArray[np.intp]]
) -> tuple[Floats, Floats]:
    """Shapley values from random orders, and their standard errors over the orders.

    Each background row is used in the same number of orders, so that the values add up exactly.
    The error is that of the drawn orders: the background rows are taken as they are.
    """
    k, n = len(groups), len(background)
    random = np.random.default_rng(0)
    orders = np.array(
        [
            [order, order[::-1]]
            for order in (random.permutation(k) for _ in range(n * ORDERS_PER_ROW))
        ]
    )  # (n * ORDERS_PER_ROW, 2, k): an order and its reverse
    rank = np.argsort(orders, axis=2)
    known = np.arange(k + 1)[:, None] > rank[:, :, None, :]  # (..., step, group)
    mask = np.zeros((*known.shape[:3], len(x)), dtype=bool)
    for g, group in enumerate(groups):
        mask[..., group] = known[..., [g]]
    rows = np.repeat(background, ORDERS_PER_ROW, axis=0)[:, None, None, :]
    worth = predict(np.where(mask, x, rows).reshape(-1, len(x))).reshape(mask.shape[:3])
    gains = np.take_along_axis(np.diff(worth, axis=2), rank, axis=2).mean(axis=1)
    by_row = gains.reshape(n, ORDERS_PER_ROW, k)
    effects = gains.mean(axis=0)
    within = by_row.var(axis=1, ddof=1).mean(axis=0)
    return effects, np.sqrt(within / (n * ORDERS_PER_ROW))


def _groups(manifest: Manifest) -> tuple[list[str], list[NDArray[np.intp]]]:
    """Names and columns of what is explained: inputs, bands of a window's lags, or features.

    A feature of a window over several is explained over all of its lags at once.
    """
    names: list[str] = []
    groups: list[NDArray[np.intp]] = []
    for part in manifest.reads.parts:
        start = sum(len(group) for group in groups)
        told, found = _groups_of(part)
        names.extend(told)
        groups.extend(start + group for group in found)
    return names, groups


def _groups_of(part: InputSpec) -> tuple[list[str], list[NDArray[np.intp]]]:
    width, several = part.width, len(part.columns)
    if not part.window:
        return list(part.names), [np.array([i]) for i in range(width)]
    if several > 1:
        return list(part.columns), [np.arange(i, width, several) for i in range(several)]
    edges = [0, *(edge for edge in WINDOW_EDGES if edge < width), width]
    names, groups = [], []
    for start, end in pairwise(edges):
        column = part.columns[0]
        span = f"lag {start}" if end == start + 1 else f"lags {start} to {end - 1}"
        names.append(f"{column}{LAGS}{span[3:]}")
        groups.append(width - 1 - np.arange(start, end))
    return names, groups


def _summary(values: Floats, *, of_returns: bool) -> float | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    return float(np.sqrt(np.square(known).mean())) if of_returns else float(known.mean())


def _sentence(scale: str, base: float, total: float, contributions: Sequence[Contribution]) -> str:
    moved = [c for c in contributions if c.effect != 0][:3]
    if not moved:
        return f"The {scale} is {total:.4g} whatever the inputs: they are not used."
    parts = ", ".join(f"{c.name} ({c.effect:+.3g})" for c in moved)
    return f"The {scale} is {total:.4g} against {base:.4g} usually, most of all for {parts}."


def _digest(rows: Sequence[Sequence[float | None]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
