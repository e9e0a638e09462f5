"""A feed's reading is what its bars mean, not where they lie."""

from __future__ import annotations

from typing import Any

import pytest

from fx_assets.specs import FeedSpec

FILES: dict[str, Any] = {
    "name": "f",
    "source": {"kind": "files", "path": "in/*.csv", "instrument": "EURUSD", "timezone": "UTC"},
    "calendar": "24x5",
}


def feed(source: dict[str, Any] | None = None, **changes: Any) -> FeedSpec:
    return FeedSpec.model_validate(
        {**FILES, **changes, "source": {**FILES["source"], **(source or {})}}
    )


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ({"timezone": "Europe/Athens"}, {}),
        ({"timezone": None}, {}),
        ({"stamp": "open"}, {}),
        ({"format": "metatrader4"}, {}),
        ({"columns": {"close": "Bid"}}, {}),
        ({"columns": {"close": "Bid", "open": "Ask"}}, {}),
        ({"date_format": "%d.%m.%Y"}, {}),
        ({"day_first": True}, {}),
        ({"day_first": False}, {}),
        ({"decimal": ","}, {}),
        ({"thousands": ","}, {}),
        ({"delimiter": ";"}, {}),
        ({"price_scale": 1000}, {}),
        ({"instrument": "EURGBP"}, {}),
        ({}, {"calendar": "24x7"}),
        ({}, {"frequency": "1h"}),
        ({}, {"day_close": "00:00 UTC"}),
        ({}, {"delay_minutes": 15}),
    ],
)
def test_what_changes_the_meaning_of_a_bar_changes_the_reading(
    source: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert feed(source, **changes).reading != feed().reading


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ({"path": "elsewhere/*.csv"}, {}),
        ({"columns": {}, "decimal": ".", "format": "auto"}, {}),
        ({}, {"start": "2020-01-01"}),
        ({}, {"name": "g", "description": "Another.", "owners": ["team:other"]}),
        ({}, {"gate": {"revisions": {"limit": 5}}, "ingest_cron": "0 1 * * *"}),
        ({}, {"failover": [{"kind": "twelve_data", "symbol": "EUR/USD"}]}),
        ({}, {"automatic": False, "freshness": {"grace_minutes": 5}}),
        ({}, {"day_close": "17:00 America/New_York", "delay_minutes": 0}),
    ],
)
def test_what_does_not_change_the_meaning_of_a_bar_leaves_the_reading(
    source: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert feed(source, **changes).reading == feed().reading


def test_each_provider_has_a_reading_of_its_own() -> None:
    sources: list[tuple[dict[str, Any], str]] = [
        ({"kind": "ecb", "quote": "USD"}, "target"),
        ({"kind": "ecb", "base": "GBP", "quote": "USD"}, "target"),
        ({"kind": "frankfurter", "quote": "USD"}, "target"),
        ({"kind": "twelve_data", "symbol": "EUR/USD"}, "24x5"),
        ({"kind": "coingecko", "coin": "bitcoin", "instrument": "BTCUSD"}, "24x7"),
        ({"kind": "ccxt", "exchange": "kraken", "symbol": "BTC/USD"}, "24x7"),
        ({"kind": "ccxt", "exchange": "coinbase", "symbol": "BTC/USD"}, "24x7"),
        ({"kind": "cryptocompare", "pair": "BTC-USD"}, "24x7"),
        ({"kind": "simulated"}, "24x7"),
        ({"kind": "simulated", "seed": 1}, "24x7"),
    ]
    specs = [
        FeedSpec.model_validate({"name": "f", "source": source, "calendar": market})
        for source, market in sources
    ]
    assert len({spec.reading for spec in specs}) == len(specs)
    no_stand_in = {"kind": "ecb", "quote": "USD", "fallback": False}
    assert FeedSpec.model_validate({"name": "f", "source": no_stand_in}).reading == specs[0].reading


def test_a_reading_is_the_same_in_every_process_and_says_its_facts() -> None:
    spec = feed({"columns": {"open": "O", "close": "C"}})
    assert spec.reading == "a77a3a9b5c2a25a3"
    assert spec.reading_facts == {
        "source.kind": "files",
        "source.instrument": "EURUSD",
        "source.timezone": "UTC",
        "source.columns": "close: C, open: O",
        "calendar": "24x5",
        "frequency": "1d",
        "day_close": "17:00 America/New_York",
        "delay_minutes": "0",
    }
