"""When a schedule last came, as Dagster's own reading of it has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dagster._vendored.croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.specs.cron import WORDS, last_tick

MINUTES = st.sampled_from(["0", "10", "*/15", "5,35", "*"])
HOURS = st.sampled_from(["*", "18", "16,17,19", "8-17", "*/6"])
DAYS = st.sampled_from(["*", "1", "15,28", "L", "28,L", "10-12"])
MONTHS = st.sampled_from(["*", "2", "jan,JUL", "*/3"])
WEEKDAYS = st.sampled_from(["*", "6", "1-5", "0", "7", "sun", "MON,FRI"])
CRONS = st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS).map(" ".join)


@given(
    CRONS | st.sampled_from(sorted(WORDS)),
    st.datetimes(datetime(2015, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_last_tick_is_the_one_that_dagster_would_have_run(cron: str, now: datetime) -> None:
    later = now.replace(microsecond=0) + timedelta(seconds=1)
    expected = croniter(cron, later).get_prev(datetime)
    assert last_tick(cron, now, ZoneInfo("UTC")) == expected


@pytest.mark.parametrize(("day", "hour"), [("2026-01-10", 17), ("2026-07-11", 16)])
def test_ticks_follow_the_clock_of_their_zone(day: str, hour: int) -> None:
    now = datetime.fromisoformat(f"{day}T23:00+00:00")
    tick = last_tick("0 18 * * 6", now, ZoneInfo("Europe/Berlin"))
    assert tick == now.replace(hour=hour)
