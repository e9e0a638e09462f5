"""The first day that is predicted follows from what the first decision knew."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from fx_assets.calendars import calendar, instant_of
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.live import first_live_day, predictable_from
from fx_assets_tests.evaluation.helpers import forecast

KEYS = ("target", "24x5|1d||0", "24x7|1d||35", "24x5|1d|00:00 UTC|0", "24x7|1h||0", "24x5|4h||0")


def decision(known: datetime, *, made: timedelta, label: timedelta = timedelta()) -> Decision:
    times = {"decided_at": known + made, "data_as_of": known, "label_end": known - label}
    return Decision.model_construct(**times)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", KEYS)
def test_unset_it_is_the_newest_day_that_the_first_decision_knew(key: str) -> None:
    market = calendar(key)
    spec = forecast(live_from=None)
    for close in market.closes(date(2019, 12, 20), date(2020, 1, 15)):
        event_time = instant_of(close)
        known = market.publication(event_time)
        ledger = [
            decision(known, made=timedelta(days=900)),
            decision(known + timedelta(days=800), made=timedelta(days=101)),
        ]
        assert predictable_from(ledger) == known
        assert first_live_day(spec, ledger, market) == market.bar_day(event_time)
        # A revision was the newest that was known: the bar is not predicted from any more.
        later = [decision(known + timedelta(seconds=1), made=timedelta())]
        following = market.bar_day(market.next_close(event_time))
        assert first_live_day(spec, later, market) == following


def test_declared_it_is_what_is_declared() -> None:
    spec = forecast(live_from="2020-05-04")
    assert first_live_day(spec, [], calendar("target")) == date(2020, 5, 4)
    assert first_live_day(forecast(live_from=None), [], calendar("target")) is None
