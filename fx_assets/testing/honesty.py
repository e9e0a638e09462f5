"""Catches a computation that looks ahead; what is found names the column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from fx_assets.testing.require import require

Build = Callable[[pd.DataFrame], pd.DataFrame]
"""Makes a frame of one row a bar from bars."""
PRICES = ("open", "high", "low", "close", "volume")


def assert_prefix_invariant(
    build: Build, bars: pd.DataFrame, cuts: Iterable[int], columns: Sequence[str] | None = None
) -> None:
    """The first ``cut`` rows are bit-identical whether or not later bars exist, for every cut.

    Raises
    ------
    ContractError
        They are not; the message names the first cell.
    """
    full = build(bars)
    for cut in cuts:
        prefix = build(bars.iloc[:cut].reset_index(drop=True))
        require(len(prefix) == min(cut, len(bars)), f"{cut} bars gave {len(prefix)} rows")
        _require_same_bits(full.iloc[:cut], prefix, columns, f"with only {cut} bars")


def assert_future_scramble_invariant(
    build: Build, bars: pd.DataFrame, cut: int, seed: int, columns: Sequence[str] | None = None
) -> None:
    """The first ``cut`` rows are bit-identical when every later price is replaced by another.

    Raises
    ------
    ContractError
        They are not; the message names the first cell.
    """
    scrambled = bars.copy()
    later = slice(cut, len(bars))
    factor = np.exp(np.random.default_rng(seed).normal(0, 0.3, len(bars) - cut))
    for name in PRICES:
        if name in scrambled:
            column = scrambled[name].to_numpy(copy=True)
            column[later] = column[later] * factor
            scrambled[name] = column
    _require_same_bits(
        build(bars).iloc[:cut], build(scrambled).iloc[:cut], columns, f"scrambled after {cut} bars"
    )


def _require_same_bits(
    expected: pd.DataFrame, found: pd.DataFrame, columns: Sequence[str] | None, where: str
) -> None:
    require(list(expected.columns) == list(found.columns), "the columns differ")
    for name in columns if columns is not None else expected.columns:
        a, b = (np.ascontiguousarray(f[name].to_numpy()) for f in (expected, found))
        same = (
            a.view(np.uint64) == b.view(np.uint64)
            if a.dtype == np.float64 == b.dtype
            else (a == b) | (pd.isna(a) & pd.isna(b))
        )
        row = int(np.argmin(same)) if len(same) and not same.all() else 0
        require(
            not len(same) or bool(same[row]),
            f"{name} of row {row} is {a[row] if len(a) else None}, "
            f"but {b[row] if len(b) else None} {where}",
        )
