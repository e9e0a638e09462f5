"""Scores and decisions as the tables hold them; runs in the child."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from fx_assets.lake.reader import Reader
from fx_assets.registry.bundle_records import Manifest
from serving.schemas import Measure
from serving.tables import finite, numbers, texts


def records(reader: Reader, manifest: Manifest) -> tuple[list[dict[str, Any]], list[Measure]]:
    """Every decision, newest first, and the champion's walk-forward scores."""
    table = reader.read("decisions", manifest.forecast, ["sequence", "record"])
    return _decisions(table), backtest_measures(reader, manifest)


def backtest_measures(reader: Reader, manifest: Manifest) -> list[Measure]:
    """The newest walk-forward scores of the champion's recipe."""
    table = reader.read("scores", manifest.forecast)
    if table is None or not table.num_rows:
        return []
    mine = [
        i
        for i, (recipe, code) in enumerate(
            zip(texts(table, "recipe"), texts(table, "code_version"), strict=True)
        )
        if (recipe, code) == (manifest.recipe, manifest.code_version)
    ]
    newest = {name: i for i in mine for name in [table["metric"][i].as_py()]}
    columns = {
        name: numbers(table, name) for name in ("value", "lower", "upper", "n", "baseline_value")
    }
    return [
        Measure(
            metric=name,
            value=finite(columns["value"][i]),
            lower=finite(columns["lower"][i]),
            upper=finite(columns["upper"][i]),
            rows=int(columns["n"][i]),
            baseline=finite(columns["baseline_value"][i]),
        )
        for name, i in newest.items()
    ]


def _decisions(table: pa.Table | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    records: list[dict[str, Any]] = [msgspec.json.decode(text) for text in texts(table, "record")]
    return sorted(records, key=lambda record: -int(record["sequence"]))
