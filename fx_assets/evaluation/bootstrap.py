"""Block bootstrap by weights: each resample is how often every row was drawn.

Drawing once and reusing the weights makes every metric a matrix product or a weighted sort.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.significance import dependence_length

MOST_CELLS = 10_000_000
"""Of the matrix of weights at a time: 80 MB."""


def block_weights(n: int, horizon: int, n_boot: int, seed: int) -> Floats:
    """Circular block bootstrap (Politis and Romano 1992) as an (n_boot, n) matrix of counts.

    Blocks have :func:`~fx_assets.evaluation.significance.dependence_length` rows, and every row of
    the matrix sums to ``n``. The same arguments give the same draw.
    """
    return np.concatenate(list(weight_parts(n, horizon, n_boot, seed)))


def weight_parts(n: int, horizon: int, n_boot: int, seed: int) -> Iterable[Floats]:
    """The rows of :func:`block_weights` a few at a time, so that many bars fit into memory.

    Where all of them are one part it is kept for whoever asks for the same next.
    """
    if n * n_boot <= MOST_CELLS:
        return _kept(n, horizon, n_boot, seed)
    return _parts(n, horizon, n_boot, seed)


@lru_cache(maxsize=1)
def _kept(n: int, horizon: int, n_boot: int, seed: int) -> tuple[Floats, ...]:
    parts = tuple(_parts(n, horizon, n_boot, seed))
    for part in parts:
        part.setflags(write=False)
    return parts


def _parts(n: int, horizon: int, n_boot: int, seed: int) -> Iterator[Floats]:
    length = dependence_length(n, horizon)
    blocks = -(-n // length)
    starts = np.random.default_rng(seed).integers(0, n, size=(n_boot, blocks))
    for part in range(0, n_boot, max(1, MOST_CELLS // n)):
        yield _counts(starts[part : part + max(1, MOST_CELLS // n)], n, length)


def _counts(starts: NDArray[np.int64], n: int, length: int) -> Floats:
    """How often each row was drawn by blocks with these starts, one resample a row."""
    resamples, blocks = starts.shape
    last = n - (blocks - 1) * length
    ends = starts + length
    ends[:, -1] = starts[:, -1] + last
    offsets = np.arange(resamples)[:, None] * (2 * n + 1)
    size = resamples * (2 * n + 1)
    steps = np.bincount((starts + offsets).ravel(), minlength=size)
    steps -= np.bincount((ends + offsets).ravel(), minlength=size)
    counts = np.cumsum(steps.reshape(resamples, 2 * n + 1), axis=1)
    return (counts[:, :n] + counts[:, n : 2 * n]).astype(np.float64)
