"""What every vendor's client does alike: keys, faults, limits, budgets."""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fx_assets.errors import SourceError, SpecError
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.sources.budget import RequestBudget
from fx_assets.sources.http import Patience
from fx_assets.specs.files import load_declared
from fx_assets.testing.vendors import answers
from fx_assets.testing.vendors import apis as vendors
from fx_assets.testing.vendors.answers import endless
from fx_assets.testing.vendors.apis import KEYS, VendorServer
from fx_assets_tests.sources.vendor_cases import NOW, feed, usual_server

VENDORS = ("twelve_data", "coingecko", "cryptocompare", "frankfurter")
KEYED = ("twelve_data", "coingecko", "cryptocompare")
PAGES = Path(__file__).parents[2] / "docs" / "sources"


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with usual_server() as running:
        yield running


def fetch(server: VendorServer, kind: str, folder: Path, **changes: Any) -> Batch:
    return fetch_bars(feed(kind), server.settings(**changes), NOW, folder)


def failure(server: VendorServer, kind: str, folder: Path, **changes: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch(server, kind, folder, **changes)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("kind", VENDORS)
def test_passing_faults_are_survived(server: VendorServer, tmp_path: Path, kind: str) -> None:
    whole = fetch(server, kind, tmp_path)
    assert len(whole.bars) > 28
    for faults in (
        (vendors.unavailable, vendors.truncated),
        (answers.reset, vendors.cut_off),
        (vendors.too_many, vendors.too_many),
    ):
        server.fault(kind, *faults)
        again = fetch(server, kind, tmp_path)
        pd.testing.assert_frame_equal(again.bars, whole.bars)
        assert again.provenance.sha256 == whole.provenance.sha256


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    ("fault", "said", "requests"),
    [
        (vendors.unavailable, "HTTP 503", 3),
        (vendors.truncated, "not whole JSON", 3),
        (vendors.html, "HTML page instead of JSON", 1),
        (vendors.blocked, "blocked from this location (HTTP 451)", 1),
        (vendors.too_many, "limits requests", 3),
        (answers.as_json([1, 2]), "another form", 1),
        (answers.as_json({"Data": 1, "rates": 1, "prices": 1}), "another form", 1),
    ],
)
def test_lasting_faults_say_what_was_expected_and_found(
    server: VendorServer, tmp_path: Path, kind: str, fault: Any, said: str, requests: int
) -> None:
    server.fault(kind, *[fault] * 5)
    error = failure(server, kind, tmp_path)
    assert said in error.message
    assert server.url in error.message or "requests" in said or "location" in said
    assert len(server.requests(kind)) == requests


def test_an_answer_that_drips_ends_at_the_deadline(server: VendorServer, tmp_path: Path) -> None:
    server.fault("twelve_data", *[answers.drip] * 3)
    error = failure(server, "twelve_data", tmp_path, http_timeout_seconds=0.3)
    assert "bytes arrived within 0.9 s" in error.message


def test_an_answer_without_end_is_cut_off(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.sources.vendor.MAX_BYTES", 2_000_000)
    server.fault("coingecko", endless)
    assert "keeps sending" in failure(server, "coingecko", tmp_path).message


@pytest.mark.parametrize("kind", KEYED)
def test_a_wrong_key_is_an_error_that_names_the_variable_and_where_to_get_one(
    server: VendorServer, tmp_path: Path, kind: str
) -> None:
    error = failure(server, kind, tmp_path, **{f"{kind}_key": "wrong-key-1234"})
    assert f"FX_ASSETS_{kind.upper()}_KEY is set" in error.message
    assert f"FX_ASSETS_{kind.upper()}_KEY" in error.remedy
    assert "https://" in error.remedy
    assert "(key)" in error.message, "the vendor echoes the key"
    assert "wrong-key-1234" not in str(error)
    assert len(server.requests(kind)) == 1


@pytest.mark.parametrize("kind", KEYED)
def test_keys_are_sent_in_a_header_and_shown_nowhere(
    server: VendorServer, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, settings = KEYS[kind], server.settings()
    echo = {"code": 400, "status": "error", "message": f"key {key} failed", "Err": f"key {key}"}
    server.fault(kind, answers.as_json(echo | {"error": f"bad {key}"}, 400))
    with pytest.raises(SourceError) as caught:
        fetch_bars(feed(kind), settings, NOW, tmp_path)
    server.fault(kind, answers.raw(b"", 302, Location=f"http://127.0.0.1:9/?key={key}"))
    with pytest.raises(SourceError, match="redirects to") as redirected:
        fetch_bars(feed(kind), settings, NOW, tmp_path)
    batch = fetch_bars(feed(kind), settings, NOW, tmp_path)
    told = [caplog.text, repr(settings), str(settings.model_dump()), str(batch)]
    told += [batch.provenance.model_dump_json(), batch.bars.to_csv(), batch.rejected.to_csv()]
    told += ["".join(traceback.format_exception(error.value)) for error in (caught, redirected)]
    told += [request.path + json.dumps(request.query) for request in server.asked]
    told += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert all(any(key in value for value in r.headers.values()) for r in server.requests(kind))
    assert not [text[:200] for text in told if key in text]


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(
    server: VendorServer, tmp_path: Path
) -> None:
    error = failure(server, "twelve_data", tmp_path, twelve_data_key="abc\ndéf")
    assert "FX_ASSETS_TWELVE_DATA_KEY" in error.message
    assert "abc" not in str(error)
    padded = fetch(server, "twelve_data", tmp_path, twelve_data_key=f" {KEYS['twelve_data']}\n")
    assert len(padded.bars)


def test_retry_after_is_waited_for_beyond_the_timeout(server: VendorServer, tmp_path: Path) -> None:
    server.fault("coingecko", vendors.too_many_for(1))
    fetch(server, "coingecko", tmp_path, http_timeout_seconds=0.8)
    first, second = server.requests("coingecko")[:2]
    assert second.at - first.at >= 1


@pytest.mark.parametrize("kind", VENDORS)
def test_a_wait_beyond_the_patience_is_an_error_that_says_until_when(
    server: VendorServer, tmp_path: Path, kind: str
) -> None:
    server.fault(kind, vendors.too_many_for(3_600))
    before = time.monotonic()
    error = failure(server, kind, tmp_path)
    assert time.monotonic() - before < 1
    said = error.message.split("wait until ")[1][:19]
    until = datetime.fromisoformat(said).replace(tzinfo=UTC)
    assert timedelta(minutes=58) < until - datetime.now(UTC) < timedelta(minutes=61)


def test_a_budget_is_shared_by_all_feeds_and_ends_with_when_to_try_again(
    server: VendorServer, tmp_path: Path
) -> None:
    limits = {"twelve_data_budget": "2/hour", "patience_seconds": 5}
    fetch(server, "twelve_data", tmp_path, **limits)
    other = feed("twelve_data", name="another")
    fetch_bars(other, server.settings(**limits), NOW, tmp_path)
    error = failure(server, "twelve_data", tmp_path, **limits)
    assert len(server.requests("twelve_data")) == 2
    assert "2/hour" in error.message
    assert "UTC" in error.message
    assert "FX_ASSETS_TWELVE_DATA_BUDGET" in error.remedy
    fetch(server, "cryptocompare", tmp_path, **limits)


def test_a_budget_is_waited_for_within_the_patience(tmp_path: Path) -> None:
    budget = RequestBudget("v", "2/second", "V_BUDGET", tmp_path)
    patience, began = Patience(5), time.monotonic()
    waited = sum(budget.spend(patience) for _ in range(3))
    assert 0.8 < time.monotonic() - began < 3
    assert waited == pytest.approx(5 - patience.left)


def spend_of_eight(folder: Path, spent: Any) -> None:
    for _ in range(6):
        try:
            RequestBudget("v", "8/hour", "V_BUDGET", folder).spend(Patience(1))
        except SourceError:
            continue
        with spent:
            spent.value += 1


def test_processes_count_in_one_budget(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    spent = fork.Value("i", 0)
    processes = [fork.Process(target=spend_of_eight, args=(tmp_path, spent)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert spent.value == 8


def test_a_folder_that_cannot_be_used_counts_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "budgets.sqlite").write_text("this is no database " * 100)
    for number, folder in enumerate((tmp_path / "file", tmp_path)):
        budget = RequestBudget(f"own{number}", "1/hour", "V_BUDGET", folder)
        assert budget.spend(Patience(0)) == 0
        with pytest.raises(SourceError, match="used up until"):
            budget.spend(Patience(0))
    assert "counted for this process only" in caplog.text


def test_budgets_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="FX_ASSETS_TWELVE_DATA_BUDGET"):
        Settings(twelve_data_budget="8 per minute")
    with pytest.raises(SourceError, match="contradicts itself"):
        RequestBudget("v", "8/minute;5/day", "V_BUDGET", tmp_path)


@pytest.mark.parametrize("kind", VENDORS)
def test_only_the_spans_that_are_wanted_come_back(
    server: VendorServer, tmp_path: Path, kind: str
) -> None:
    whole = fetch(server, kind, tmp_path).bars
    times = whole["event_time"].to_list()
    gap, new = (times[4], times[6]), (times[-3], NOW)
    asked = len(server.requests(kind))
    some = fetch_bars(feed(kind), server.settings(), NOW, tmp_path, Wanted((gap, new)))
    assert list(some.bars["event_time"]) == [*times[5:7], *times[-2:]]
    assert len(server.requests(kind)) == asked + 1, "one page reaches both"
    none = fetch_bars(feed(kind), server.settings(), NOW, tmp_path, Wanted(((times[-1], NOW),)))
    assert none.bars.empty
    assert list(none.bars.dtypes) == list(whole.dtypes)


def test_a_provider_that_is_down_is_replaced_and_the_rows_say_so(
    server: VendorServer, tmp_path: Path
) -> None:
    server.fault("cryptocompare", *[vendors.unavailable] * 3)
    failover = [{"kind": "coingecko", "coin": "bitcoin", "instrument": "BTCUSD"}]
    spec = feed("cryptocompare", failover=failover)
    batch = fetch_bars(spec, server.settings(), NOW, tmp_path)
    assert set(batch.bars["source"]) == {"coingecko"}
    assert "HTTP 503" in str(batch.provenance.fallback_reason)
    server.fault("cryptocompare", *[vendors.unavailable] * 3)
    server.fault("coingecko", vendors.blocked)
    with pytest.raises(SourceError, match="None of the 2 providers") as caught:
        fetch_bars(spec, server.settings(), NOW, tmp_path)
    assert "451" in caught.value.message


def test_a_provider_whose_key_is_missing_is_replaced(server: VendorServer, tmp_path: Path) -> None:
    spec = feed("frankfurter", failover=[{"kind": "twelve_data", "symbol": "EUR/USD"}])
    server.fault("frankfurter", vendors.blocked)
    with pytest.raises(SourceError, match="FX_ASSETS_TWELVE_DATA_KEY is not set"):
        fetch_bars(spec, server.settings(twelve_data_key=None), NOW, tmp_path)


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_every_example_of_the_pages_about_sources_parses(page: Path, tmp_path: Path) -> None:
    blocks = page.read_text().split("```yaml\n")[1:]
    assert blocks
    for number, block in enumerate(blocks):
        text = block.split("```")[0]
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "defs.yaml").write_text(text)
        declared = load_declared(folder)
        documents = [document for document in yaml.safe_load_all(text) if document]
        assert len(declared.feeds) + len(declared.forecasts) == len(documents)
