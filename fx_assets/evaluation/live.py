"""From when on a forecast predicts: from the first bar whose outcome no champion has seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from fx_assets.calendars import Calendar, instant_of, moment
from fx_assets.evaluation.decision import Decision
from fx_assets.specs import ForecastSpec

LONGEST_PAUSE = timedelta(days=15)
"""No calendar is without a bar for longer."""


def predictable_from(ledger: Sequence[Decision]) -> datetime | None:
    """The earliest decision time (UTC) for which there is a champion, ``None`` before the first.

    The first decision's champion predicts from the moment on at which all that it used was known.
    """
    if not ledger:
        return None
    first = min(decision.decided_at for decision in ledger)
    known = [max(d.label_end, d.data_as_of) for d in ledger if d.decided_at == first]
    return min(known)


def first_live_day(spec: ForecastSpec, ledger: Sequence[Decision], market: Calendar) -> date | None:
    """The first day of the market that is predicted from.

    It is ``live_from`` where that is declared. Otherwise it is the day of the newest bar that the
    first decision knew, which the ledger records for good, and ``None`` before that decision.
    """
    if spec.live_from is not None:
        return spec.live_from
    known = predictable_from(ledger)
    if known is None:
        return None
    day = market.day_of(known)
    closes = market.closes(day - LONGEST_PAUSE, day + LONGEST_PAUSE)
    later = closes[market.published(closes) >= moment(known)]
    return market.bar_day(instant_of(later[0]))
