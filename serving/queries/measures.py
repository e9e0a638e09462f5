"""Scores and decisions as the tables hold them; runs in the child."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from fx_assets.bundles.records import Manifest
from fx_assets.evaluation.economic_figures import FIGURES
from fx_assets.lake.reader import Reader
from fx_assets.tables import DECISIONS, ECONOMICS, SCORES
from serving.queries.columns import finite, instant, instants, numbers, texts
from serving.queries.own_rows import own_rows
from serving.schemas import EarnedFigure, Economics, Measure


def records(reader: Reader, manifest: Manifest) -> tuple[list[dict[str, Any]], list[Measure]]:
    """Every decision, newest first, and the champion's walk-forward scores."""
    table = own_rows(reader, manifest, DECISIONS, ["sequence", "record"])
    return _decisions(table), backtest_measures(reader, manifest)


def backtest_measures(reader: Reader, manifest: Manifest) -> list[Measure]:
    """The newest walk-forward scores of the champion's recipe."""
    table = own_rows(reader, manifest, SCORES)
    if table is None:
        return []
    made_by = (manifest.recipe, manifest.code_version)
    recipes = zip(texts(table, "recipe"), texts(table, "code_version"), strict=True)
    mine = np.array([recipe == made_by for recipe in recipes], dtype=bool)
    table = table.filter(pa.array(mine))
    oldest_first = np.argsort(instants(table, "data_as_of"), kind="stable").tolist()
    newest = {table["metric"][i].as_py(): i for i in oldest_first}
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


def economics(reader: Reader, manifest: Manifest, strategy: str | None) -> Economics | None:
    """What the champion's strategy would have earned, as it was weighed last.

    Parameters
    ----------
    strategy
        Identifies the declared one, where that is known: what another would have earned is not
        told.
    """
    table = own_rows(reader, manifest, ECONOMICS)
    if table is None:
        return None
    recipes, at = texts(table, "recipe"), instants(table, "measured_at")
    mine = [i for i, recipe in enumerate(recipes) if recipe == manifest.recipe]
    if strategy is not None:
        weighed = texts(table, "strategy")
        mine = [i for i in mine if weighed[i] == strategy]
    if not mine:
        return None
    newest = max(at[i] for i in mine)
    mine = [i for i in mine if at[i] == newest]
    names, evidence = texts(table, "figure"), texts(table, "evidence")
    columns = {name: numbers(table, name) for name in ("value", "lower", "upper", "n")}

    def of(kind: str) -> list[EarnedFigure]:
        return [
            EarnedFigure(
                names[i],
                FIGURES[names[i]].title,
                FIGURES[names[i]].unit,
                value=finite(columns["value"][i]),
                lower=finite(columns["lower"][i]),
                upper=finite(columns["upper"][i]),
                rows=int(columns["n"][i]),
            )
            for i in mine
            if evidence[i] == kind and names[i] in FIGURES
        ]

    first = next((i for i in mine if evidence[i] == "backtest"), mine[0])
    return Economics(
        sentence=texts(table, "sentence")[first],
        measured_at=instant(newest),
        backtest=of("backtest"),
        live=of("live"),
    )


def _decisions(table: pa.Table | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    records: list[dict[str, Any]] = [msgspec.json.decode(text) for text in texts(table, "record")]
    return sorted(records, key=lambda record: -int(record["sequence"]))
