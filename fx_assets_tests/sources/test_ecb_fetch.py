from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import ecb, ecb_files, fetch_bars
from fx_assets.sources.ecb import EcbClient
from fx_assets.specs import EcbSource, FeedSpec
from fx_assets.testing.vendors.ecb_server import (
    LOGIN_PAGE,
    EcbServer,
    daily_xml,
    ok,
    status,
    zipped,
)
from fx_assets.testing.worlds import ECB_ZIP

Build = Callable[..., Settings]
NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
HISTORY = "Date,USD,GBP,\n2026-11-04,1.12,0.84,\n2026-11-03,1.11,N/A,\n2026-11-02,1.1,0.8,\n"
NEWER = HISTORY.replace("\n2026-11-04", "\n2026-11-05,1.13,0.85,\n2026-11-04", 1)


def feed(base: str = "EUR", quote: str = "USD", **more: object) -> FeedSpec:
    source = EcbSource(kind="ecb", base=base, quote=quote, **more)  # type: ignore[arg-type]
    return FeedSpec(name="feed", source=source)


def bomb() -> bytes:
    return zipped(b"Date,USD,\n" + b"0" * (ecb_files.MAX_CSV_BYTES + 1))


def crowded() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(50):
            archive.writestr(f"{i}.txt", "")
        archive.writestr("a.csv", HISTORY)
    return buffer.getvalue()


WRONG: dict[str, tuple[bytes, str]] = {
    "an HTML error page": (LOGIN_PAGE, "HTML page titled 'Sign in to WiFi'"),
    "nothing": (b"", "found nothing"),
    "a truncated zip": (zipped(HISTORY)[:-40], "truncated zip"),
    "a zip cut in its data": (ECB_ZIP.read_bytes()[:300_000], "truncated zip"),
    "a zip bomb": (bomb(), "unpacks to more than 50,000,000 bytes"),
    "a zip of many files": (crowded(), "51 members"),
    "a zip without a CSV": (zipped(HISTORY, "readme.txt"), "1 members such as ['readme.txt']"),
    "another header": (zipped("Day,Rate\n2026-11-02,1.1\n"), "'Day,Rate'"),
    "a header of names": (zipped("Date,US dollar,\n2026-11-02,1.1,\n"), "US dollar"),
    "a currency twice": (zipped("Date,USD,USD,\n2026-11-02,1.1,1.2,\n"), "USD twice"),
    "an empty CSV": (zipped(""), "header like Date"),
    "a header only": (zipped("Date,USD,\n"), "0 broken rows"),
    "bytes that are not UTF-8": (zipped(b"Date,USD,\n2026-11-02,\xff\xfe,\n"), "utf-8"),
    "no dates": (zipped("Date,USD,\nMonday,1.1,\n"), "'Monday'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_payload_is_named_and_the_snapshot_stands_in(
    server: EcbServer, settings: Build, kind: str
) -> None:
    content, found = WRONG[kind]
    server.script("/hist.zip", ok(content))
    batch = fetch_bars(feed(), settings(), NOW, None)
    reason = batch.provenance.fallback_reason or ""
    assert found in reason
    assert f"{server.url}/hist.zip" in reason
    assert batch.provenance.provider == "ecb-snapshot"
    assert batch.provenance.last_date == batch.bars["event_time"].max().date()
    with pytest.raises(SourceError, match="What to do: "):
        fetch_bars(feed(fallback=False), settings(), NOW, None)


def test_history_and_the_newer_day_of_the_daily_file_are_joined(
    server: EcbServer, settings: Build
) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    server.script("/daily.xml", ok(daily_xml("2026-11-05", USD="1.13", SEK="11.2")))
    batch = fetch_bars(feed(), settings(), NOW, None)
    assert batch.bars["close"].tolist() == [1.1, 1.11, 1.12, 1.13]
    assert batch.provenance.provider == "ecb-live"
    assert batch.provenance.fallback_reason is None
    assert batch.provenance.last_date == date(2026, 11, 5)
    assert batch.provenance.sha256 == batch.bars["payload"][0] != batch.bars["payload"][3]
    assert batch.bars["payload"][3] in batch.provenance.notes
    pounds = fetch_bars(feed(quote="GBP"), settings(), NOW, None)
    assert len(pounds.bars) == 2
    assert len(fetch_bars(feed(quote="SEK"), settings(), NOW, None).bars) == 1


@pytest.mark.parametrize(
    "daily",
    [
        ok(daily_xml("2026-11-04", USD="9.9")),
        ok(LOGIN_PAGE),
        ok(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'),
        ok(daily_xml("04.11.2026", USD="1")),
        ok(daily_xml("2026-11-05")),
        ok(daily_xml("2026-11-05", Dollar="1")),
        ok(b"<a><b></a>"),
        status(500),
    ],
)
def test_a_daily_file_that_is_old_or_wrong_leaves_the_history_as_it_is(
    server: EcbServer, settings: Build, daily: object
) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    server.script("/daily.xml", daily)  # type: ignore[arg-type]
    batch = fetch_bars(feed(), settings(), NOW, None)
    assert batch.bars["close"].tolist() == [1.1, 1.11, 1.12]
    assert batch.provenance.provider == "ecb-live"


def test_a_failing_daily_file_is_noted(server: EcbServer, settings: Build) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    assert "HTTP 404" in fetch_bars(feed(), settings(), NOW, None).provenance.notes


def test_many_feeds_cause_one_download(server: EcbServer, settings: Build) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    server.script("/daily.xml", ok(daily_xml("2026-11-05", USD="1.13")))
    pairs = [("EUR", "USD"), ("EUR", "GBP"), ("GBP", "USD")] * 3
    with ThreadPoolExecutor(9) as pool:
        found = list(pool.map(lambda p: fetch_bars(feed(*p), settings(), NOW, None), pairs))
    assert len(found) == 9
    assert (server.count("/hist.zip"), server.count("/daily.xml")) == (1, 1)


def test_many_feeds_cause_one_failed_attempt(server: EcbServer, settings: Build) -> None:
    server.script("/hist.zip", status(500))
    for quote in ("USD", "GBP", "JPY"):
        reason = fetch_bars(feed(quote=quote), settings(), NOW, None).provenance.fallback_reason
        assert "HTTP 500" in (reason or "")
    assert server.count("/hist.zip") == 3


def test_an_unchanged_history_is_taken_from_the_cache(
    server: EcbServer, settings: Build, tmp_path: Path
) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY), '"v1"'))
    first = fetch_bars(feed(), settings(), NOW, tmp_path)
    ecb.forget()
    again = fetch_bars(feed(), settings(), NOW, tmp_path)
    assert (first.provenance.not_modified, again.provenance.not_modified) == (False, True)
    assert again.provenance.sha256 == first.provenance.sha256
    assert again.provenance.etag == '"v1"'
    assert again.bars.equals(first.bars)
    ecb.forget()
    server.script("/hist.zip", ok(zipped(NEWER), '"v2"'))
    assert len(fetch_bars(feed(), settings(), NOW, tmp_path).bars) == 4


def test_the_newest_stand_in_is_used_and_named(
    server: EcbServer, settings: Build, tmp_path: Path
) -> None:
    old = tmp_path / "old.zip"
    old.write_bytes(zipped(HISTORY))
    cache = tmp_path / "cache"
    server.script("/hist.zip", ok(zipped(NEWER)))
    fetch_bars(feed(), settings(ecb_snapshot=old), NOW, cache)
    server.script("/hist.zip", ok(LOGIN_PAGE))
    ecb.forget()
    cached = fetch_bars(feed(), settings(ecb_snapshot=old), NOW, cache)
    assert cached.provenance.provider == "ecb-cache"
    assert cached.provenance.last_date == date(2026, 11, 5)
    newest = tmp_path / "newest.zip"
    newest.write_bytes(zipped(NEWER.replace("2026-11-05", "2026-11-06")))
    packaged = fetch_bars(feed(), settings(ecb_snapshot=newest), NOW, cache)
    assert packaged.provenance.provider == "ecb-snapshot"
    assert packaged.provenance.url == str(newest)


def test_a_damaged_cache_counts_as_none(server: EcbServer, settings: Build, tmp_path: Path) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY), '"v1"'))
    fetch_bars(feed(), settings(), NOW, tmp_path)
    for path in tmp_path.glob("*.payload"):
        path.write_bytes(path.read_bytes()[:-1])
    ecb.forget()
    again = fetch_bars(feed(), settings(), NOW, tmp_path)
    assert not again.provenance.not_modified
    assert len(again.bars) == 3


def test_a_wrong_payload_never_replaces_the_last_good_one(
    server: EcbServer, settings: Build, tmp_path: Path
) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY), '"v1"'))
    fetch_bars(feed(), settings(), NOW, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    server.script("/hist.zip", ok(LOGIN_PAGE, '"v2"'))
    ecb.forget()
    fetch_bars(feed(), settings(), NOW, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_cache_folder_that_cannot_be_written_does_no_harm(
    server: EcbServer, settings: Build, tmp_path: Path
) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert len(fetch_bars(feed(), settings(), NOW, blocked).bars) == 3


def test_without_any_stand_in_the_error_names_both_causes(
    server: EcbServer, settings: Build, tmp_path: Path
) -> None:
    server.script("/hist.zip", status(403))
    missing = tmp_path / "missing.zip"
    with pytest.raises(SourceError) as caught:
        fetch_bars(feed(), settings(ecb_snapshot=missing), NOW, None)
    assert "HTTP 403" in str(caught.value)
    assert str(missing) in str(caught.value)
    assert "FX_ASSETS_ECB_SNAPSHOT" in caught.value.remedy


def test_without_a_network_three_feeds_are_served_within_three_seconds(settings: Build) -> None:
    import time

    started = time.monotonic()
    offline = settings(
        ecb_history_url="https://no-such-host.invalid/hist.zip", http_backoff_seconds=0.5
    )
    for pair in (("EUR", "USD"), ("EUR", "GBP"), ("GBP", "USD")):
        provenance = fetch_bars(feed(*pair), offline, NOW, None).provenance
        assert "could not be resolved" in (provenance.fallback_reason or "")
    assert time.monotonic() - started < 3


def test_the_client_reports_the_payload(server: EcbServer, settings: Build) -> None:
    server.script("/hist.zip", ok(zipped(HISTORY)))
    payload = EcbClient(settings()).fetch()
    assert payload.table.currencies == ("USD", "GBP")
    assert payload.last_date == date(2026, 11, 4)
