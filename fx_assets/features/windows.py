"""Moving windows of any length in a few passes over the data, piece by piece.

Rows are cut into blocks as long as the window. A window that ends within a block is the end of the
block before and the beginning of its own (van Herk, 1992; Gil and Werman, 1993), so that its sum,
highest or lowest value takes two accumulations, whatever the window's length. Unlike a running sum,
no rounding error survives two blocks. Blocks lie at fixed rows, counted from the first: a row
depends on no later one and is the same, to the last bit, however many follow.

Every function yields consecutive pieces of a column that fit the processor's cache; on millions of
rows, allocating columns for what is needed in between would take longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fx_assets.features.rolling import FLAT, Moments

Floats = NDArray[np.float64]
Source = Callable[[slice], Floats]
"""The values of some rows, contiguous."""
Pieces = Iterator[Floats]

PIECE = 8_192
"""Rows that are worked on at a time."""


def slices(n: int) -> Iterator[slice]:
    """Consecutive rows, a piece each; one empty piece where there are none."""
    for start in range(0, max(n, 1), PIECE):
        yield slice(start, min(start + PIECE, n))


def whole(pieces: Iterable[Floats], n: int) -> Floats:
    """The column that the pieces make up."""
    out = np.empty(n)
    for rows, piece in located(pieces):
        out[rows] = piece
    return out


def located(pieces: Iterable[Floats]) -> Iterator[tuple[slice, Floats]]:
    """Each piece with its rows."""
    start = 0
    for piece in pieces:
        yield slice(start, start + len(piece)), piece
        start += len(piece)


def known_from(pieces: Pieces, warm_up: int) -> Pieces:
    """The pieces with 0 for what is not known after the warm-up."""
    for rows, piece in located(pieces):
        late = np.arange(rows.start, rows.stop) >= warm_up
        yield np.where(late & np.isnan(piece), 0.0, piece)


def rolling_mean(source: Source, n: int, window: int, first: int = 0) -> Pieces:
    """Means of the last ``window`` values of each row; NaN until the window is full.

    Parameters
    ----------
    source
        Values whose sum does not cancel, such as squares or volumes.
    n
        Number of rows.
    window
        Number of values, at least 1.
    first
        First row that has a value.
    """
    yield np.full(min(first, n), np.nan)
    for rows, prefix, before in _two_blocks(np.add, source, n, window, first, 0.0):
        yield ((prefix + before) / window).ravel()[:rows]


def rolling_extreme(source: Source, n: int, window: int, ufunc: np.ufunc, first: int = 0) -> Pieces:
    """The highest (``np.maximum``) or lowest (``np.minimum``) of the last ``window`` values."""
    yield np.full(min(first, n), np.nan)
    none = -np.inf if ufunc is np.maximum else np.inf
    for rows, prefix, before in _two_blocks(ufunc, source, n, window, first, none):
        yield ufunc(prefix, before).ravel()[:rows]


def rolling_moments(source: Source, n: int, window: int, first: int = 0) -> Iterator[Moments]:
    """Distance from the mean and standard deviation of the last ``window`` values of each row.

    Each block is centred on its first value, so that a constant window gives exactly zero and
    little is lost where dispersion is small against the level. The moments of the two parts are
    joined as T. F. Chan, G. H. Golub and R. J. LeVeque do (*Algorithms for computing the sample
    variance*, 1983). A window with a NaN gives NaN.

    Parameters
    ----------
    source
        Values on a log scale.
    n, window, first
        As in :func:`rolling_mean`; a window has at least 2 values.
    """
    missing = np.full(min(first, n), np.nan)
    yield Moments(missing, missing)
    own = np.arange(1, window + 1, dtype=np.float64)
    rest = window - own
    some_rest = np.maximum(rest, 1)
    weight = own * rest / window
    last = [_nothing_before(window, 0.0), _nothing_before(window, 0.0), np.zeros((1, 1))]
    for rows, values in _blocks(source, n, window, first):
        centre = np.nan_to_num(values[:, :1])
        x = values - centre
        squares = x * x
        rests = (_suffix(np.add, x, 0.0), _suffix(np.add, squares, 0.0), centre)
        sum_before, squares_before, centre_before = (
            np.concatenate([before, now[:-1]]) for before, now in zip(last, rests, strict=True)
        )
        last = [now[-1:] for now in rests]
        sums = np.cumsum(x, axis=1)
        shift = centre_before - centre
        mean = (sums + sum_before + rest * shift) / window
        between = sum_before / some_rest + shift - sums / own
        total = np.cumsum(squares, axis=1) - sums * sums / own
        total += squares_before - sum_before * sum_before / some_rest
        total += between * between * weight
        std = np.sqrt(np.maximum(total, 0.0) / window)
        std[std < FLAT] = 0.0
        yield Moments((x - mean).ravel()[:rows], std.ravel()[:rows])


def _two_blocks(
    ufunc: np.ufunc, source: Source, n: int, window: int, first: int, none: float
) -> Iterator[tuple[int, Floats, Floats]]:
    """Of each row, what its own block gives up to it, and what the block before gives."""
    last = _nothing_before(window, none)
    for rows, values in _blocks(source, n, window, first):
        suffix = _suffix(ufunc, values, none)
        yield rows, ufunc.accumulate(values, axis=1), np.concatenate([last, suffix[:-1]])
        last = suffix[-1:]


def _blocks(source: Source, n: int, window: int, first: int) -> Iterator[tuple[int, Floats]]:
    """Pieces of whole blocks, one a line, with the number of rows; the last one is filled up."""
    size = max(1, PIECE // window) * window
    for start in range(first, n, size):
        values = source(slice(start, min(start + size, n)))
        rows = len(values)
        if lacking := -rows % window:
            values = np.concatenate([values, np.zeros(lacking)])
        yield rows, values.reshape(-1, window)


def _nothing_before(window: int, none: float) -> Floats:
    """Before the first block only a window that fills it needs nothing."""
    out = np.full((1, window), np.nan)
    out[0, -1] = none
    return out


def _suffix(ufunc: np.ufunc, values: Floats, none: float) -> Floats:
    """Of each place in a block, the values after it put together."""
    out = np.empty_like(values)
    out[:, -1] = none
    out[:, :-1] = ufunc.accumulate(values[:, :0:-1], axis=1)[:, ::-1]
    return out
