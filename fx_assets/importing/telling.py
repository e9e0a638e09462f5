"""What a person reads: what was found, what is asked, the first and last bars, a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from fx_assets.importing.flags import flag_for, listed
from fx_assets.importing.looking import Looked
from fx_assets.plural import counted
from fx_assets.sources.files.inspect import FileFound, Inspection
from fx_assets.sources.files.questions import Question

WIDTH, HEIGHT = 64, 8
_SHOWN = ("open", "high", "low", "close", "volume", "market_cap")
_MOST_FILES = 5
_EDGE = 3


def found(inspection: Inspection) -> Iterator[str]:
    """What the files are."""
    if not inspection.files:
        return
    rows = sum(file.rows for file in inspection.files)
    count = len(inspection.files)
    yield ", ".join(
        counted(number, noun)
        for number, noun in ((count, "file"), (rows, "row"), (inspection.bars, "bar"))
    )
    for file in inspection.files[:_MOST_FILES]:
        yield f"  {file.name}"
        columns = ", ".join(f"{ours}: {theirs}" for ours, theirs in file.columns.items())
        yield f"    format      {file.format}; columns {columns}"
        unread = [name for name in file.header if name not in file.columns.values()]
        if unread:
            yield f"    not read    {', '.join(unread)}"
        yield f"    times       {file.times}, from {file.first!r} to {file.last!r}"
        yield f"    zone        {file.zone or 'the file does not say'}"
        yield f"    a time is   {_meaning(file)}"
    if count > _MOST_FILES:
        yield f"  and {count - _MOST_FILES} more"
    if inspection.empty:
        yield f"  without rows: {', '.join(inspection.empty[:_MOST_FILES])}"
    known = inspection.attributes
    source = known.get("source", {})
    facts = {
        "instrument": source.get("instrument"),
        "frequency": known.get("frequency"),
        "calendar": known.get("calendar"),
        "day_close": known.get("day_close"),
        "scale": source.get("price_scale"),
        "start": known.get("start"),
    }
    yield "  ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    for note in inspection.notes:
        yield f"note: {note}"


def _meaning(file: FileFound) -> str:
    if file.times == "dates":
        return "the day of a bar"
    return f"the {file.stamp} of a bar" if file.stamp else "open or close; the file does not say"


def asked(questions: Sequence[Question]) -> Iterator[str]:
    """Every question with what answers it on the command line."""
    for number, question in enumerate(questions, 1):
        yield f"{number}. {question.message}"
        yield f"   {question.remedy}"
        options = listed(question.options) or [flag_for(question.setting)]
        yield from (f"     {line}" for line in options)


def bars(looked: Looked) -> Iterator[str]:
    """The first and the last bars by their closes, and a plot of the closes."""
    if looked.batch is None or looked.feed is None:
        return
    frame = looked.batch.bars
    present = [name for name in _SHOWN if frame[name].notna().any()]
    yield f"{counted(len(frame), 'bar')} by their close (UTC):"
    yield f"  {'':<17}" + "".join(f"{name:>14}" for name in present)
    ends = [frame.head(_EDGE), frame.tail(_EDGE)] if len(frame) > 2 * _EDGE else [frame]
    for place, part in enumerate(ends):
        if place:
            yield "  ..."
        for row in part[["event_time", *present]].itertuples(index=False):
            cells = "".join(f"{value:>14.7g}" for value in row[1:])
            yield f"  {row[0]:%Y-%m-%d %H:%M} {cells}"
    yield from plot(frame)
    if looked.batch.provenance.notes:
        yield f"note: {looked.batch.provenance.notes}"


def plot(frame: pd.DataFrame) -> Iterator[str]:
    """Closes as columns of characters: each from the lowest to the highest of its bars."""
    close = frame["close"].to_numpy(np.float64)
    pieces = [part for part in np.array_split(close, min(WIDTH, len(close))) if len(part)]
    low, high = float(close.min()), float(close.max())
    step = (high - low) / HEIGHT or 1.0
    lows = [min(HEIGHT - 1, int((part.min() - low) / step)) for part in pieces]
    highs = [min(HEIGHT - 1, int((part.max() - low) / step)) for part in pieces]
    for level in reversed(range(HEIGHT)):
        value = {HEIGHT - 1: f"{high:.7g}", 0: f"{low:.7g}"}.get(level, "")
        marks = (
            "█" if bottom <= level <= top else " " for bottom, top in zip(lows, highs, strict=True)
        )
        yield f"  {value:>12} |{''.join(marks)}".rstrip()
    first, last = frame["event_time"].iloc[0], frame["event_time"].iloc[-1]
    yield f"  {'':>12}  {first:%Y-%m-%d}{last:%Y-%m-%d}".replace(
        f"{first:%Y-%m-%d}", f"{first:%Y-%m-%d}" + " " * max(1, len(pieces) - 20), 1
    )


def gate(looked: Looked) -> Iterator[str]:
    """What the quality gate says about the bars."""
    if looked.report is None:
        return
    failed = [finding for finding in looked.report.findings if not finding.passed]
    kept = len(looked.report.accepted)
    if not failed:
        yield f"The quality gate passes: every check, {counted(kept, 'bar')}."
        return
    yield f"The quality gate: {kept:,} bars pass, {len(looked.report.quarantined):,} rows stay out."
    for finding in failed:
        word = "refuses" if finding.severity == "block" else "warns"
        yield f"  {word}  {finding.check}: {finding.message}"
