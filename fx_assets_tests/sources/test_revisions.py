from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.lake.bitemporal import as_known_at
from fx_assets.sources import new_rows
from fx_assets.testing.worlds import bars_from_closes, trading_days
from fx_assets_tests.examples import examples

NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
DAYS = trading_days(6, "2026-10-05")


def batch_of(closes: list[float | None]) -> pd.DataFrame:
    kept = [(day, close) for day, close in zip(DAYS, closes, strict=True) if close is not None]
    return bars_from_closes([day for day, _ in kept], [close for _, close in kept])  # type: ignore[arg-type]


def add(raw: pd.DataFrame, batch: pd.DataFrame, now: datetime) -> pd.DataFrame:
    return pd.concat([raw, new_rows(raw, batch, now)], ignore_index=True)


def test_a_first_batch_is_taken_as_it_is() -> None:
    batch = batch_of([1, 2, 3, 4, 5, 6])
    assert new_rows(batch.iloc[:0], batch, NOW).equals(batch)


def test_a_late_bar_keeps_its_publication_time() -> None:
    raw = batch_of([1, None, 3, 4, 5, 6])
    late = batch_of([1, 2, 3, 4, 5, 6]).assign(ingested_at=pd.Timestamp(NOW))
    added = new_rows(raw, late, NOW)
    assert added["close"].tolist() == [2]
    assert added["available_at"][0] == late["available_at"][1]
    assert added["ingested_at"][0] == pd.Timestamp(NOW)


def test_a_revision_is_known_from_now_on_and_not_before() -> None:
    raw = batch_of([1, 2, 3, 4, 5, 6])
    added = new_rows(raw, batch_of([1, 2, 9, 4, 5, 6]), NOW)
    assert added["close"].tolist() == [9]
    assert added["available_at"][0] == added["ingested_at"][0] == pd.Timestamp(NOW)
    both = pd.concat([raw, added], ignore_index=True)
    assert as_known_at(both, NOW - timedelta(seconds=1))["close"].tolist() == [1, 2, 3, 4, 5, 6]
    assert as_known_at(both, NOW)["close"].tolist() == [1, 2, 9, 4, 5, 6]


def test_a_value_that_comes_back_is_a_third_row_even_if_the_clock_stands_still() -> None:
    a, b = batch_of([1, 2, 3, 4, 5, 6]), batch_of([1, 2, 9, 4, 5, 6])
    for step in (timedelta(0), timedelta(days=1)):
        raw = a
        for i, batch in enumerate((b, a, a)):
            raw = add(raw, batch, NOW + i * step)
        third = raw[raw["event_time"] == a["event_time"][2]]
        assert third["close"].tolist() == [3, 9, 3]
        assert as_known_at(raw, NOW + 3 * step)["close"].tolist() == a["close"].tolist()


def test_another_payload_with_the_same_prices_adds_nothing() -> None:
    raw = batch_of([1, 2, 3, 4, 5, 6])
    again = raw.assign(payload="other", ingested_at=pd.Timestamp(NOW), source="else")
    assert new_rows(raw, again, NOW).empty


closes = st.lists(
    st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.0])),
    min_size=len(DAYS),
    max_size=len(DAYS),
)


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(closes, min_size=1, max_size=5), st.sampled_from([-1, 0, 1]))
def test_any_sequence_of_payloads_is_idempotent_and_ends_at_the_newest_values(
    payloads: list[list[float | None]], pace: int
) -> None:
    raw = batch_of([None] * len(DAYS))
    newest: dict[object, float] = {}
    for i, values in enumerate(payloads):
        now = NOW + timedelta(hours=pace * i)
        batch = batch_of(values)
        before = raw
        raw = add(raw, batch, now)
        assert new_rows(raw, batch, now).empty
        assert raw.iloc[: len(before)].equals(before)
        newest |= dict(zip(batch["event_time"], batch["close"], strict=True))
    known = as_known_at(raw, NOW + timedelta(days=1))
    assert dict(zip(known["event_time"], known["close"], strict=True)) == newest
