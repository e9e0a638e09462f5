"""Looks at files before there is a feed: what was found, and what cannot be known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fx_assets.calendars import BAR_LENGTHS
from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes, read_files
from fx_assets.sources.files.dates import Times
from fx_assets.sources.files.formats import Layout, time_text
from fx_assets.sources.files.questions import Asked, FilesUnclear, Question
from fx_assets.sources.files.source import Opened, open_files, read_rows
from fx_assets.specs import FeedSpec
from fx_assets.specs.sources import FilesSource

_CURRENCIES = re.compile(
    r"(?<![A-Z])((?:EUR|USD|GBP|JPY|CHF|AUD|NZD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|CNH|SGD|HKD"
    r"|XAU|XAG|XBT|BTC|ETH|XRP|LTC|SOL|ADA|DOGE|BNB)[-_/]?(?:EUR|USDT?C?|GBP|JPY|CHF|AUD|NZD|CAD|SEK"
    r"|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|CNH|SGD|HKD|BTC|ETH))(?![A-Z])"
)
_COINS = ("BTC", "ETH", "XRP", "LTC", "SOL", "ADA", "DOGE", "BNB")
_A_SATURDAY, _A_WEEK = 5, 7
_MANY = 1 / 15
"""Share of rows on Saturdays above which a market has no weekend; without one it is a seventh."""
_SAYS_SYMBOL = re.compile(
    r'"(?:\d+\.\s*)?((?:from |to )?symbol|instrument|ticker|pair)"\s*:\s*"([^"]{3,20})"',
    re.IGNORECASE,
)
_HEAD_BYTES = 4_000
_MOST_STEPS = 100_000


@dataclass(frozen=True)
class FileFound:
    """What one file is.

    Parameters
    ----------
    name
        As a person calls it.
    format
        Its format, ``generic`` where it is none of a vendor's.
    header
        The names of its columns.
    columns
        Ours to the file's, of those that are read.
    rows
        How many it has.
    times
        The form of its instants, such as ``epochs`` or ``dates and times without a zone``.
    first, last
        What the file says in its first and last row.
    zone
        Whose clock it is by the header or the format; ``None`` where the file does not tell.
    stamp
        Whether an instant is an open or a close by the format; ``None`` where that is unknown.
    """

    name: str
    format: str
    header: tuple[str, ...]
    columns: Mapping[str, str]
    rows: int
    times: str
    first: str
    last: str
    zone: str | None
    stamp: str | None


@dataclass(frozen=True)
class Inspection:
    """What files are, and what must be said before they are a feed.

    Parameters
    ----------
    attributes
        Attributes of a feed as far as they are known, without name and description.
    files
        Those with rows.
    empty
        Names of those without rows.
    questions
        Everything that must be said; an option's ``settings`` go into ``attributes`` (see
        :func:`with_settings`), and the files are inspected again.
    problems
        What stopped the reading: message and remedy of each error.
    notes
        What was assumed, or left out.
    first_close, last_close
        The closes of the oldest and the newest bar (UTC); provisional while there are questions,
        ``None`` where no bar could be read.
    bars
        How many bars there are in all.
    """

    attributes: dict[str, Any]
    files: tuple[FileFound, ...] = ()
    empty: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    first_close: datetime | None = None
    last_close: datetime | None = None
    bars: int = 0


@dataclass
class _Found:
    """Collects the inspection, so that an error keeps what was found before it."""

    files: tuple[FileFound, ...] = ()
    empty: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: list[tuple[str, str]] = field(default_factory=list)
    closes: tuple[datetime, datetime] | None = None
    bars: int = 0


def with_settings(attributes: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a feed with settings by dotted name; ``None`` removes one."""
    changed = _copied(attributes)
    for name, value in settings.items():
        *path, last = name.split(".")
        place = changed
        for key in path:
            place = place.setdefault(key, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = _copied(value) if isinstance(value, Mapping) else value
    return changed


def inspect_files(attributes: Mapping[str, Any], home: Path) -> Inspection:
    """Look at files, and say what they are and all that must be said about them.

    Parameters
    ----------
    attributes
        Of the feed to be, as in its ``defs.yaml``; ``{"source": {"path": ...}}`` is enough. What is
        missing is found out: the instrument by names, the frequency by the steps between rows, the
        calendar by whether there are bars on Saturdays, the start by the oldest row.
    home
        Where relative paths start.
    """
    asked, found = Asked(), _Found()
    known = with_settings(attributes, {"source.kind": "files"})
    try:
        files = list(read_files(str(known["source"]["path"]), home))
        instrument = known["source"].get("instrument")
        known["source"]["instrument"] = instrument or _instrument(files, known["source"])
        source = _source(known)
        opened = open_files(files, source, asked)
        every = [opened.times(i, source) for i in range(len(opened.cells))]
        found.files = tuple(
            _found(opened, i, times) for i, times in enumerate(every) if len(times.local)
        )
        found.empty = tuple(opened.empty)
        _guess(known, every, opened)
        feed = FeedSpec.model_validate({"name": "files", **known})
        parts = read_rows(opened, feed, source, asked)
        found.notes = tuple(note for part in parts for note in part.notes)
        closes = np.concatenate(
            [part.frame["event_time"].to_numpy("datetime64[us]") for part in parts]
        )
        found.bars = len(np.unique(closes))
        if found.bars:
            first, last = closes.min().item(), closes.max().item()
            found.closes = (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC))
    except FilesUnclear:
        pass
    except SourceError as problem:
        found.problems.append((problem.message, problem.remedy))
    questions = list(asked.questions)
    if known["source"].get("instrument") == UNKNOWN:
        known["source"].pop("instrument")
        questions.append(
            Question(
                "source.instrument",
                "The files do not say which instrument they price.",
                "Set source.instrument, such as EURUSD.",
            )
        )
    first_close, last_close = found.closes or (None, None)
    return Inspection(
        attributes=known,
        files=found.files,
        empty=found.empty,
        questions=tuple(questions),
        problems=tuple(found.problems),
        notes=found.notes,
        first_close=first_close,
        last_close=last_close,
        bars=found.bars,
    )


UNKNOWN = "UNKNOWN"
"""Stands for an instrument that no name tells."""


def _copied(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copied(v) if isinstance(v, Mapping) else v for k, v in attributes.items()}


def _source(attributes: Mapping[str, Any]) -> FilesSource:
    return FilesSource.model_validate(attributes["source"])


def _instrument(files: Sequence[FileBytes], source: Mapping[str, Any]) -> str:
    """The pair that files are called after, or that is named as the symbol or in a document."""
    found = instrument_of([file.name for file in files])
    if found == UNKNOWN and source.get("symbol"):
        found = instrument_of([str(source["symbol"])])
    if found != UNKNOWN:
        return found
    told = []
    for file in files:
        head = file.content[:_HEAD_BYTES].lstrip()
        if head[:1] in (b"{", b"["):
            pairs = _SAYS_SYMBOL.findall(head.decode("utf-8", "replace"))
            names = {key.lower(): value for key, value in reversed(pairs)}
            both = names.get("from symbol", "") + names.get("to symbol", "")
            told.append((both or next(iter(names.values()), "")).replace("/", ""))
    return instrument_of(told) if told and all(told) else UNKNOWN


def instrument_of(names: Sequence[str]) -> str:
    """The pair that the names of files have in common, or ``UNKNOWN``."""
    pairs = {
        re.sub(r"[-_/]", "", match[1]).replace("XBT", "BTC")
        for name in names
        for match in [_CURRENCIES.search(name.rsplit("/", 1)[-1].upper())]
        if match
    }
    return pairs.pop() if len(pairs) == 1 else UNKNOWN


def _found(opened: Opened, i: int, times: Times) -> FileFound:
    cells, layout = opened.cells[i]
    table = cells.table
    return FileFound(
        name=table.file,
        format=layout.format,
        header=tuple(table.cells.column_names),
        columns={str(ours): theirs for ours, theirs in layout.columns.items()},
        rows=len(times.local),
        times=_form(times),
        first=time_text(table, layout, 0),
        last=time_text(table, layout, len(times.local) - 1),
        zone=_zone_said(layout, times),
        stamp=layout.stamp,
    )


def _zone_said(layout: Layout, times: Times) -> str | None:
    stated = ~np.isnat(times.offset)
    if stated.any() and (times.offset[stated] == np.timedelta64(0)).all():
        return "UTC"
    return layout.zone


def _form(times: Times) -> str:
    """What the instants of a file look like, for a person."""
    if times.epochs:
        return "epochs"
    if times.dated:
        return "dates"
    stated = ~np.isnat(times.offset)
    if stated.all():
        return "dates and times with their offset from UTC"
    if stated.any():
        return "dates and times, some of them with an offset from UTC"
    return "dates and times without a zone"


def _guess(known: dict[str, Any], every: Sequence[Times], opened: Opened) -> None:
    """Fill in frequency, calendar and start where they are not given."""
    local = [times.local[~np.isnat(times.local)] for times in every]
    whole = np.concatenate(local) if local else np.array([], dtype="datetime64[us]")
    if not len(whole):
        return
    known.setdefault("frequency", _frequency(every, opened))
    if "calendar" not in known:
        days = whole.astype("datetime64[D]").astype(np.int64)
        saturday = (days + 3) % 7 == _A_SATURDAY
        coin = str(known["source"].get("instrument", "")).startswith(_COINS)
        short = np.ptp(days) < _A_WEEK
        known["calendar"] = "24x7" if saturday.mean() > _MANY or (coin and short) else "24x5"
    if "start" not in known:
        first: date = whole.min().astype("datetime64[D]").item()
        known["start"] = first.isoformat()


def _frequency(every: Sequence[Times], opened: Opened) -> str:
    """The length of bar that the usual step between rows is nearest to."""
    if any(layout.format == "coingecko" for _, layout in opened.cells):
        return "1d"
    if any(times.dated for times in every):
        return "1d"
    local = [times.local[:_MOST_STEPS] for times in every]
    steps = np.concatenate([np.diff(np.sort(part[~np.isnat(part)])) for part in local])
    steps = steps[steps > np.timedelta64(0)]
    if not len(steps):
        return "1d"
    sizes, counts = np.unique(steps, return_counts=True)
    usual = sizes[counts.argmax()]
    return min(
        BAR_LENGTHS, key=lambda name: abs(np.log(float(usual / np.timedelta64(BAR_LENGTHS[name]))))
    )
