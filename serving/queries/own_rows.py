"""The rows that are about what the champion in service predicts; runs in the child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from fx_assets import tables
from fx_assets.bundles.records import Manifest
from fx_assets.lake.reader import Reader
from fx_assets.series.rows import ASKED, About, Decided, SeriesRows
from fx_assets.tables import SERIES_COLUMN, Table
from serving.blobs import Files
from serving.queries.columns import instant, instants, numbers, texts


def own_rows(
    reader: Reader, manifest: Manifest, table: Table, columns: Sequence[str] | None = None
) -> pa.Table | None:
    """The rows of the champion's series, those of before rows carried one first.

    Parameters
    ----------
    reader, manifest
        The lake, and the bundle in service.
    table
        The table.
    columns
        Those that are wanted; all where it is left out.

    Returns
    -------
    Table or None
        None where there is no such row.
    """
    wanted = None
    if columns is not None:
        wanted = list(dict.fromkeys((*columns, SERIES_COLUMN, *ASKED[table.name])))
    found = reader.read(table.name, manifest.forecast, wanted)
    if found is None or not found.num_rows:
        return None
    about = about_of(reader, manifest)
    carried = series_of(found)
    own = np.flatnonzero([one == about.id for one in carried])
    old = np.flatnonzero([one is None for one in carried])
    if len(old):
        part = found.take(pa.array(old))
        there, none = set(part.column_names), [None] * part.num_rows
        asked = {c: part[c].to_pylist() if c in there else none for c in ASKED[table.name]}
        rows = SeriesRows(
            about, manifest.forecast, Files(reader.location), lambda: _decided(reader, manifest)
        )
        adopted = np.array(rows.adopts(table, asked), dtype=bool)
        old = old[adopted]
        if table.newest:
            told = set(_subjects(table, found, own))
            keys = _subjects(table, found, old)
            old = old[np.array([key not in told for key in keys], dtype=bool)]
        own = np.concatenate([old, own])
    return found.take(pa.array(own)) if len(own) else None


def newest_rows(table: Table, rows: pa.Table) -> np.ndarray:
    """Indices of the newest row about each thing, by event time."""
    order = np.arange(rows.num_rows)
    for name in reversed(table.newest):
        if name in rows.column_names:
            order = order[np.argsort(instants(rows, name)[order], kind="stable")]
    last = dict(zip(_subjects(table, rows, order), order.tolist(), strict=True))
    kept = np.array(sorted(last.values()), dtype=np.int64)
    return kept[np.argsort(instants(rows, "event_time")[kept], kind="stable")]


def _subjects(table: Table, rows: pa.Table, chosen: np.ndarray) -> list[tuple[Any, ...]]:
    """What each of the chosen rows is about, as far as it is there."""
    there = [n for n in table.subject if n != SERIES_COLUMN and n in rows.column_names]
    part = rows.select(there).take(pa.array(chosen))
    return list(zip(*(part[name].to_pylist() for name in there), strict=True))


def about_of(reader: Reader, manifest: Manifest) -> About:
    """What a bundle is about.

    One that does not say it is of the series of what it has predicted since, else of the first
    with its facts.
    """
    about = About(
        id=manifest.series,
        feed=manifest.feed,
        instrument=manifest.instrument,
        kind=manifest.target,
        horizon=manifest.horizon,
        calendar=manifest.calendar,
    )
    if about.id:
        return about
    said = _said_by(reader, manifest)
    if said is not None:
        return replace(about, id=said)
    known = reader.read(tables.SERIES.name, manifest.forecast)
    if known is None:
        return about
    for i in np.argsort(instants(known, "first_seen"), kind="stable").tolist():
        row = {name: known[name][i].as_py() for name in known.column_names if name != "first_seen"}
        if about.agrees({**row, "target": row["kind"], "series": None}):
            return replace(about, id=row[SERIES_COLUMN])
    return about


def _said_by(reader: Reader, manifest: Manifest) -> str | None:
    columns = [SERIES_COLUMN, "champion_version"]
    issued = reader.read(tables.PREDICTIONS.name, manifest.forecast, columns)
    if issued is None or not issued.num_rows:
        return None
    versions, mine = texts(issued, "champion_version"), f"v{manifest.version}"
    carried = zip(series_of(issued), versions, strict=True)
    return next((one for one, version in carried if one and version == mine), None)


def series_of(found: pa.Table) -> list[str | None]:
    """The series that each row carries."""
    if SERIES_COLUMN not in found.column_names:
        return [None] * found.num_rows
    return texts(found, SERIES_COLUMN)  # type: ignore[return-value]


def _decided(reader: Reader, manifest: Manifest) -> list[Decided]:
    """The decisions that carry no series."""
    columns = [SERIES_COLUMN, "decided_at", "version"]
    ledger = reader.read(tables.DECISIONS.name, manifest.forecast, columns)
    if ledger is None:
        return []
    made, versions = instants(ledger, "decided_at"), numbers(ledger, "version")
    return [
        (instant(made[i]), None if np.isnan(versions[i]) else int(versions[i]))
        for i, one in enumerate(series_of(ledger))
        if one is None
    ]
