"""Rows in JSON: records, lists, columns, tables by date, below keys, or an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from fx_assets.errors import SourceError
from fx_assets.sources.files.access import FileBytes
from fx_assets.sources.files.names import ALIASES, PRICES, folded, plain_name
from fx_assets.sources.files.questions import Asked, Option
from fx_assets.sources.files.tables import Table
from fx_assets.sources.files.texts import day_of_text
from fx_assets.specs.sources import FilesSource

_FORMS = (
    "a list of objects or of lists, an object of columns, an object by date, each of them also "
    "below keys, or an object a line"
)
_DEPTH = 6
_FEW_KEYS = 50
_POINTS = {"prices": "price", "market_caps": "market_cap", "total_volumes": "total_volume"}
_PRICE_NAMES = {alias for name in PRICES for alias in ALIASES[name]}
_TIME_NAMES = {*ALIASES["time"], *ALIASES["date"]}
_SHORTEST_EPOCH = 9


@dataclass(frozen=True)
class _Found:
    """A table somewhere in a document: its columns by name, below some keys."""

    path: tuple[str, ...]
    columns: dict[str, list[Any]]
    named: bool = True

    @property
    def priced(self) -> bool:
        """Whether its names, or that it has none, let it be prices."""
        names = {plain_name(name) for name in self.columns} | {folded(n) for n in self.columns}
        return not self.named or bool(names & _TIME_NAMES)


def from_json(file: FileBytes, text: bytes, source: FilesSource, asked: Asked) -> Table | None:
    """The rows of a JSON document; where it has several tables, it is asked which.

    Raises
    ------
    SourceError
        It is not JSON, or none of the forms that are read.
    """
    document = _document(file, text)
    if not document:
        return None
    found = list(_tables(document, ()))
    found = [table for table in found if table.priced] or found
    if not found:
        raise SourceError(
            f"{file.name} has no rows in a form that is read; it begins with "
            f"{' '.join(text[:200].decode('utf-8', 'replace').split())[:60]!r}.",
            remedy=f"Write {_FORMS}; or CSV.",
        )
    chosen = _chosen(file, found, source, asked)
    columns = {
        name: pa.array([_text_of(value) for value in values], pa.string())
        for name, values in chosen.columns.items()
    }
    cells = pa.table(columns)
    if not cells.num_rows:
        return None
    first = [str(cells[name][0].as_py()) for name in cells.column_names]
    line = ",".join(cells.column_names if chosen.named else first)
    return Table(file.name, file.sha256, cells, chosen.named, line[:200], zone=_zone_in(document))


def _zone_in(document: Any) -> str | None:
    """The zone that a document names beside its rows: ``"6. Time Zone": "US/Eastern"``."""
    if not isinstance(document, dict):
        return None
    for key, value in document.items():
        if isinstance(value, dict) and len(value) < _FEW_KEYS:
            found = _zone_in(value)
            if found:
                return found
        if plain_name(key) == "timezone" and isinstance(value, str):
            try:
                return str(ZoneInfo(value))
            except (KeyError, ValueError, OSError):
                return None
    return None


def _document(file: FileBytes, text: bytes) -> Any:
    words = text.decode("utf-8", "replace")
    try:
        return json.loads(words)
    except RecursionError:
        raise SourceError(
            f"{file.name} is nested too deeply to be a table.", remedy=f"Write {_FORMS}; or CSV."
        ) from None
    except ValueError as error:
        whole = error
    rows: list[Any] = []
    for number, line in enumerate(words.splitlines(), 1):
        try:
            if line.strip():
                rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            said = f"line {number}: {error}" if rows else str(whole)
            raise SourceError(
                f"{file.name} is not JSON: {said}.",
                remedy="Export the file again, or as CSV; it may be cut off.",
            ) from error
    return rows


def _chosen(file: FileBytes, found: list[_Found], source: FilesSource, asked: Asked) -> _Found:
    wanted = folded(source.symbol or source.instrument)
    own = [table for table in found if wanted in map(folded, table.path)]
    if own or len(found) == 1:
        return (own or found)[0]
    keys = [_telling(table, found) for table in found]
    if source.symbol:
        raise SourceError(
            f"{file.name} has no {source.symbol!r}; it has {', '.join(keys)}.",
            remedy="Correct source.symbol.",
        )
    asked.ask(
        "source.symbol",
        f"{file.name} has several tables, below the keys {', '.join(keys)}.",
        f"Say which: source.symbol: {keys[0]}.",
        tuple(Option({"source.symbol": key}) for key in keys),
    )
    return found[0]


def _telling(table: _Found, found: Sequence[_Found]) -> str:
    """The key of a table's path that no other table's path has."""
    others = {key for other in found if other is not table for key in other.path}
    return next((key for key in table.path if key not in others), "/".join(table.path))


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _tables(value: Any, path: tuple[str, ...]) -> Iterator[_Found]:
    if len(path) > _DEPTH or not value:
        return
    if isinstance(value, list):
        yield from _of_list(value, path)
    elif isinstance(value, dict):
        yield from _of_object(value, path)


def _of_list(value: list[Any], path: tuple[str, ...]) -> Iterator[_Found]:
    if all(isinstance(row, dict) for row in value):
        if len(value) == 1 and any(isinstance(v, list) for v in _leaves(value[0])):
            yield from _of_object(value[0], path)
        else:
            yield _Found(path, _records([_flat(row) for row in value]))
    elif all(isinstance(row, list) and row for row in value):
        if not all(_scalar(cell) for row in value for cell in row):
            return
        first, rest = value[0], value[1:]
        if rest and all(isinstance(c, str) and not c[:1].isdigit() for c in first):
            yield _Found(path, _rows([str(name) for name in first], rest))
        else:
            names = [str(i + 1) for i in range(max(map(len, value)))]
            yield _Found(path, _rows(names, value), named=False)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield inner
            yield from _leaves(inner)


def _of_object(value: dict[str, Any], path: tuple[str, ...]) -> Iterator[_Found]:
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list) and data:
        names = [name if isinstance(name, str) else str(name) for name in columns]
        rows = [row if isinstance(row, list) else [row] for row in data]
        split = _rows(names, rows)
        if isinstance(value.get("index"), list) and len(value["index"]) == len(rows):
            split = _indexed(value["index"], split)
        yield _Found(path, split)
        return
    points = _points(value)
    if points:
        yield _Found(path, points)
        return
    arrays = _arrays(value)
    if len(arrays) >= 2:
        yield _Found(path, arrays)
        return
    if all(_scalar(inner) for inner in value.values()):
        if _by_time(value):
            yield _Found(path, {"index": list(value), "close": list(value.values())})
        return
    inner = list(value.values())
    if all(isinstance(row, dict) and row for row in inner):
        flat = [_flat(row) for row in inner]
        if all(_scalar(cell) for row in flat for cell in row.values()):
            if _by_time(value):
                yield _Found(path, _indexed(list(value), _records(flat)))
                return
            if {plain_name(name) for name in value} & (_PRICE_NAMES | _TIME_NAMES):
                keys = list(dict.fromkeys(key for row in flat for key in row))
                turned = {
                    name: [row.get(k) for k in keys] for name, row in zip(value, flat, strict=True)
                }
                yield _Found(path, _indexed(keys, turned))
                return
    for key, below in value.items():
        yield from _tables(below, (*path, str(key)))


def _points(value: dict[str, Any]) -> dict[str, list[Any]]:
    """CoinGecko's answer: pairs of instant and value, below three keys."""
    prices = value.get("prices")
    if not isinstance(prices, list) or not prices:
        return {}
    if not all(isinstance(point, list) and len(point) == 2 for point in prices):
        return {}
    columns: dict[str, list[Any]] = {"snapped_at": [point[0] for point in prices]}
    for theirs, ours in _POINTS.items():
        series = value.get(theirs)
        pairs = (
            {point[0]: point[1] for point in series if len(point) == 2}
            if isinstance(series, list)
            else {}
        )
        columns[ours] = [pairs.get(instant) for instant in columns["snapped_at"]]
    return columns


def _arrays(value: Any) -> dict[str, list[Any]]:
    """Arrays of one length anywhere below an object, which are the columns of one table."""
    found: dict[str, list[Any]] = {}
    pending: list[tuple[str, Any]] = list(value.items())
    while pending:
        name, inner = pending.pop(0)
        if isinstance(inner, dict):
            pending.extend(inner.items())
        elif isinstance(inner, list) and len(inner) == 1 and isinstance(inner[0], dict):
            pending.extend(inner[0].items())
        elif isinstance(inner, list) and inner and all(map(_scalar, inner)):
            found.setdefault(name, inner)
    if not found:
        return {}
    lengths = [len(array) for array in found.values()]
    usual = max(set(lengths), key=lengths.count)
    return {name: array for name, array in found.items() if len(array) == usual}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A record whose objects are taken apart: ``{"mid": {"o": 1}}`` has ``mid.o``."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": v for inner, v in value.items() if _scalar(v)}
        elif _scalar(value):
            flat[str(name)] = value
    return flat


def _records(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _rows(names: list[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {
        name: [row[i] if i < len(row) else None for row in rows] for i, name in enumerate(names)
    }


def _indexed(index: Sequence[Any], columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns with their index, unless that only counts the rows."""
    counted = [str(i) for i in range(len(index))]
    if [str(key) for key in index] == counted:
        return columns
    return {"index": list(index), **columns}


def _by_time(value: dict[str, Any]) -> bool:
    """Whether the keys of an object are days or instants."""
    keys = [str(key) for key in value][:50]
    timed = [
        (key.isdigit() and len(key) >= _SHORTEST_EPOCH)
        or not np.isnat(day_of_text(key[:10].rstrip("T "), True))
        for key in keys
    ]
    return sum(timed) * 2 > len(keys)


def _text_of(value: object) -> str:
    return "" if value is None else str(value)
