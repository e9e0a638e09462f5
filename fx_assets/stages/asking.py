"""What one ingestion asks a provider for, and what of the answer it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd

from fx_assets.calendars import DAY, Calendar
from fx_assets.errors import GateError, SourceError
from fx_assets.specs import CheckRule, FeedSpec
from fx_assets.stages.readings import Change

RELOAD_TAG = "fx_assets/reload"
"""Tag of a run that reads again what is stored: all, or ``<first day>_<last day>``."""
ACCEPT_TAG = "fx_assets/accept_revisions"
"""Tag of a run in which a person accepts any number of revisions."""
ALL = "all"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Span:
    """Event times with ``start <= event_time < end`` (UTC)."""

    start: datetime
    end: datetime

    def of(self, bars: pd.DataFrame) -> pd.DataFrame:
        """The bars inside."""
        times = bars["event_time"]
        return bars[(times >= self.start) & (times < self.end)].reset_index(drop=True)


@dataclass(frozen=True)
class Asked:
    """What a run asks for.

    Parameters
    ----------
    span
        The bars that it takes.
    judged
        The window that a passed gate makes good.
    again
        Whether all of the span is asked for, stored or not.
    change
        Why the whole feed is read anew.
    accepts_revisions
        Whether a person accepts any number of revisions.
    """

    span: Span
    judged: Span
    again: bool = False
    change: Change | None = None
    accepts_revisions: bool = False

    @property
    def afresh(self) -> bool:
        """Whether the bars are judged as those of a first load: nothing stored means the same."""
        return self.change is not None and self.change.new_reading


def what_is_asked(
    spec: FeedSpec,
    window: Span,
    tags: Mapping[str, str],
    change: Change | None,
    now: datetime,
    *,
    stored: bool,
) -> Asked:
    """What a run over some partitions asks for.

    A changed reading, or an earlier start, asks for everything. A run that goes on to the present
    takes whatever older bars the provider sends beside the new ones, so that a correction of any
    age is noticed.
    """
    accepts = ACCEPT_TAG in tags
    everything = Span(_midnight(spec.start, spec.market), max(window.end, now + _TICK))
    if change is not None:
        judged = Span(min(window.start, everything.start), everything.end)
        return Asked(everything, judged, again=True, change=change, accepts_revisions=accepts)
    asked = tags.get(RELOAD_TAG)
    if asked == ALL:
        judged = Span(min(window.start, everything.start), everything.end)
        return Asked(everything, judged, again=True, accepts_revisions=accepts)
    if asked:
        first, last = (date.fromisoformat(day) for day in asked.split("_"))
        start, end = (_midnight(day, spec.market) + _TICK for day in (first, last + DAY))
        return Asked(Span(start, end), Span(start, end), again=True, accepts_revisions=accepts)
    reaches_now = stored and window.end > now
    return Asked(everything if reaches_now else window, window, accepts_revisions=accepts)


def judged_spec(spec: FeedSpec, asked: Asked) -> FeedSpec:
    """The feed with the gate that judges: a person's word lifts the limit of revisions."""
    if not asked.accepts_revisions:
        return spec
    rule = CheckRule(severity=spec.gate.revisions.severity, limit=float("inf"))
    return spec.model_copy(update={"gate": spec.gate.model_copy(update={"revisions": rule})})


def how_to_accept(spec: FeedSpec, revised: float, stored: int) -> str:
    """What a person does who has found many revisions right."""
    text = f"If they are right: fx-assets reload {spec.name} --accept-revisions"
    if revised <= stored / 2:
        return text
    return (
        f"If the provider has replaced its history: set edition: {spec.edition + 1} in the feed "
        f"{spec.name}, which reads it anew as a history of its own. If these are corrections that "
        "shall count from now on, and what was forecast before is judged by the bars of before: "
        f"fx-assets reload {spec.name} --accept-revisions"
    )


def source_away(spec: FeedSpec, change: Change, error: SourceError) -> SourceError:
    """Why a feed that has to be read anew could not be."""
    return SourceError(
        f"{spec.name} has been declared anew ({change.sentence}) and has to be read again from "
        f"{spec.start} on, which failed; its bars are as they were. {error.message}",
        remedy=f"{error.remedy} Then run: fx-assets reload {spec.name}.".strip(),
    )


def refused_anew(spec: FeedSpec, change: Change, reasons: str) -> GateError:
    """Why a feed that was read anew keeps its old reading."""
    return GateError(
        f"{spec.name} has been declared anew ({change.sentence}), and what was read so was "
        f"refused; its bars are as they were. {reasons}",
        remedy=(
            "Correct what is declared, or the gate's settings, and run: "
            f"fx-assets reload {spec.name}. Or declare it as it was."
        ),
    )


def _midnight(day: date, market: Calendar) -> datetime:
    return datetime.combine(day, time(), tzinfo=market.timezone).astimezone(UTC)
