"""Looks at files until they are a feed: what was found, what is asked, what the gate says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from fx_assets.errors import FxAssetsError, SourceError, SpecError
from fx_assets.importing import fred
from fx_assets.importing.days import calendar_question
from fx_assets.importing.flags import flag_for
from fx_assets.quality import Finding, GateReport, inspect
from fx_assets.quality.row_checks import ROW_REASONS
from fx_assets.settings import Settings
from fx_assets.sources import Batch, fetch_bars, new_rows
from fx_assets.sources.files.inspect import (
    UNKNOWN,
    Inspection,
    inspect_files,
    instrument_of,
    with_settings,
)
from fx_assets.sources.files.questions import Asked, Option, Question
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.base import complaint

TICKS = "ticks"
"""What ``--volume`` says for the column of tick counts, whatever its name is."""
MOST_DAYS = 20
"""Most days that are offered to be kept out one by one."""


@dataclass(frozen=True)
class Looked:
    """What is known about the files.

    Parameters
    ----------
    settings
        All that was said or found out, by dotted name.
    inspection
        What the files are.
    questions
        What must be said before they are a feed that passes its gate.
    notes
        What a person should know beside that.
    feed, batch, report
        The feed without its name, its bars, and the verdict of the gate; ``None`` while there are
        questions about the reading.
    """

    settings: dict[str, Any]
    inspection: Inspection
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()
    feed: FeedSpec | None = None
    batch: Batch | None = None
    report: GateReport | None = None


def look(settings: Mapping[str, Any], deployment: Settings, now: datetime) -> Looked:
    """Look at the files that ``source.path`` names, with the settings that are known.

    Raises
    ------
    SourceError
        The files cannot be read, whatever is said about them.
    SpecError
        A setting has a value that it cannot have.
    """
    known = dict(settings)
    inspection, notes = _inspection_of(known, deployment.home)
    asked = _all_questions(known, inspection, deployment.home)
    if inspection.problems:
        message, remedy = inspection.problems[0]
        Asked(asked).raise_if_any(SourceError(message, remedy=remedy))
    if {question.setting for question in asked} - {"source.instrument"}:
        asked += _of_days(known, asked, deployment, now)
        return Looked(known, inspection, tuple(asked), tuple(notes))
    if not inspection.bars:
        raise SourceError(
            f"No bar could be read from {known['source.path']}.",
            remedy="Look at the first lines of the files; --format, --column and --date-format "
            "say how they are read.",
        )
    feed = _feed(_nameless(inspection.attributes))
    if "start" not in known and inspection.first_close:
        first = feed.market.bar_day(inspection.first_close).isoformat()
        inspection = replace(inspection, attributes={**inspection.attributes, "start": first})
        feed = _feed(_nameless(inspection.attributes))
    batch = fetch_bars(feed, deployment, now)
    if batch.bars.empty:
        raise SourceError(
            f"None of the {inspection.bars:,} bars is left: {batch.provenance.notes}",
            remedy="Correct --start, --timezone or --stamp; FX_ASSETS_NOW sets the clock.",
        )
    days = () if "calendar" in known else calendar_question(feed, batch.bars)
    if days:
        return Looked(known, inspection, (*asked, *days), tuple(notes), feed, batch)
    report = _judged(feed, batch, now)
    blocking = [f for f in report.findings if not f.passed and f.severity == "block"]
    asked += [_gate_question(finding, feed) for finding in blocking]
    return Looked(known, inspection, tuple(asked), tuple(notes), feed, batch, report)


def _inspection_of(known: dict[str, Any], home: Path) -> tuple[Inspection, list[str]]:
    """What the files are, with what they make plain added to the settings, and notes on that."""
    notes: list[str] = []
    ticks = known.get("source.columns.volume") == TICKS
    if ticks:
        del known["source.columns.volume"]
    refuse_nonsense(known)
    before, inspection = dict(known), _inspected(known, home)
    if fred.add_what_fred_means(known, inspection):
        notes.append(fred.NOTE)
    names = [name for file in inspection.files for name in file.header if TICKS[:4] in name.lower()]
    if ticks and names:
        known["source.columns.volume"] = names[0]
    told = _only_day_close(inspection)
    if told is not None:
        known |= told.settings
        notes.append(f"{told}.")
    if known != before:
        inspection = _inspected(known, home)
    _refuse_several_instruments(known, inspection)
    return inspection, notes


def _all_questions(known: Mapping[str, Any], inspection: Inspection, home: Path) -> list[Question]:
    """The questions, with those that come up once the first is answered as is likeliest."""
    asked = list(inspection.questions)
    if not asked or inspection.bars or not asked[0].options:
        return asked
    later = _inspected(with_option(known, asked[0].options[0]), home).questions
    settings = {question.setting for question in asked}
    return [*asked, *(question for question in later if question.setting not in settings)]


def _of_days(
    known: Mapping[str, Any], asked: list[Question], deployment: Settings, now: datetime
) -> tuple[Question, ...]:
    """What will be asked about the days once all else is answered as is likeliest."""
    settings = dict(known)
    for question in asked:
        if question.options:
            settings = with_option(settings, question.options[0])
    if "calendar" in known or settings == known:
        return ()
    try:
        found = _inspected(settings, deployment.home)
        if found.problems or not found.bars or found.attributes.get("frequency") != "1d":
            return ()
        if {question.setting for question in found.questions} - {"source.instrument"}:
            return ()
        feed = _feed(_nameless(found.attributes))
        return calendar_question(feed, fetch_bars(feed, deployment, now).bars)
    except FxAssetsError:
        return ()


def _judged(feed: FeedSpec, batch: Batch, now: datetime) -> GateReport:
    """The gate's verdict on a first load."""
    nothing = pd.DataFrame(columns=list(BAR_DTYPES)).astype(BAR_DTYPES)
    fresh = new_rows(nothing, batch.bars, now)
    return inspect(nothing, fresh, batch.rejected, feed, feed.market, now)


def _nameless(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with a stand-in for an instrument that nobody has named."""
    return {**attributes, "source": {"instrument": UNKNOWN, **attributes["source"]}}


def _refuse_several_instruments(settings: Mapping[str, Any], inspection: Inspection) -> None:
    if "source.instrument" in settings:
        return
    found = Counter(instrument_of([file.name]) for file in inspection.files)
    del found[UNKNOWN]
    if len(found) > 1:
        counts = ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))
        first = min(found)
        raise SourceError(
            f"The files are of several instruments: {counts}.",
            remedy=f"Import one at a time, such as fx-assets import '.../*{first}*'.",
        )


def named(looked: Looked, name: str, description: str, automatic: bool) -> FeedSpec:
    """The feed as it is declared."""
    attributes = {
        "name": name,
        "description": description,
        **looked.inspection.attributes,
        "automatic": automatic,
    }
    return _feed(attributes)


def _feed(attributes: Mapping[str, Any]) -> FeedSpec:
    try:
        return FeedSpec.model_validate({"name": "files", **attributes})
    except ValidationError as error:
        raise _explained(error) from None


def refuse_nonsense(settings: Mapping[str, Any]) -> None:
    """Find values that no file can mend, before any is read.

    Raises
    ------
    SpecError
        A setting has a value that it cannot have.
    """
    given = with_settings({"source": {"kind": "files", "instrument": "UNKNOWN"}}, settings)
    _feed({"calendar": "24x5" if "day_close" in given else "24x7", **given})


def _explained(error: ValidationError) -> SpecError:
    told = []
    for detail in error.errors():
        setting = ".".join(str(part) for part in detail["loc"] if part != "files")
        found = "" if isinstance(detail["input"], dict) else f" (found {detail['input']!r})"
        told.append(f"{setting or 'the feed'}: {complaint(detail)}{found}")
    first = str(error.errors()[0]["loc"][-1]) if error.errors()[0]["loc"] else ""
    return SpecError(
        "; ".join(told), remedy=f"Correct {flag_for(told[0].partition(':')[0]) if first else 'it'}."
    )


def _inspected(settings: Mapping[str, Any], home: Path) -> Inspection:
    try:
        return inspect_files(with_settings({"source": {}}, settings), home)
    except ValidationError as error:
        raise _explained(error) from None


def _only_day_close(inspection: Inspection) -> Option | None:
    """The one close of a day at which every bar closes; where more than one fits, it is asked."""
    if len(inspection.questions) != 1 or inspection.problems:
        return None
    (question,) = inspection.questions
    options = [option for option in question.options if set(option.settings) == {"day_close"}]
    return options[0] if question.setting == "day_close" and len(options) == 1 else None


def _gate_question(finding: Finding, feed: FeedSpec) -> Question:
    setting = f"gate.{finding.check}.severity"
    options = []
    days = _days_of(finding)
    if days and finding.count <= len(finding.examples):
        kept = sorted({*feed.gate.known_bad, *days})
        options.append(Option({"gate.known_bad": kept}, "keeps the bars of these days out"))
    what = {
        **dict.fromkeys(ROW_REASONS, "keeps these rows out and goes on"),
        "missing_days": "the gaps stay gaps",
    }.get(finding.check, "takes the bars as they are; predictions carry the warning")
    options.append(Option({setting: "warn"}, what))
    return Question(
        setting,
        f"The quality gate refuses these bars. {finding.check}: {finding.message}",
        "Correct the files, or say what to do with these rows.",
        tuple(options),
    )


def _days_of(finding: Finding) -> list[date]:
    days = sorted({example[:10] for example in finding.examples})
    if not days or len(days) > MOST_DAYS or finding.check in ("missing_days", "revisions"):
        return []
    try:
        return [date.fromisoformat(day) for day in days]
    except ValueError:
        return []


def with_option(settings: Mapping[str, Any], option: Option) -> dict[str, Any]:
    """The settings with one more answer; what it sets to nothing is left out."""
    merged = dict(settings)
    for name, value in option.settings.items():
        if name == "source.columns" and isinstance(value, Mapping):
            merged |= {f"{name}.{ours}": theirs for ours, theirs in value.items()}
        else:
            merged[name] = value
    return {name: value for name, value in merged.items() if value is not None}
