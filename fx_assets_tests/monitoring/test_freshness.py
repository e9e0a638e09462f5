"""A holiday is not an outage, a missed fixing is, and the cause is named."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from fx_assets.calendars import calendar
from fx_assets.monitoring.freshness import (
    FailedRun,
    Freshness,
    feed_freshness,
    panel_freshness,
    prediction_freshness,
    recovered,
)
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.watching import FreshnessRule
from fx_assets.testing import worlds

TARGET = calendar("target")
FEED = FeedSpec.model_validate(
    {"name": "eurusd", "source": {"kind": "ecb", "quote": "USD"}, "start": "2024-01-01"}
)
HOURLY = FeedSpec.model_validate(
    {
        "name": "btcusd",
        "source": {"kind": "ccxt", "exchange": "kraken", "symbol": "BTC/USD"},
        "calendar": "24x7",
        "frequency": "1h",
    }
)
FORECAST = ForecastSpec.model_validate(
    {
        "name": "direction",
        "feed": "eurusd",
        "target": {"kind": "direction"},
        "candidates": ["persistence"],
        "live_from": "2024-03-01",
    }
)
EMPTY = pd.DataFrame()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def prices(last: str) -> pd.DataFrame:
    return worlds.ecb_bars(first="2024-01-02", last=last)


def quality(checked: str, payload: str = "abc", refused: str = "") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "checked_at": pd.Timestamp(at(checked)),
            "check": ["jumps", "scale_errors"],
            "severity": ["warn", "block"],
            "passed": [False, not refused],
            "message": ["a jump", refused],
            "payload": payload,
        }
    )


def sources(reason: str | None = None, payload: str = "abc") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "provider": ["ecb-live" if reason is None else "ecb-snapshot"],
            "sha256": [payload],
            "last_date": [date(2024, 4, 9)],
            "fetched_at": [pd.Timestamp(at("2024-04-10 14:10"))],
            "fallback_reason": [reason],
        }
    )


REFUSED = quality("2024-04-10 15:00", refused="100 times too large")


def feed(
    now: str,
    last: str,
    checks: pd.DataFrame = EMPTY,
    log: pd.DataFrame = EMPTY,
    failed: FailedRun | None = None,
) -> Freshness:
    return feed_freshness(
        FEED,
        prices=prices(last) if last else EMPTY,
        quality=checks,
        sources=log,
        now=at(now),
        failed=failed,
    )


def test_good_friday_to_easter_monday_is_not_an_outage() -> None:
    for now in ("2024-03-29 20:00", "2024-03-31 12:00", "2024-04-01 21:00"):
        found = feed(now, "2024-03-28")
        assert (found.status, found.cause, found.missing) == ("fresh", "none", ())
    assert "Closed today: Easter Monday" in feed("2024-04-01 21:00", "2024-03-28").sentence
    assert feed("2024-04-02 20:00", "2024-03-28").missing == (TARGET.event_time(date(2024, 4, 2)),)


def test_a_bar_within_its_grace_is_waited_for() -> None:
    before = feed("2024-04-10 13:00", "2024-04-09", quality("2024-04-09 14:10"))
    waiting = feed("2024-04-10 15:00", "2024-04-09", quality("2024-04-09 14:10"))
    late = feed("2024-04-10 16:01", "2024-04-09", quality("2024-04-09 14:10"))
    assert [v.status for v in (before, waiting, late)] == ["fresh", "waiting", "stale"]
    assert before.next_due == waiting.next_due == at("2024-04-10 16:00")
    assert late.next_due == at("2024-04-11 16:00")


def test_of_many_instruments_no_bar_is_waited_for_that_is_older_than_the_newest() -> None:
    hours = pd.Series(pd.date_range("2024-04-10 12:00", periods=3, freq="h", tz="UTC"))
    for each, times in (
        (FEED, prices("2024-04-10")["event_time"].tail(3)),
        (HOURLY, hours.dt.as_unit("us")),
    ):
        newest = pd.Timestamp(max(times))
        known = pd.DataFrame([{"instrument": n, "event_time": t} for n in "AB" for t in times])
        found = panel_freshness(
            each, prices=known, quality=EMPTY, sources=EMPTY,
            now=(newest + pd.Timedelta(5, "min")).to_pydatetime(), most_missed=10,
        )  # fmt: skip
        assert found.status == "fresh", found.sentence


@pytest.mark.parametrize(
    ("cause", "checks", "log", "failed"),
    [
        ("schedule_off", EMPTY, EMPTY, None),
        ("schedule_off", quality("2024-04-09 14:10"), sources(), None),
        ("not_published", quality("2024-04-10 15:00"), sources(), None),
        ("source_down", quality("2024-04-10 15:00"), sources("live: timed out"), None),
        (
            "gate_failed",
            REFUSED,
            sources(),
            None,
        ),
        (
            "source_down",
            quality("2024-04-09 14:10"),
            sources(),
            FailedRun(at("2024-04-10 14:11"), "SourceError: connection refused"),
        ),
    ],
)
def test_a_missed_fixing_is_an_outage_with_a_cause(
    cause: str, checks: pd.DataFrame, log: pd.DataFrame, failed: FailedRun | None
) -> None:
    found = feed("2024-04-10 18:00", "2024-04-09", checks, log, failed)
    assert found.alarm
    assert (found.cause, found.missing) == (cause, (TARGET.event_time(date(2024, 4, 10)),))
    assert "2024-04-10" in found.sentence
    for said in ("timed out", "100 times too large", "connection refused"):
        named = said in str(checks) + str(log) + str(failed)
        assert (said in found.sentence) == named


@pytest.mark.parametrize(
    ("rule", "now", "severe"),
    [
        ({"error_bars": 2}, "2024-04-11 15:59", False),
        ({"error_bars": 2}, "2024-04-11 16:01", True),
        ({"error_bars": 1}, "2024-04-10 16:01", False),
        ({"error_bars": 1}, "2024-04-10 18:01", True),
        ({"error_bars": 3}, "2024-04-11 18:01", False),
        ({"error_bars": 3}, "2024-04-12 16:01", True),
        ({}, "2024-05-10 16:01", False),
    ],
)
def test_data_of_twice_the_age_that_it_may_have_is_an_error_as_the_feed_says(
    rule: dict[str, int | None], now: str, severe: bool
) -> None:
    spec = FEED.model_copy(update={"freshness": FreshnessRule.model_validate(rule)})
    found = feed_freshness(
        spec, prices=prices("2024-04-09"), quality=EMPTY, sources=EMPTY, now=at(now)
    )
    assert found.severe == severe


def test_the_first_bars_after_a_weekend_and_a_hole_in_the_past_are_no_error() -> None:
    assert not feed("2024-04-08 16:01", "2024-04-05").severe
    stored = prices("2024-04-09")
    holey = stored.drop(stored.index[[10, 11, 12]])
    found = feed_freshness(
        FEED, prices=holey, quality=EMPTY, sources=EMPTY, now=at("2024-04-10 12:00")
    )
    assert (found.alarm, found.behind, found.severe) == (True, 0, False)


def test_a_failure_that_a_later_run_repaired_is_not_the_cause() -> None:
    old = FailedRun(at("2024-04-08 14:11"), "down")
    found = feed("2024-04-10 18:00", "2024-04-09", quality("2024-04-10 15:00"), sources(), old)
    assert found.cause == "not_published"


def test_complete_prices_from_a_fallback_say_so_without_an_alarm() -> None:
    found = feed("2024-04-10 18:00", "2024-04-10", quality("2024-04-10 15:00"), sources("blocked"))
    assert (found.status, found.cause) == ("fresh", "fallback_in_use")
    assert "blocked" in found.sentence


def test_a_hole_in_the_middle_is_missing() -> None:
    bars = prices("2024-04-10")
    days = TARGET.day_index(pd.DatetimeIndex(bars["event_time"]))
    found = feed_freshness(
        FEED,
        prices=bars[days != pd.Timestamp("2024-03-05")],
        quality=EMPTY,
        sources=EMPTY,
        now=at("2024-04-10 18:00"),
    )
    assert found.missing == (TARGET.event_time(date(2024, 3, 5)),)


def test_an_outage_has_one_key_from_its_first_day_to_its_end_and_recovers() -> None:
    first, later = feed("2024-04-10 18:00", "2024-04-09"), feed("2024-04-12 18:00", "2024-04-09")
    assert first.key == later.key
    assert len(later.missing) == 3
    over = feed("2024-04-12 19:00", "2024-04-12", quality("2024-04-12 15:00"), sources())
    assert "2024-04-10 to 2024-04-12" in str(recovered(later, over))
    assert recovered(over, over) is None
    assert recovered(first, later) is None
    assert recovered(None, over) is None


def predictions(last: str) -> pd.DataFrame:
    days = TARGET.open_days(date(2024, 3, 1), date.fromisoformat(last))
    return pd.DataFrame({"event_time": [pd.Timestamp(TARGET.event_time(day)) for day in days]})


@pytest.mark.parametrize(
    ("cause", "bars_to", "champion", "failed"),
    [
        ("feed_stale", "2024-04-09", True, None),
        ("schedule_off", "2024-04-10", True, None),
        ("no_champion", "2024-04-10", False, None),
        ("run_failed", "2024-04-10", True, FailedRun(at("2024-04-10 15:00"), "disk is full")),
    ],
)
def test_a_missing_prediction_has_a_cause(
    cause: str, bars_to: str, champion: bool, failed: FailedRun | None
) -> None:
    found = prediction_freshness(
        FORECAST.name,
        TARGET,
        live_from=FORECAST.live_from,
        predictions=predictions("2024-04-09"),
        feed=feed("2024-04-10 18:00", bars_to),
        has_champion=champion,
        now=at("2024-04-10 18:00"),
        failed=failed,
    )
    missing = (TARGET.event_time(date(2024, 4, 10)),)
    assert (found.status, found.cause, found.missing) == ("stale", cause, missing)


def test_predictions_are_due_from_the_first_live_day_only() -> None:
    found = prediction_freshness(
        FORECAST.name,
        TARGET,
        live_from=FORECAST.live_from,
        predictions=predictions("2024-04-10"),
        feed=feed("2024-04-10 18:00", "2024-04-10"),
        has_champion=True,
        now=at("2024-04-10 18:00"),
    )
    assert (found.status, found.newest) == ("fresh", TARGET.event_time(date(2024, 4, 10)))
    assert Freshness.model_validate_json(found.model_dump_json()) == found


def test_without_a_declared_first_day_the_newest_bar_lacks_its_prediction() -> None:
    now = "2024-04-11 18:00"
    verdict = prediction_freshness(
        FORECAST.name,
        TARGET,
        predictions=EMPTY,
        feed=feed(now, "2024-04-11", quality("2024-04-11 15:00")),
        has_champion=False,
        now=at(now),
    )
    assert verdict.cause == "no_champion"
    assert verdict.missing_span == "2024-04-11"
