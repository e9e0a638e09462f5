"""Rows of before they said what they are about are adopted by what they and their bundles say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.errors import LakeError
from fx_assets.series.rows import About, Decided, SeriesRows
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    DRIFT,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    SCORES,
)

ABOUT = About("an-id", "eur", "EURUSD", "return", 1, "24x5|1h||0")
BUNDLE: dict[str, Any] = {
    "feed": "eur",
    "instrument": "EURUSD",
    "target": "return",
    "horizon": 1,
    "calendar": "24x5|1h||0",
    "recipe": "r1",
}
OTHERS = {
    "feed": "gbp",
    "instrument": "GBPUSD",
    "target": "volatility",
    "horizon": 5,
    "calendar": "24x7|1h||0",
}
START = datetime(2026, 1, 1, tzinfo=UTC)


class Files:
    def __init__(self, *bundles: dict[str, Any]) -> None:
        self._found = {f"bundles/f/{i}/manifest.json": b for i, b in enumerate(bundles, start=1)}

    def read_blob(self, path: str) -> bytes:
        if path not in self._found:
            raise LakeError("absent")
        return json.dumps(self._found[path]).encode()

    def list_blobs(self, prefix: str) -> list[str]:
        return [path for path in self._found if path.startswith(prefix)]


def rows(*bundles: dict[str, Any], decided: Sequence[Decided] = ()) -> SeriesRows:
    return SeriesRows(ABOUT, "f", Files(*bundles), lambda: decided)


def prediction(**changes: Any) -> dict[str, list[Any]]:
    said = {
        "instrument": "EURUSD",
        "kind": "return",
        "horizon": 1,
        "table_versions": '{"raw_prices/eur": 4}',
        "champion_version": "v1",
        **changes,
    }
    return {name: [value] for name, value in said.items()}


@given(st.sampled_from(["instrument", "kind", "horizon", "table_versions"]))
def test_a_prediction_that_contradicts_the_series_is_not_adopted(fact: str) -> None:
    other = {
        "instrument": "GBPUSD",
        "kind": "volatility",
        "horizon": 5,
        "table_versions": '{"raw_prices/gbp": 4}',
    }
    assert rows(BUNDLE).adopts(PREDICTIONS, prediction()) == [True]
    assert rows(BUNDLE).adopts(PREDICTIONS, prediction(**{fact: other[fact]})) == [False]


@pytest.mark.parametrize("fact", sorted(OTHERS))
def test_what_a_bundle_of_another_series_made_is_not_adopted(fact: str) -> None:
    told = rows(BUNDLE | {fact: OTHERS[fact]})
    assert told.adopts(PREDICTIONS, prediction()) == [False]
    assert told.adopts(OUTCOMES, {"champion_version": ["v1"]}) == [False]
    assert told.adopts(DECISIONS, {"version": [1], "recipe": ["r1"]}) == [False]
    for table in (BACKTEST, SCORES):
        assert told.adopts(table, {"recipe": ["r1", "r2"]}) == [False, False]


def test_what_a_bundle_of_the_series_made_is_adopted() -> None:
    told = rows(BUNDLE)
    assert told.adopts(OUTCOMES, {"champion_version": ["v1", "v1"]}) == [True, True]
    assert told.adopts(DECISIONS, {"version": [1.0, None], "recipe": ["r1", "r2"]}) == [True, True]
    assert told.adopts(BACKTEST, {"recipe": ["r1", "r2"]}) == [True, True]


def test_a_ledger_of_two_series_is_told_apart_by_its_bundles() -> None:
    told = rows(BUNDLE, BUNDLE | {"feed": "gbp", "instrument": "GBPUSD", "recipe": "r9"})
    assert told.adopts(DECISIONS, {"version": [1, 2], "recipe": ["r1", "r9"]}) == [True, False]
    assert told.adopts(BACKTEST, {"recipe": ["r1", "r9"]}) == [True, False]


def test_a_look_belongs_to_the_series_that_was_in_force() -> None:
    foreign = BUNDLE | {"target": "volatility"}
    day = timedelta(days=1)
    told = rows(BUNDLE, foreign, BUNDLE, decided=[
        (START, 1), (START + 2 * day, 2), (START + 4 * day, 3)
    ])  # fmt: skip
    looks = [START + day, START + 3 * day, START + 5 * day]
    for table in (DRIFT, PERFORMANCE):
        assert told.adopts(table, {"measured_at": looks}) == [True, False, True]


def test_a_bundle_that_says_its_series_is_taken_at_its_word() -> None:
    assert ABOUT.agrees(BUNDLE | {"series": "an-id", "calendar": "another spelling"})
    assert not ABOUT.agrees(BUNDLE | {"series": "another-id"})
