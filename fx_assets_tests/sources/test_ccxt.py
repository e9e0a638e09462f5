from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Wanted, fetch_bars
from fx_assets.sources.budget import RequestBudget
from fx_assets.sources.http import Patience
from fx_assets.specs import FeedSpec
from fx_assets.testing.vendors.answers import HTML, Answer, as_json, drip, endless, raw, reset
from fx_assets.testing.vendors.exchanges import BINANCE_BLOCKED, KRAKEN_TOO_MANY, Exchange, running
from fx_assets_tests.platform import Platform, failures

NOW = datetime(2024, 3, 10, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SYMBOLS = {
    "binance": "BTC/USDT",
    "coinbase": "BTC/USD",
    "coinbaseexchange": "BTC/USD",
    "kraken": "BTC/USD",
}


def seconds(instant: datetime) -> int:
    return int(instant.timestamp())


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with running(Exchange(now=seconds(NOW))) as found:
        yield found


@pytest.fixture(autouse=True)
def _own_limits_of_rate_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    import ccxt

    if "rate" not in request.node.name:
        monkeypatch.setattr(ccxt.Exchange, "throttle", lambda *_: None)


def feed(exchange: str = "binance", **changes: Any) -> FeedSpec:
    values = {
        "name": "btc",
        "source": {"kind": "ccxt", "exchange": exchange, "symbol": SYMBOLS.get(exchange, "A/B")},
        "calendar": "24x7",
        "frequency": "1h",
        "start": "2024-02-20",
    }
    return FeedSpec.model_validate({**values, **changes})


def settings(exchange: Exchange, **changes: Any) -> Settings:
    values = {
        "ccxt_url": exchange.url,
        "http_timeout_seconds": 5.0,
        "http_attempts": 3,
        "http_backoff_seconds": 0.005,
    }
    return Settings(**(values | changes))


def get(
    exchange: Exchange,
    name: str = "binance",
    wanted: Wanted | None = None,
    cache: Path | None = None,
    **changes: Any,
) -> Batch:
    return fetch_bars(feed(name, **changes), settings(exchange), NOW, cache, wanted)


def span(after: datetime, until: datetime = NOW) -> Wanted:
    return Wanted(((after, until),))


def failure(exchange: Exchange, name: str = "binance", **changes: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        get(exchange, name, **changes)
    return caught.value


@pytest.mark.parametrize("name", SYMBOLS)
def test_a_candle_becomes_the_bar_that_closes_where_it_ends(exchange: Exchange, name: str) -> None:
    exchange.silent = {seconds(datetime(2024, 3, 1, 5, tzinfo=UTC))}
    batch = get(exchange, name)
    bars = batch.bars.set_index("event_time")
    hours = pd.date_range("2024-02-20 01:00", "2024-03-10 12:00", freq="h", tz="UTC")
    assert list(bars.index) == list(hours)
    for close in hours[[0, 250, -1]]:
        opened = int(close.timestamp()) - 3600
        expected = exchange.candle(opened, 3600)
        found = np.asarray(bars.loc[close, ["open", "high", "low", "close", "volume"]], float)
        assert found == pytest.approx(expected, abs=0.05 if name == "kraken" else 1e-9)
    assert bars["volume"]["2024-03-01 06:00Z"] == 0
    assert (bars["source"] == f"ccxt-{name}").all()
    assert (bars["available_at"] == bars.index).all()
    assert bars["payload"].str.len().eq(64).all()
    assert batch.provenance.notes == ""
    assert batch.provenance.last_date == NOW.date()


def test_the_unfinished_candle_is_dropped_by_the_clock(exchange: Exchange) -> None:
    exchange.now += 10 * 3600
    bars = get(exchange, "kraken").bars
    assert bars["event_time"].max() == pd.Timestamp("2024-03-10 12:00Z")


def test_minutes_are_paged_until_the_span_is_covered_each_once(exchange: Exchange) -> None:
    after = NOW - timedelta(minutes=2500)
    bars = get(exchange, wanted=span(after), frequency="1min").bars
    assert len(bars) == 2500
    assert bars["event_time"].is_unique
    assert bars["payload"].nunique() == 3
    assert exchange.count("klines") == 3


@pytest.mark.parametrize("name", ["binance", "coinbase"])
def test_gaps_stay_gaps(exchange: Exchange, name: str) -> None:
    first, last = (datetime(2024, 3, 1, h, tzinfo=UTC) for h in (2, 9))
    exchange.holes = [(seconds(first), seconds(last))]
    times = get(exchange, name).bars["event_time"]
    hours = pd.date_range("2024-02-20 01:00", "2024-03-10 12:00", freq="h", tz="UTC")
    absent = hours.difference(pd.DatetimeIndex(times))
    assert list(absent) == list(pd.date_range(first + HOUR, last, freq="h"))


@pytest.mark.parametrize("name", ["binance", "coinbase", "coinbaseexchange"])
def test_a_symbol_that_was_listed_late_is_found_without_years_of_empty_pages(
    exchange: Exchange, name: str
) -> None:
    exchange.listed = seconds(datetime(2024, 3, 10, 6, 15, tzinfo=UTC))
    batch = get(exchange, name, frequency="1min", start="2023-01-01")
    first = batch.bars["event_time"].min()
    assert first == pd.Timestamp("2024-03-10 06:16Z")
    assert len(batch.bars) == 375
    assert len(exchange.asked) < 12
    assert "no candles of BTC/USD" in batch.provenance.notes
    assert "2023-01-01" in batch.provenance.notes


def test_an_outage_in_the_middle_of_minutes_is_leapt_over(exchange: Exchange) -> None:
    holes = [datetime(2024, 3, 1, 3, tzinfo=UTC), datetime(2024, 3, 8, 15, 20, tzinfo=UTC)]
    exchange.holes = [(seconds(holes[0]), seconds(holes[1]))]
    after = datetime(2024, 3, 1, tzinfo=UTC)
    bars = get(exchange, "coinbase", span(after), frequency="1min").bars
    expected = (NOW - after - (holes[1] - holes[0])) // timedelta(minutes=1)
    assert len(bars) == expected


def test_no_trade_at_all_is_an_empty_batch_that_says_so(exchange: Exchange) -> None:
    exchange.listed = seconds(NOW) + 1
    batch = get(exchange, "coinbase", frequency="5min")
    assert batch.bars.empty
    assert "coinbase has no candles of BTC/USD" in batch.provenance.notes


def test_what_kraken_no_longer_keeps_is_stated(exchange: Exchange) -> None:
    batch = get(exchange, "kraken", start="2023-01-01")
    assert len(batch.bars) == 719
    assert "newest 720 candles only" in batch.provenance.notes
    assert "2023-01-01" in batch.provenance.notes


def test_a_gap_that_kraken_no_longer_keeps_is_refused_without_asking(exchange: Exchange) -> None:
    old = datetime(2023, 5, 1, tzinfo=UTC)
    with pytest.raises(SourceError, match="newest 720") as caught:
        get(exchange, "kraken", span(old, old + 9 * HOUR))
    assert "files" in caught.value.remedy
    assert exchange.asked == []
    new = Wanted(((old, old + HOUR), (NOW - 5 * HOUR, NOW)))
    assert len(get(exchange, "kraken", new).bars) == 5


def test_gaps_and_new_bars_are_asked_for_with_as_few_candles_as_they_need(
    exchange: Exchange, tmp_path: Path
) -> None:
    old = datetime(2023, 5, 1, tzinfo=UTC)
    wanted = Wanted(((old, old + HOUR), (NOW - 6 * HOUR, NOW - 5 * HOUR), (NOW - 3 * HOUR, NOW)))
    first = get(exchange, wanted=wanted, cache=tmp_path, start="2023-01-01")
    asked = [address for address in exchange.asked if "klines" in address]
    assert [address.split("limit=")[1].split("&")[0] for address in asked] == ["1", "6"]
    assert len(first.bars) == 7
    again = get(exchange, wanted=wanted, cache=tmp_path, start="2023-01-01")
    pd.testing.assert_frame_equal(first.bars, again.bars)
    assert exchange.count("exchangeInfo") == 1


@pytest.mark.parametrize(
    "fault",
    [
        as_json({}, 500),
        raw(b"", 503),
        as_json({"code": -1003, "msg": "Too many requests."}, 429, Retry_After="0"),
        raw(b'[[1709251200000,"30000', declared=22),
        raw(b'[[1709251200000,"30000', declared=9000),
        reset,
    ],
    ids=["500", "503", "429", "cut JSON", "cut body", "reset"],
)
def test_a_passing_fault_is_survived(exchange: Exchange, fault: Answer) -> None:
    exchange.faults = [fault, fault] if fault is not reset else [fault]
    assert len(get(exchange).bars) == 468


def test_an_error_inside_http_200_is_a_reason_to_wait(exchange: Exchange) -> None:
    exchange.faults = [as_json(KRAKEN_TOO_MANY)]
    assert len(get(exchange, "kraken").bars) == 468
    exchange.faults = [as_json(KRAKEN_TOO_MANY)] * 9
    assert "Too many requests" in failure(exchange, "kraken").message
    assert len(exchange.faults) == 6


@pytest.mark.parametrize("fault", [as_json({}, 502), reset, raw(b"{", 200)])
def test_a_lasting_fault_ends_after_few_attempts_with_the_exchange_named(
    exchange: Exchange, fault: Answer
) -> None:
    exchange.faults = [fault] * 9
    error = failure(exchange)
    assert "binance" in error.message
    assert error.remedy
    assert len(exchange.faults) >= 6


def test_a_block_is_named_and_the_failover_is_asked(exchange: Exchange) -> None:
    exchange.faults = [as_json(BINANCE_BLOCKED, 451)]
    error = failure(exchange)
    assert "blocked from this location (HTTP 451)" in error.message
    assert "kraken" in error.remedy
    assert "binance" not in error.remedy
    exchange.faults = [as_json(BINANCE_BLOCKED, 451)]
    other = [{"kind": "ccxt", "exchange": "coinbase", "symbol": "BTC/USDT"}]
    with pytest.raises(SourceError, match=r"binance is blocked.*coinbase has no market BTC/USDT"):
        get(exchange, failover=other)
    exchange.faults = [as_json(BINANCE_BLOCKED, 451)]
    first = {"kind": "ccxt", "exchange": "coinbaseexchange", "symbol": "BTC/USD"}
    kraken = {"kind": "ccxt", "exchange": "kraken", "symbol": "BTC/USD"}
    batch = get(exchange, source=first, failover=[kraken])
    assert set(batch.bars["source"]) == {"ccxt-kraken"}
    assert "coinbaseexchange is blocked" in str(batch.provenance.fallback_reason)


@pytest.mark.parametrize(
    "fault",
    [
        as_json({"code": -1003}, 429, Retry_After="999"),
        as_json({"code": -1003}, 418, Retry_After="9999"),
        as_json({"code": -1003}, 418),
    ],
)
def test_a_long_wait_or_a_ban_is_not_sat_out(exchange: Exchange, fault: Answer) -> None:
    exchange.faults = [fault] * 3
    error = failure(exchange)
    assert "too many requests" in error.message
    assert len(exchange.faults) == 2


def test_a_page_of_html_is_no_answer(exchange: Exchange) -> None:
    exchange.faults = [raw(HTML)]
    assert "HTML page" in failure(exchange).message


@pytest.mark.parametrize(("fault", "said"), [(drip, "only"), (endless, "keeps sending")])
def test_an_answer_without_end_ends(
    exchange: Exchange, fault: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fx_assets.sources.exchange.MAX_BYTES", 5_000_000)
    monkeypatch.setattr("fx_assets.sources.http.PATIENCE", 0.1)
    exchange.faults = [fault]
    assert said in failure(exchange).message


def test_json_of_another_shape_is_an_error_not_bars(exchange: Exchange) -> None:
    for shape in ([["x"]], [[]], ["x"], [1], {"code": -1000, "msg": "An unknown error."}):
        exchange.faults = [as_json(shape)]
        assert "binance" in failure(exchange).message


def test_what_does_not_exist_is_answered_with_what_does(exchange: Exchange) -> None:
    def source(name: str, symbol: str) -> dict[str, Any]:
        return {"source": {"kind": "ccxt", "exchange": name, "symbol": symbol}}

    assert "binance" in failure(exchange, **source("binanc", "BTC/USDT")).remedy
    unknown = failure(exchange, **source("binance", "BTC/USD"))
    assert "no market BTC/USD" in unknown.message
    assert "BTC/USDT" in unknown.remedy
    error = failure(exchange, "coinbase", frequency="4h")
    assert "no candles of 4h" in error.message
    assert "1h, 2h, 6h" in error.remedy
    error = failure(exchange, frequency="1d", day_close="17:00 America/New_York")
    assert "midnight UTC" in error.message


def test_daily_candles_close_at_midnight(exchange: Exchange) -> None:
    bars = get(exchange, frequency="1d").bars
    assert list(bars["event_time"]) == list(pd.date_range("2024-02-21", "2024-03-10", tz="UTC"))


def test_a_cell_that_is_no_number_reaches_the_gate_as_absent(exchange: Exchange) -> None:
    opened = seconds(NOW) // 3600 * 3600 - 3600
    row = [opened * 1000, "n/a", "2.0", "0.5", "1.5", "3.0", opened * 1000, "1", 1, "1", "1", "0"]
    exchange.faults = [as_json([row])]
    bars = get(exchange, wanted=span(NOW - HOUR)).bars
    assert np.isnan(bars["open"].iloc[0])
    assert bars["close"].iloc[0] == 1.5


def test_the_exchanges_limit_of_rate_is_kept(exchange: Exchange) -> None:
    began = datetime.now(UTC)
    get(exchange, "kraken")  # the second request waits for 1.2 s
    assert datetime.now(UTC) - began > timedelta(seconds=1)


def test_requests_are_counted_in_a_budget_that_all_processes_share(
    exchange: Exchange, tmp_path: Path
) -> None:
    others = RequestBudget("ccxt_kraken", "60/minute", "", tmp_path)
    for _ in range(59):
        others.spend(Patience(0))
    kraken = feed("kraken")
    with pytest.raises(SourceError, match="budget of ccxt_kraken"):
        fetch_bars(kraken, settings(exchange, patience_seconds=1), NOW, tmp_path)
    assert exchange.count("AssetPairs") == 1
    assert exchange.count("OHLC") == 0


def test_an_exchange_that_is_asked_by_post_is_refused(exchange: Exchange) -> None:
    source = {"kind": "ccxt", "exchange": "hyperliquid", "symbol": "BTC/USDC:USDC"}
    assert "asked by POST" in failure(exchange, source=source).message


def test_a_machine_without_a_network_is_told_so_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    nowhere = Exchange(now=0, url="http://127.0.0.1:9")
    error = failure(nowhere)
    assert "binance's list of markets" in error.message
    assert len([r for r in caplog.records if "Trying again" in r.message]) == 1


def test_the_example_of_the_page_parses() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "ccxt.md").read_text()
    import yaml

    attributes = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["attributes"]
    spec = FeedSpec.model_validate(attributes)
    assert spec.source.kind == "ccxt"
    assert spec.failover
    assert json.loads(spec.model_dump_json())["frequency"] == "1h"


def test_runs_fetch_what_is_new_and_what_is_missing(
    exchange: Exchange, new_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The exchange's prices are drawn one by one: each bar tells of the last one, as none does.
    gate = {"missing_days": {"severity": "warn"}, "stale_close": {"severity": "warn"}}
    spec = feed("coinbase", start="2024-02-20", gate=gate)
    environment = {"FX_ASSETS_CCXT_URL": exchange.url}
    platform = Platform(new_folder(), monkeypatch, [spec], [], environment)
    hole = [datetime(2024, 3, 2, h, tzinfo=UTC) for h in (3, 5)]
    exchange.holes = [(seconds(hole[0]), seconds(hole[1]))]
    for later, holes in ((timedelta(), exchange.holes), (3 * HOUR, [])):
        exchange.holes, exchange.now = holes, seconds(NOW + later)
        platform.travel(NOW + later)
        asked = len(exchange.asked)
        result = platform.ingest("2024-02", "2024-03", feed="btc")
        assert result.success, failures(result)
        times = platform.lake.prices("btc")["event_time"]
        hours = pd.date_range(datetime(2024, 2, 20, 1, tzinfo=UTC), NOW + later, freq="h")
        assert len(hours.difference(pd.DatetimeIndex(times))) == (2 if holes else 0)
    candles = [address for address in exchange.asked[asked:] if "candles" in address]
    assert len(candles) == 1  # the gap and what is new lie within one page
