"""The data contract: the catalogue of tables in the Open Data Contract Standard, with a version.

``python -m fx_assets_tests.data_contract`` writes ``docs/data-contract.yaml`` after a change of the
catalogue, under the version that the change asks for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fx_assets.tables import CATALOGUE, Column, Table

FILE = Path(__file__).parents[1] / "docs/data-contract.yaml"
COMMAND = "python -m fx_assets_tests.data_contract"
MAJOR, MINOR, PATCH = "major", "minor", "patch"
KINDS = MAJOR, MINOR, PATCH
TYPES = {
    "object": ("string", "string"),
    "float64": ("number", "double"),
    "int64": ("integer", "long"),
    "Int64": ("integer", "long"),
    "bool": ("boolean", "boolean"),
    "boolean": ("boolean", "boolean"),
    "datetime64[us, UTC]": ("timestamp", "timestamp"),
}
"""By pandas dtype the standard's type, and Delta's."""
PLACES = {
    "feed": "<feed>",
    "forecast": "<forecast>",
    "universe": "<universe>",
    "platform": "platform",
}


@dataclass(frozen=True)
class Change:
    """What differs between two contracts, and what it asks of the version."""

    kind: str
    text: str


def tables(catalogue: Sequence[Table] = CATALOGUE) -> list[dict[str, Any]]:
    """The part of the contract that is about tables."""
    return [_table(table) for table in catalogue]


def changes(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Change]:
    """What differs: what breaks a reader is major, what is new is minor, words are a patch."""
    old, new = ({table["name"]: table for table in each} for each in (before, after))
    found = [Change(MAJOR, f"{name} is gone") for name in old.keys() - new.keys()]
    found += [Change(MINOR, f"{name} is new") for name in new.keys() - old.keys()]
    for name in sorted(old.keys() & new.keys()):
        found += _changes_of(name, old[name], new[name])
    return sorted(found, key=lambda change: (KINDS.index(change.kind), change.text))


def raised(version: str, kind: str) -> str:
    """The version after a change of that kind."""
    major, minor, patch = map(int, version.split("."))
    numbers = {MAJOR: (major + 1, 0, 0), MINOR: (major, minor + 1, 0)}
    return ".".join(map(str, numbers.get(kind, (major, minor, patch + 1))))


def next_contract(
    present: Mapping[str, Any] | None, catalogue: Sequence[Table] = CATALOGUE
) -> dict[str, Any]:
    """The contract of a catalogue that follows the present one; the same where nothing differs."""
    wanted = tables(catalogue)
    if present is None:
        version, history = "1.0.0", [_entry("1.0.0", wanted, "the first")]
    else:
        different = changes(present["schema"], wanted)
        version, history = present["version"], list(history_of(present))
        if different:
            version = raised(version, different[0].kind)
            told = "; ".join(change.text for change in different)
            history.append(_entry(version, wanted, told))
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "fx-assets-tables",
        "name": "fx-assets tables",
        "version": version,
        "status": "active",
        "description": {
            "purpose": "What the tables of a lake hold, for whoever reads them.",
            "limitations": "Instants are UTC. A column that a table of an older release lacks is "
            "missing in all its rows. Prices are for information, not for transactions.",
            "usage": "Delta tables at <lake>/<physicalName>; docs/tables.md has it for people.",
        },
        "customProperties": [{"property": "history", "value": history}],
        "schema": wanted,
    }


def history_of(contract: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    """Every version with the fingerprint of its tables and what changed."""
    told = {one["property"]: one["value"] for one in contract["customProperties"]}
    found: Sequence[Mapping[str, str]] = told["history"]
    return found


def fingerprint(part: Sequence[Mapping[str, Any]]) -> str:
    """A short hash of the tables of a contract."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:8]


def read() -> dict[str, Any]:
    """The contract as it is committed."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


def as_yaml(contract: Mapping[str, Any]) -> str:
    """A line for each column, so that a difference is read at a glance."""
    text = _dump({key: value for key, value in contract.items() if key != "schema"})
    lines = [f"# Written by {COMMAND}.", text.rstrip(), "schema:"]
    for table in contract["schema"]:
        facts = _dump([{key: value for key, value in table.items() if key != "properties"}])
        lines += [facts.rstrip(), "  properties:"]
        lines += [
            "  - "
            + yaml.safe_dump(one, default_flow_style=True, sort_keys=False, width=10**9).strip()
            for one in table["properties"]
        ]
    return "\n".join(lines) + "\n"


def _dump(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, width=100))


def _entry(version: str, part: Sequence[Mapping[str, Any]], change: str) -> dict[str, str]:
    return {"version": version, "fingerprint": fingerprint(part), "change": change}


def _table(table: Table) -> dict[str, Any]:
    made_of = dict(table.lineage)
    return {
        "name": f"{table.owner}.{table.name}",
        "physicalName": f"{table.name}/{PLACES[table.owner]}",
        "physicalType": "table",
        "description": f"A row is {table.row}."
        + (f" Besides: {table.more}." if table.more else ""),
        "properties": [_column(table, column, made_of) for column in table.columns],
    }


def _column(table: Table, column: Column, made_of: Mapping[str, str]) -> dict[str, Any]:
    logical, physical = TYPES[column.dtype]
    found: dict[str, Any] = {
        "name": column.name,
        "logicalType": logical,
        "physicalType": physical,
        "description": column.meaning,
    }
    if column.name in table.key:
        found |= {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
    if column.name in made_of:
        found["transformSourceObjects"] = [made_of[column.name]]
    if column.unit:
        found["customProperties"] = [{"property": "unit", "value": column.unit}]
    return found


def _changes_of(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    before, after = ({c["name"]: c for c in table["properties"]} for table in (old, new))
    found = [Change(MAJOR, f"{name}.{c} is gone") for c in before.keys() - after.keys()]
    found += [Change(MINOR, f"{name}.{c} is new") for c in after.keys() - before.keys()]
    for column in sorted(before.keys() & after.keys()):
        was, becomes = before[column], after[column]
        for fact in ("logicalType", "physicalType"):
            if was[fact] != becomes[fact]:
                text = f"{name}.{column} was {was[fact]} and is {becomes[fact]}"
                found.append(Change(MAJOR, text))
                break
        else:
            if _unit(was) != _unit(becomes):
                text = f"{name}.{column} was in {_unit(was)!r} and is in {_unit(becomes)!r}"
                found.append(Change(MAJOR, text))
            elif was != becomes and _key(was) == _key(becomes):
                found.append(Change(PATCH, f"{name}.{column} is said otherwise"))
    keys = [[c["name"] for c in sorted(_keyed(table), key=_position)] for table in (old, new)]
    if keys[0] != keys[1]:
        was, becomes = (", ".join(key) for key in keys)
        found.append(Change(MAJOR, f"{name} was unique by {was} and is by {becomes}"))
    if old["physicalName"] != new["physicalName"]:
        text = f"{name} was at {old['physicalName']} and is at {new['physicalName']}"
        found.append(Change(MAJOR, text))
    elif {**old, "properties": 0} != {**new, "properties": 0}:
        found.append(Change(PATCH, f"{name} is said otherwise"))
    if not found and list(before) != list(after):
        found.append(Change(PATCH, f"{name} has its columns in another order"))
    return found


def _keyed(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [column for column in table["properties"] if column.get("primaryKey")]


def _position(column: Mapping[str, Any]) -> int:
    return int(column["primaryKeyPosition"])


def _key(column: Mapping[str, Any]) -> object:
    return column.get("primaryKeyPosition")


def _unit(column: Mapping[str, Any]) -> str:
    told = {one["property"]: one["value"] for one in column.get("customProperties", [])}
    return str(told.get("unit", ""))


def main() -> None:
    """Write the contract."""
    argparse.ArgumentParser(prog=COMMAND, description="Write docs/data-contract.yaml.").parse_args()
    present = read() if FILE.exists() else None
    FILE.write_text(as_yaml(next_contract(present)), "utf-8")


if __name__ == "__main__":
    main()
