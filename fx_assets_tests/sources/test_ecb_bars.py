from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.calendars import calendar
from fx_assets.errors import SourceError
from fx_assets.sources.bars import ParsedBars
from fx_assets.sources.ecb_bars import EcbPayload, bars
from fx_assets.sources.ecb_files import read_history
from fx_assets.specs import EcbSource
from fx_assets.specs.bars import BAR_DTYPES, REJECTED_DTYPES
from fx_assets.testing.vendors.ecb_server import zipped
from fx_assets.testing.worlds import ECB_ZIP, ecb_bars
from fx_assets_tests.examples import examples

TARGET = calendar("target")
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
START = date(1999, 1, 4)


def payload_of(content: bytes, machine_time: datetime = NOW) -> EcbPayload:
    table = read_history(content, "a test")
    return EcbPayload(
        table=table,
        provider="ecb-live",
        sha256=table.sha256,
        last_date=table.last_day,
        url="a test",
        fetched_at=NOW,
        machine_time=machine_time,
    )


def parse(
    text: str | bytes,
    base: str = "EUR",
    quote: str = "USD",
    *,
    start: date = START,
    now: datetime = NOW,
) -> ParsedBars:
    content = text if isinstance(text, bytes) else zipped(text)
    return bars(
        payload_of(content), EcbSource(kind="ecb", base=base, quote=quote), TARGET, start, now
    )


REAL = ECB_ZIP.read_bytes()


@pytest.mark.parametrize(("base", "quote"), [("EUR", "USD"), ("EUR", "ISK"), ("GBP", "USD")])
def test_the_real_history_gives_every_fixing(base: str, quote: str) -> None:
    parsed = parse(REAL, base, quote)
    truth = ecb_bars(base, quote)
    assert parsed.rejected.empty
    assert parsed.bars["event_time"].equals(truth["event_time"])
    assert parsed.bars["available_at"].equals(truth["available_at"])
    np.testing.assert_allclose(parsed.bars["close"], truth["close"], rtol=1e-15)
    assert {name: str(kind) for name, kind in parsed.bars.dtypes.items()} == BAR_DTYPES


def test_an_inverse_pair_is_one_over_the_rate() -> None:
    inverse, direct = parse(REAL, "USD", "EUR").bars, parse(REAL).bars
    assert (inverse["close"] == 1 / direct["close"]).all()


def test_a_gap_in_the_fixings_gives_no_rows() -> None:
    parsed = parse(REAL, quote="ISK")
    days = TARGET.day_index(parsed.bars["event_time"].dt.tz_convert("UTC").array)
    assert not ((days > "2008-12-10") & (days < "2018-02-01")).any()
    assert parsed.not_fixed == 2341


def test_a_currency_that_has_ended_says_so() -> None:
    assert "RUB has had no fixing since 2022-03-01" in parse(REAL, quote="RUB").notes
    assert parse(REAL).notes == ""


def test_a_currency_that_had_ended_before_the_start_is_refused_with_its_dates() -> None:
    with pytest.raises(SourceError) as caught:
        parse(REAL, quote="HRK", start=date(2023, 6, 1))
    assert "HRK from 2005-04-01 to 2022-12-30" in str(caught.value)
    assert "USD" in caught.value.remedy
    assert "RUB" not in caught.value.remedy


def test_a_currency_that_the_file_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(SourceError, match="no currency XAU") as caught:
        parse(REAL, quote="XAU")
    assert "CHF" in caught.value.remedy


def test_publication_moved_in_july_2016() -> None:
    frame = parse(REAL).bars.set_index("event_time")
    local = frame["available_at"].dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d %H:%M")
    assert {"2016-06-30 14:30", "2016-07-01 16:00"} <= set(local)


def test_the_order_of_the_rows_does_not_matter() -> None:
    newest_first = "Date,USD,\n2026-11-03,1.2,\n2026-11-02,1.1,\n"
    oldest_first = "Date, USD\r\n2026-11-02, 1.1\r\n2026-11-03, 1.2\r\n"
    assert parse(newest_first).bars["close"].tolist() == [1.1, 1.2]
    assert parse(oldest_first).bars["close"].tolist() == [1.1, 1.2]


@pytest.mark.parametrize(
    ("row", "check", "value"),
    [
        ("2026-11-03,0,0.8,", "non_positive", "0"),
        ("2026-11-03,-1.1,0.8,", "non_positive", "-1.1"),
        ("2026-11-03,1.1.1,0.8,", "schema_and_types", "1.1.1"),
        ("2026-11-03,nan,0.8,", "schema_and_types", "nan"),
        ("2026-11-03,1e999,0.8,", "schema_and_types", "1e999"),
        ("2026-11-03,1_0,0.8,", "schema_and_types", "1_0"),
        ("2026-13-03,1.1,0.8,", "schema_and_types", "2026-13-03"),
        ("2026-02-30,1.1,0.8,", "schema_and_types", "2026-02-30"),
        ("03/11/2026,1.1,0.8,", "schema_and_types", "03/11/2026"),
        ("2026-11-11,1.1,0.8,", "future_bars", "2026-11-11"),
        ("2099-01-05,1.1,0.8,", "future_bars", "2099-01-05"),
        ("2026-11-03,1.1", "schema_and_types", "2026-11-03,1.1"),
        ("2026-11-03,1.1,0.8,7,", "schema_and_types", "2026-11-03,1.1,0.8,7,"),
        ("2026-11-03,1.1,0.8,7", "schema_and_types", "2026-11-03,1.1,0.8,7"),
    ],
)
def test_a_row_that_is_no_bar_is_rejected_with_its_text(row: str, check: str, value: str) -> None:
    parsed = parse(f"Date,USD,GBP,\n{row}\n2026-11-02,1.1,0.8,\n")
    assert parsed.bars["close"].tolist() == [1.1]
    record = parsed.rejected.iloc[0]
    assert (len(parsed.rejected), record["check"], record["value"]) == (1, check, value)
    assert record["reason"]
    assert record["event_date"] == row.split(",")[0]
    assert {name: str(kind) for name, kind in parsed.rejected.dtypes.items()} == REJECTED_DTYPES


def test_a_bad_cell_matters_only_to_the_pairs_that_need_it() -> None:
    text = "Date,USD,GBP,\n2026-11-02,1.1,zero,\n"
    assert len(parse(text).bars) == 1
    assert parse(text, "GBP", "USD").rejected["column"].tolist() == ["GBP"]


def test_an_exact_repetition_counts_once_and_a_contradiction_not_at_all() -> None:
    text = (
        "Date,USD,\n2026-11-04,1.3,\n2026-11-04,1.3,\n2026-11-04,1.3,\n"
        "2026-11-03,1.2,\n2026-11-03,1.1,\n2026-11-02,1.1,\n"
    )
    parsed = parse(text)
    assert parsed.bars["close"].tolist() == [1.1, 1.3]
    assert parsed.repeated == 2
    assert parsed.rejected["value"].tolist() == ["1.2", "1.1"]
    assert set(parsed.rejected["check"]) == {"duplicates"}


def test_a_clock_that_is_set_back_sees_only_what_had_closed_by_then() -> None:
    noon = datetime(2015, 1, 15, 11, tzinfo=UTC)
    for now, last in ((noon, 14), (noon + timedelta(hours=5), 15)):
        parsed = parse(REAL, quote="CHF", now=now)
        assert TARGET.day_of(parsed.bars["event_time"].iloc[-1]) == date(2015, 1, last)
        assert parsed.rejected.empty
        assert parsed.not_yet_known > 2000


def test_days_before_the_start_are_left_out() -> None:
    parsed = parse(REAL, start=date(2026, 1, 1))
    assert parsed.outside + len(parsed.bars) == 7126
    assert parsed.bars["event_time"].min().year == 2026


cells = st.sampled_from(["1.1", "0.5", "N/A", "", "0", "-1", "x", "1e400", " 1.2 ", "NaN"])
dates = st.one_of(
    st.dates(date(2026, 10, 1), date(2026, 11, 20)).map(str),
    st.sampled_from(["2026-11-03", "2026-11-04", "2026-02-31", "soon", "2025-01-02", ""]),
)
rows = st.lists(
    st.one_of(
        st.tuples(dates, cells, cells).map(lambda c: ",".join([*c, ""])),
        st.sampled_from(["2026-11-03", "2026-11-03,1,2,3,4,5", "<html>", ",,,"]),
    ),
    max_size=25,
)


@settings(max_examples=examples(100), deadline=None)
@given(rows, st.sampled_from([("EUR", "USD"), ("GBP", "EUR"), ("USD", "GBP")]), st.booleans())
def test_no_row_is_dropped_silently(
    lines: list[str], pair: tuple[str, str], set_back: bool
) -> None:
    text = "\n".join(["Date,USD,GBP,", "2026-11-02,1.1,0.8,", *lines, ""])
    now = NOW - timedelta(days=5) if set_back else NOW
    parsed = parse(text, *pair, start=date(2026, 1, 1), now=now)
    rejected = len(parsed.rejected)
    placed = len(parsed.bars) + rejected + parsed.not_fixed + parsed.repeated
    assert placed + parsed.outside + parsed.not_yet_known == len(lines) + 1
    assert (parsed.rejected["reason"] != "").all()
    assert parsed.bars["event_time"].is_unique
    assert parsed.bars["event_time"].is_monotonic_increasing
    assert (parsed.bars["event_time"] <= now).all()
    assert (parsed.bars["close"] > 0).all()


@settings(max_examples=examples(80), deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_end_in_a_clear_error(content: bytes, in_zip: bool) -> None:
    with pytest.raises(SourceError):
        read_history(zipped(content) if in_zip else content, "a test")


@settings(max_examples=examples(80), deadline=None)
@given(st.integers(0, 399), st.integers(0, 255))
def test_a_flipped_byte_is_noticed_or_harmless(position: int, byte: int) -> None:
    text = "Date,USD,\n" + "\n".join(f"2026-10-{d:02},1.{d},x" for d in range(1, 31))
    content = bytearray(zipped(text))
    if content[position % len(content)] == byte:
        return
    content[position % len(content)] = byte
    try:
        table = read_history(bytes(content), "a test")
    except SourceError:
        return
    whole = read_history(zipped(text), "a test")
    assert (table.days == whole.days).all()
    assert (table.rates["USD"] == whole.rates["USD"]).all()
