"""Columns that are broken rather than shifted: what tests of distributions do not see.

Where a column can be computed again from prices, it is, and every difference is a fault with a
name. Where it cannot (predictions, inputs of unknown origin) it is held against what its own
history never did: stand still so long, lie so far out, jump about so much.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fx_assets.monitoring.windows import Floats
from fx_assets.specs.base import Spec

Fault = Literal[
    "missing",
    "constant",
    "scaled",
    "sign_flipped",
    "shuffled",
    "stale",
    "different",
    "out_of_range",
]

TOLERANCE = 1e-9
"""Relative difference between two computations of a feature that is rounding."""
LEAST_RUN = 5
ROUGHNESS_MARGIN = 0.15
MIN_REFERENCE = 250


class BrokenColumn(Spec):
    """A fault, since when, and the values that show it."""

    column: str
    fault: Fault
    rows: int
    """Rows of the window that are wrong."""
    sentence: str


def faults_of_features(
    stored: pd.DataFrame, recomputed: pd.DataFrame, columns: tuple[str, ...], window: int
) -> tuple[BrokenColumn, ...]:
    """Compare stored features with those computed again from prices, on the newest rows.

    Parameters
    ----------
    stored, recomputed
        Feature frames with ``event_time``; rows are matched by it.
    columns
        Names of the features.
    window
        Newest rows that are compared.
    """
    again = recomputed.set_index("event_time").iloc[-window - 1 :]
    present = stored.set_index("event_time")
    missing = [name for name in columns if name not in present]
    found = [
        BrokenColumn(
            column=name,
            fault="missing",
            rows=window,
            sentence=f"{name} is not in the stored features.",
        )
        for name in missing
    ]
    absent = int((~again.index[1:].isin(present.index)).sum())
    if absent:
        found.append(
            BrokenColumn(
                column="event_time",
                fault="missing",
                rows=absent,
                sentence=f"{absent} of the newest {window} bars have no stored features.",
            )
        )
    common = again.index[again.index.isin(present.index)]
    for name in (c for c in columns if c in present):
        ours = present.loc[common, name].to_numpy(dtype=np.float64)
        truth = again.loc[common, name].to_numpy(dtype=np.float64)
        fault = _difference(name, ours, truth)
        if fault is not None:
            found.append(fault)
    return tuple(found)


def implausible(name: str, values: Floats, reference: Floats) -> tuple[BrokenColumn, ...]:
    """What a column does that its reference never did.

    Parameters
    ----------
    values
        The newest values, oldest first.
    reference
        Values of the reference, in order of time.
    """
    usual = reference[np.isfinite(reference)]
    if len(usual) < MIN_REFERENCE or not len(values):
        return ()
    found: list[BrokenColumn] = []

    def add(fault: Fault, rows: int, sentence: str) -> None:
        found.append(BrokenColumn(column=name, fault=fault, rows=rows, sentence=sentence))

    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        add("missing", unknown, f"{name} has {unknown} values that are not numbers.")
    known = values[np.isfinite(values)]
    low, high = float(usual.min()), float(usual.max())
    if not len(known) or high == low:
        return tuple(found)
    run, longest = _last_run(known), _longest_run(usual)
    if run > max(longest, LEAST_RUN):
        add(
            "constant",
            run,
            f"{name} has stood at {known[-1]:g} for {run} rows; before, {longest} at most.",
        )
    outside = (known < low - (high - low)) | (known > high + (high - low))
    if outside.any():
        worst = known[int(np.argmax(np.abs(known - (low + high) / 2)))]
        add(
            "out_of_range",
            int(outside.sum()),
            f"{name} is at {worst:g}, far outside its range of {low:g} to {high:g}.",
        )
    elif run < len(known) and _rougher_than_ever(known, usual):
        add(
            "shuffled",
            len(known),
            f"{name} jumps from row to row as never before: its values may be out of order.",
        )
    return tuple(found)


def _difference(name: str, stored: Floats, truth: Floats) -> BrokenColumn | None:
    """Name what is wrong; the first row is there for its neighbour and is not judged."""
    wrong = ~_same(stored, truth)
    wrong[:1] = False
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return None
    s, t, before = stored[rows], truth[rows], truth[rows - 1]
    fault, how = _kind(s, t, before)
    return BrokenColumn(
        column=name,
        fault=fault,
        rows=len(rows),
        sentence=(
            f"{name} {how} in {len(rows)} of the newest {len(stored) - 1} rows; the newest wrong "
            f"one is {s[-1]:.6g}, computed from prices it is {t[-1]:.6g}."
        ),
    )


def _kind(s: Floats, t: Floats, before: Floats) -> tuple[Fault, str]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = s / t
    if not np.isfinite(s).any():
        return "missing", "is not a number"
    if _same(s, before).all():
        return "stale", "is one bar old"
    if _same(s, -t).all():
        return "sign_flipped", "has the wrong sign"
    if len(s) > 1 and np.unique(s).size == 1:
        return "constant", "stands still"
    factor = float(np.median(ratio))
    if np.isfinite(ratio).all() and np.allclose(ratio, factor, rtol=TOLERANCE, atol=0):
        power = np.log10(abs(factor)) if factor else 0.5
        if len(s) > 2 or abs(power - round(power)) < TOLERANCE:
            return "scaled", f"is {factor:g} times its value"
    if len(s) > 1 and _same(np.sort(s), np.sort(t)).all():
        return "shuffled", "is out of order"
    return "different", "differs"


def _same(a: Floats, b: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isclose(a, b, rtol=TOLERANCE, atol=1e-14, equal_nan=True), dtype=bool)


def _last_run(values: Floats) -> int:
    other = np.flatnonzero(values != values[-1])
    return len(values) - 1 - int(other[-1]) if len(other) else len(values)


def _longest_run(values: Floats) -> int:
    edges = np.flatnonzero(np.diff(values) != 0)
    bounds = np.concatenate([[-1], edges, [len(values) - 1]])
    return int(np.diff(bounds).max())


def _rougher_than_ever(values: Floats, usual: Floats) -> bool:
    """Whether steps are larger against the dispersion than in any window of the reference."""
    n = len(values)
    if n < 20:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(usual, n)[:: max(1, n // 3)]
    return bool(_roughness(values[None, :])[0] > _roughness(windows).max() + ROUGHNESS_MARGIN)


def _roughness(windows: Floats) -> Floats:
    """Von Neumann's ratio: mean squared step over twice the variance; 1 for independent values."""
    steps = np.square(np.diff(windows, axis=1)).mean(axis=1)
    variance = windows.var(axis=1)
    ratio: Floats = np.divide(steps, 2 * variance, out=np.zeros_like(steps), where=variance > 0)
    return ratio
