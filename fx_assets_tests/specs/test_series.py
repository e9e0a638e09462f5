"""A forecast's identity is what it is about, never its name."""

from __future__ import annotations

from typing import Any

from hypothesis import given, reject
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import Series, series_of

FEED: dict[str, Any] = {
    "name": "eur",
    "source": {"kind": "files", "path": "in/eur.csv", "instrument": "EURUSD", "timezone": "UTC"},
    "calendar": "24x5",
}
FORECAST: dict[str, Any] = {
    "name": "f",
    "feed": "eur",
    "target": {"kind": "volatility"},
    "candidates": ["ewma"],
}
ANOTHER: dict[str, list[dict[str, Any]]] = {
    "feed": [
        {"name": "gbp"},
        {"source": FEED["source"] | {"instrument": "GBPUSD"}},
        {"source": FEED["source"] | {"timezone": "Europe/Athens"}},
        {"source": FEED["source"] | {"price_scale": 100}},
        {"source": {"kind": "twelve_data", "symbol": "EUR/USD"}},
        {"calendar": "24x7"},
        {"day_close": "00:00 UTC"},
        {"delay_minutes": 30},
        {"frequency": "1h"},
    ],
    "forecast": [
        {"target": {"kind": "volatility", "horizon": 5}},
        {"target": {"kind": "return"}, "candidates": ["ridge"]},
        {"target": {"kind": "direction"}, "candidates": ["persistence"]},
    ],
}
THE_SAME: dict[str, list[dict[str, Any]]] = {
    "feed": [
        {"description": "Another."},
        {"source": FEED["source"] | {"path": "elsewhere/*.csv"}},
        {"failover": [{"kind": "twelve_data", "symbol": "EUR/USD"}]},
        {"start": "2015-01-01"},
        {"gate": {"revisions": {"limit": 5}}},
        {"automatic": False},
        {"owners": ["team:other"]},
        {"ingest_cron": "0 1 * * *"},
    ],
    "forecast": [
        {"name": "g"},
        {"description": "Another."},
        {"features": "ohlc"},
        {"candidates": ["garch", "har"]},
        {"walk_forward": {"refit_every": 21}},
        {"promotion": {"min_rows": 1000}},
        {"coverage": 0.8},
        {"live_from": "2020-01-01"},
        {"retrain_cron": "0 1 * * *"},
    ],
}


def of(feed: dict[str, Any], forecast: dict[str, Any]) -> Series:
    declared = FeedSpec.model_validate({**FEED, **feed})
    spec = {**FORECAST, "feed": declared.name, **forecast}
    return series_of(ForecastSpec.model_validate(spec), declared)


def some_of(changes: dict[str, list[dict[str, Any]]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {part: st.sampled_from([{}, *found]) for part, found in changes.items()}
    )


@given(another=some_of(ANOTHER), same=some_of(THE_SAME))
def test_a_series_changes_with_what_it_is_about_and_with_nothing_else(
    another: dict[str, Any], same: dict[str, Any]
) -> None:
    merged = {part: same[part] | another[part] for part in another}
    if "source" in same["feed"] and "source" in another["feed"]:
        merged["feed"]["source"] = another["feed"]["source"]
    try:
        found = of(**merged)
    except ValidationError:  # such as a stand-in for another instrument
        reject()
    assert (found.id == of({}, {}).id) == (not any(another.values()))


def test_every_change_makes_a_series_of_its_own() -> None:
    changed = [of({}, {})]
    changed += [of(change, {}) for change in ANOTHER["feed"]]
    changed += [of({}, change) for change in ANOTHER["forecast"]]
    assert len({series.id for series in changed}) == len(changed)
    assert {of(change, {}).id for change in THE_SAME["feed"]} == {changed[0].id}
    assert {of({}, change).id for change in THE_SAME["forecast"]} == {changed[0].id}


def test_moving_back_gives_the_former_series() -> None:
    assert of({}, {"target": {"kind": "volatility", "horizon": 1}}) == of({}, {})


def test_a_series_is_the_same_in_every_process_and_says_what_it_is_about() -> None:
    series = of({}, {})
    assert series.id == "01539393908e2663"
    assert series.sentence == (
        "volatility of EURUSD, 1 bar ahead, from the feed eur in the reading " + series.reading
    )


def test_recipes_that_are_in_ledgers_keep_their_hash() -> None:
    spec = ForecastSpec.model_validate(FORECAST)
    assert spec.recipe_hash(spec.baseline) == "7a521a2066b49bdc"
