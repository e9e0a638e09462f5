from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.errors import LakeError
from fx_assets.lake import Lake, as_known_at, known_rows
from fx_assets_tests.examples import examples

START = datetime(2020, 1, 1, tzinfo=UTC)
hours = st.integers(0, 40)
a_few = settings(max_examples=examples(60), deadline=None)


@st.composite
def bars(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.lists(st.tuples(hours, hours, hours, st.floats(0.5, 2)), max_size=12))
    frame = pd.DataFrame(rows, columns=["event_time", "available_at", "ingested_at", "close"])
    for column in ["event_time", "available_at", "ingested_at"]:
        moments = pd.Timestamp(START) + pd.to_timedelta(frame[column], unit="h")
        frame[column] = pd.to_datetime(moments, utc=True).dt.as_unit("us")
    frame["close"] = frame["close"].astype("float64")
    return frame


@a_few
@given(bars(), hours)
def test_nothing_that_became_available_later_is_used(raw: pd.DataFrame, hour: int) -> None:
    as_of = START + timedelta(hours=hour)
    assert (as_known_at(raw, as_of)["available_at"] <= as_of).all()
    assert len(known_rows(raw, as_of)) == (raw["available_at"] <= as_of).sum()


@a_few
@given(bars(), bars(), hours)
def test_rows_that_become_known_later_never_change_an_earlier_view(
    raw: pd.DataFrame, later: pd.DataFrame, hour: int
) -> None:
    as_of = START + timedelta(hours=hour)
    later = later[later["available_at"] > as_of]
    both = pd.concat([part for part in (later, raw) if len(part)] or [raw], ignore_index=True)
    pd.testing.assert_frame_equal(as_known_at(both, as_of), as_known_at(raw, as_of))


@a_few
@given(bars(), hours)
def test_each_event_time_has_its_newest_known_revision(raw: pd.DataFrame, hour: int) -> None:
    as_of = START + timedelta(hours=hour)
    view = as_known_at(raw, as_of)
    expected = {}
    for row in raw.itertuples():
        if row.available_at <= as_of:
            rank = (row.available_at, row.ingested_at)
            expected[row.event_time] = max(expected.get(row.event_time, rank), rank)
    found = dict(
        zip(
            view["event_time"],
            zip(view["available_at"], view["ingested_at"], strict=True),
            strict=True,
        )
    )
    assert found == expected
    assert view["event_time"].is_monotonic_increasing
    assert view["event_time"].is_unique
    assert list(view.index) == list(range(len(view)))


def revised() -> pd.DataFrame:
    day = pd.Timestamp("2020-01-02 14:15", tz="UTC")
    return pd.DataFrame(
        {
            "event_time": [day, day],
            "available_at": [day, day + pd.Timedelta(days=3)],
            "ingested_at": [day, day + pd.Timedelta(days=3)],
            "close": [1.1, 1.2],
        }
    )


def test_the_lake_answers_with_the_value_of_the_time(lake: Lake) -> None:
    lake.append("raw_prices", "ecb_eurusd", revised())
    before, after = datetime(2020, 1, 4, tzinfo=UTC), datetime(2020, 1, 6, tzinfo=UTC)
    assert list(lake.prices("ecb_eurusd", before)["close"]) == [1.1]
    assert list(lake.prices("ecb_eurusd", after)["close"]) == [1.2]
    assert list(lake.raw_prices("ecb_eurusd", after)["close"]) == [1.1, 1.2]


def test_without_a_moment_the_one_clock_decides(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append("raw_prices", "ecb_eurusd", revised())
    monkeypatch.setenv("FX_ASSETS_NOW", "2020-01-04T00:00:00+00:00")
    assert list(lake.prices("ecb_eurusd")["close"]) == [1.1]
    monkeypatch.delenv("FX_ASSETS_NOW")
    assert list(lake.prices("ecb_eurusd")["close"]) == [1.2]


def test_a_moment_without_time_zone_is_refused(lake: Lake) -> None:
    lake.append("raw_prices", "ecb_eurusd", revised())
    with pytest.raises(LakeError, match="no time zone"):
        lake.prices("ecb_eurusd", datetime(2020, 1, 4))  # noqa: DTZ001
