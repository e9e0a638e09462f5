"""``docs/data-contract.yaml`` is what the catalogue says, and its version tells what changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from fx_assets.tables import CATALOGUE, Column, Table
from fx_assets.testing.lakes import small_lake
from fx_assets_tests import data_contract as contract


def test_the_committed_contract_is_what_the_catalogue_says() -> None:
    present = contract.read()
    different = contract.changes(present["schema"], contract.tables())
    if different:
        version = contract.raised(present["version"], different[0].kind)
        listed = "\n".join(f"  {change.kind}: {change.text}" for change in different)
        pytest.fail(
            f"The tables differ from the data contract {present['version']}, which others rely "
            f"on:\n{listed}\nIf you mean it, run\n  {contract.COMMAND}\n"
            f"It writes version {version} of docs/data-contract.yaml; commit it, and tell readers "
            "in CHANGELOG.md. A column that is not to change for them stays, beside a new one.",
            pytrace=False,
        )
    assert contract.FILE.read_text("utf-8") == contract.as_yaml(contract.next_contract(present))


def test_each_version_is_of_its_tables_and_follows_the_one_before() -> None:
    present = contract.read()
    history = contract.history_of(present)
    assert history[-1]["version"] == present["version"]
    assert history[-1]["fingerprint"] == contract.fingerprint(present["schema"])
    assert history[0]["version"] == "1.0.0"
    for before, after in pairwise(history):
        possible = {contract.raised(before["version"], kind) for kind in contract.KINDS}
        assert after["version"] in possible
        assert after["fingerprint"] != before["fingerprint"]


def test_the_contract_is_valid_by_the_standards_schema() -> None:
    schema = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    validator = jsonschema.validators.validator_for(json.loads(schema))(json.loads(schema))
    assert [error.message for error in validator.iter_errors(contract.read())] == []
    wrong = contract.read()
    wrong["schema"][0]["properties"][0]["logicalType"] = "text"
    assert list(validator.iter_errors(wrong))


def first(change: Callable[[Table], Table]) -> list[Table]:
    """The catalogue with another first table."""
    return [change(CATALOGUE[0]), *CATALOGUE[1:]]


def with_columns(change: Callable[[tuple[Column, ...]], tuple[Column, ...]]) -> list[Table]:
    return first(lambda table: replace(table, columns=change(table.columns)))


NEW = Column("added", "float64", "something")


@pytest.mark.parametrize(
    ("catalogue", "version", "said"),
    [
        (with_columns(lambda found: (*found, NEW)), "1.1.0", "feed.raw_prices.added is new"),
        ([*CATALOGUE, replace(CATALOGUE[0], name="more")], "1.1.0", "feed.more is new"),
        (with_columns(lambda found: found[:-1]), "2.0.0", "feed.raw_prices.reading is gone"),
        (CATALOGUE[1:], "2.0.0", "feed.raw_prices is gone"),
        (
            with_columns(lambda found: (replace(found[0], dtype="object"), *found[1:])),
            "2.0.0",
            "feed.raw_prices.event_time was timestamp and is string",
        ),
        (
            with_columns(lambda found: (*found[:5], replace(found[5], unit="pips"), *found[6:])),
            "2.0.0",
            "feed.raw_prices.close was in 'of the quote' and is in 'pips'",
        ),
        (
            first(lambda table: replace(table, key=table.key[:-1])),
            "2.0.0",
            "feed.raw_prices was unique by event_time, available_at, close, reading and is by "
            "event_time, available_at, close",
        ),
        (
            with_columns(lambda found: (replace(found[0], name="moment"), *found[1:])),
            "2.0.0",
            "feed.raw_prices.event_time is gone",
        ),
        (
            with_columns(lambda found: (replace(found[0], meaning="other words"), *found[1:])),
            "1.0.1",
            "feed.raw_prices.event_time is said otherwise",
        ),
        (first(lambda table: replace(table, row="another")), "1.0.1", "said otherwise"),
        (list(CATALOGUE), "1.0.0", "the first"),
    ],
)
def test_what_breaks_readers_is_major_what_is_added_minor_and_words_a_patch(
    catalogue: list[Table], version: str, said: str
) -> None:
    present = contract.next_contract(None)
    following = contract.next_contract(present, catalogue)
    assert following["version"] == version
    assert said in contract.history_of(following)[-1]["change"]
    assert contract.next_contract(following, catalogue) == following


def test_tables_of_a_lake_keep_the_contract(tmp_path: Path) -> None:
    small_lake.make(tmp_path)
    promised = {
        table["physicalName"].split("/")[0]: {c["name"]: c for c in table["properties"]}
        for table in reversed(contract.read()["schema"])
        if not table["name"].startswith("universe.")
    }
    arrow = {"string": pa.string(), "double": pa.float64(), "long": pa.int64()}
    arrow |= {"boolean": pa.bool_(), "timestamp": pa.timestamp("us", tz="UTC")}
    seen = set()
    for log in tmp_path.glob("*/*/_delta_log"):
        table = log.parent.parent.name
        for field in pa.schema(DeltaTable(log.parent).schema().to_arrow()):
            kind = pa.field(field).type
            kind = pa.string() if kind in (pa.string_view(), pa.large_string()) else kind
            assert kind == arrow[promised[table][field.name]["physicalType"]], field
        seen.add(table)
    assert {"raw_prices", "prices", "predictions", "decisions"} <= seen
