"""Block bootstrap by weights: each resample is how often every row was drawn.

Drawing once and reusing the weights makes every metric a matrix product or a weighted sort.
"""

from __future__ import annotations

import numpy as np

from fx_assets.evaluation.losses import Floats
from fx_assets.evaluation.significance import dependence_length


def block_weights(n: int, horizon: int, n_boot: int, seed: int) -> Floats:
    """Circular block bootstrap (Politis and Romano 1992) as an (n_boot, n) matrix of counts.

    Blocks have :func:`~fx_assets.evaluation.significance.dependence_length` rows, and every row of
    the matrix sums to ``n``. The same arguments give the same draw.
    """
    length = dependence_length(n, horizon)
    blocks = -(-n // length)
    last = n - (blocks - 1) * length
    starts = np.random.default_rng(seed).integers(0, n, size=(n_boot, blocks))
    ends = starts + length
    ends[:, -1] = starts[:, -1] + last
    offsets = np.arange(n_boot)[:, None] * (2 * n + 1)
    size = n_boot * (2 * n + 1)
    steps = np.bincount((starts + offsets).ravel(), minlength=size) - np.bincount(
        (ends + offsets).ravel(), minlength=size
    )
    counts = np.cumsum(steps.reshape(n_boot, 2 * n + 1), axis=1)
    return (counts[:, :n] + counts[:, n : 2 * n]).astype(np.float64)
