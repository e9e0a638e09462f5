"""The bars of several files together: repeated, contradictory, and of another length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fx_assets.errors import SourceError
from fx_assets.sources.files.rows import Rows
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import PRICE_COLUMNS

MOST_CONFLICTS = 1_000
"""Contradictions beyond which files are of different things, not of different days."""
STRAY = "stray_bar"
"""The check of daily rows among intraday ones; they are kept out and do not stop the feed."""
_LOOK = 6
_SAME = 1e-9


@dataclass(frozen=True)
class Together:
    """The bars of all files.

    Parameters
    ----------
    frame
        As in :class:`~fx_assets.sources.files.rows.Rows`, with ``file``, the position of the file;
        sorted by ``event_time``, unique.
    rejected
        Records of what is left out.
    repeated
        How many rows say again what another one says.
    """

    frame: pd.DataFrame
    rejected: list[dict[str, str]]
    repeated: int


def together(parts: Sequence[Rows], feed: FeedSpec) -> Together:
    """One row an instant: equal ones once, contradictory ones none.

    Raises
    ------
    SourceError
        The files contradict each other in more bars than mistakes explain.
    """
    frame = pd.concat(
        [part.frame.assign(file=i) for i, part in enumerate(parts)], ignore_index=True
    )
    times = frame["event_time"].to_numpy("datetime64[us]")
    if len(times) > 1 and not (np.diff(times) > np.timedelta64(0)).all():
        frame = frame.iloc[np.argsort(times, kind="stable")].reset_index(drop=True)
    rejected: list[dict[str, str]] = []
    if not feed.market.daily:
        frame, rejected = _without_strays(frame, parts, feed)
    frame, repeated = _once(frame)
    frame, conflicts = _without_conflicts(frame, parts, feed)
    return Together(frame, rejected + conflicts, repeated)


def _twice(frame: pd.DataFrame) -> np.ndarray:
    times = frame["event_time"].to_numpy("datetime64[us]")
    if len(times) < 2:
        return np.zeros(len(times), dtype=bool)
    same = times[1:] == times[:-1]
    return np.asarray(np.concatenate([[False], same]) | np.concatenate([same, [False]]))


def _once(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Rows of one instant that say the same count once."""
    some = frame[_twice(frame)]
    again = some.index[some.duplicated(["event_time", *PRICE_COLUMNS])]
    return frame.drop(index=again).reset_index(drop=True), len(again)


def _without_conflicts(
    frame: pd.DataFrame, parts: Sequence[Rows], feed: FeedSpec
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    twice = _twice(frame)
    if not twice.any():
        return frame, []
    bad = frame[twice]
    if bad["event_time"].nunique() > MOST_CONFLICTS:
        first = bad[bad["event_time"] == bad["event_time"].iloc[0]]
        raise SourceError(
            f"The files contradict each other in {bad['event_time'].nunique()} bars, such as "
            f"{_said(first, parts)}.",
            remedy=(
                "Let source.path name the files of one instrument, one side (bid or ask) and one "
                "vendor."
            ),
        )
    records = []
    newest = {(i, _newest_row(part)) for i, part in enumerate(parts)}
    for _, group in bad.groupby("event_time", sort=False):
        rows = list(zip(group["file"].tolist(), group["row"].tolist(), strict=True))
        reason = f"files contradict each other: {_said(group, parts)}"
        last = [parts[file].table.file for file, row in rows if (file, row) in newest]
        if last:
            reason += f"; it is the newest bar of {last[0]}, which may have been unfinished"
        records += _records(group, parts, feed, "duplicates", [reason] * len(group))
    return frame[~twice].reset_index(drop=True), records


def _newest_row(part: Rows) -> int:
    times = part.frame["event_time"].to_numpy("datetime64[us]")
    return int(part.frame["row"].iloc[int(times.argmax())]) if len(times) else -1


def _said(group: pd.DataFrame, parts: Sequence[Rows]) -> str:
    cells = zip(group["file"].tolist(), group["row"].tolist(), group["close"], strict=True)
    return " and ".join(f"{parts[file].where(row)} says {close:g}" for file, row, close in cells)


def _records(
    rows: pd.DataFrame, parts: Sequence[Rows], feed: FeedSpec, check: str, reasons: list[str]
) -> list[dict[str, str]]:
    return [
        {
            "event_date": event_label(when, feed),
            "column": "close",
            "value": repr(float(close)),
            "check": check,
            "reason": reason,
            "payload": parts[file].table.sha256,
        }
        for when, close, file, reason in zip(
            rows["event_time"], rows["close"], rows["file"].tolist(), reasons, strict=True
        )
    ]


def event_label(event_time: pd.Timestamp, feed: FeedSpec) -> str:
    """A bar's day, or of an intraday bar the UTC instant of its close."""
    if feed.market.daily:
        return str(feed.market.bar_day(event_time.tz_localize("UTC").to_pydatetime()))
    return f"{event_time:%Y-%m-%d %H:%M}"


def _without_strays(
    frame: pd.DataFrame, parts: Sequence[Rows], feed: FeedSpec
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Leave out daily rows among intraday ones.

    A row that is written at midnight, without a time, or off the grid is one when its range
    contains that of the bars of a day before or after it, and its close is the last of theirs or
    another row stands at the same instant.
    """
    day, bar = np.timedelta64(1, "D"), np.timedelta64(feed.market.bar)
    if day <= bar * 2 or len(frame) < _LOOK:
        return frame, []
    times = frame["event_time"].to_numpy("datetime64[us]")
    high, low, close = (frame[n].to_numpy(np.float64) for n in ("high", "low", "close"))
    clockless = frame["clockless"].to_numpy(bool)
    off_grid = (times - times.astype("datetime64[D]")) % bar != np.timedelta64(0)
    suspects = np.flatnonzero(frame["midnight"].to_numpy(bool) | clockless | off_grid)
    twice = _twice(frame)
    strays = []
    for i in suspects.tolist():
        near = slice(i + 1, i + 1 + _LOOK)
        before = slice(max(0, i - _LOOK), i)
        contains_some = any(
            len(high[s]) and high[i] >= high[s].max() and low[i] <= low[s].min()
            for s in (near, before)
        )
        if contains_some and _is_a_day(i, times, high, low, close, bar, twice[i]):
            strays.append(i)
    unclear = np.setdiff1d(np.flatnonzero(clockless), strays)
    records = []
    for rows, check, why in (
        (np.array(strays, dtype=np.int64), STRAY, f"a daily row among bars of {feed.frequency}"),
        (unclear, "schema_and_types", "the time of day is missing"),
    ):
        found = frame.iloc[rows]
        places = zip(found["file"].tolist(), found["row"].tolist(), strict=True)
        reasons = [f"{parts[file].where(row)}: {why}" for file, row in places]
        records += _records(found, parts, feed, check, reasons)
    return frame.drop(index=[*strays, *unclear]).reset_index(drop=True), records


def _is_a_day(
    i: int,
    times: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    bar: np.timedelta64,
    twice: np.bool_,
) -> bool:
    day = np.timedelta64(1, "D")
    for start, end in ((times[i] - bar, times[i] - bar + day), (times[i] - day, times[i])):
        first, last = np.searchsorted(times, start, "right"), np.searchsorted(times, end, "right")
        others = np.arange(first, last)
        others = others[(others != i) & (times[others] != times[i])]
        if len(others) < _LOOK // 2:
            continue
        contains = high[i] >= high[others].max() and low[i] <= low[others].min()
        wider = high[i] - low[i] > (high[others] - low[others]).max()
        ends_alike = abs(close[i] / close[others[-1]] - 1) < _SAME
        if contains and wider and (twice or ends_alike):
            return True
    return False
