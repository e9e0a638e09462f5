"""Tables whose rows are chained by hashes, so that nobody rewrites what was said unnoticed.

Each row carries its place in the table's chain, the hash of its content, and the hash of both with
that of the row before it. Rows that were there before their table had a chain carry none: what the
chain begins with is a hash of them all. The newest hash, the head, is published beside the table.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pydantic import AwareDatetime, Field, ValidationError

from fx_assets import clock
from fx_assets.errors import FxAssetsError
from fx_assets.faults import described
from fx_assets.lake.delta import Plan, Write, dataset_of, schema_of
from fx_assets.lake.writes import AtHand
from fx_assets.specs.base import Record
from fx_assets.tables import CHAIN_COLUMNS, CHAIN_HASH, CHAIN_POSITION

_log = logging.getLogger(__name__)
FOLDER = "heads"
_BATCH = 10_000
_NAMING = (
    *("instrument", "kind", "horizon", "candidate", "sequence", "decided_at"),
    *("event_time", "target_time"),
)
"""Columns by which a row is named to people, as far as its table has them."""


_Told = TypeVar("_Told", bound=Record)


class Blobs(Protocol):
    """Files below a lake's root, by path."""

    def read(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def write(self, path: str, data: bytes) -> str: ...


class Lost(Record):
    """A head that the chain no longer led to when a row was added."""

    position: int
    head: str
    noticed_at: AwareDatetime


class Head(Record):
    """The newest hash of a table's chain."""

    position: int
    """Of the row that it is of; as many rows are before it."""
    head: str
    committed_at: AwareDatetime
    lost: tuple[Lost, ...] = ()


class Early(Record):
    """The rows that were there before their table had a chain."""

    rows: dict[str, list[str]] = Field(default={})
    """What each is about, by the hash of its content."""

    @property
    def hashes(self) -> list[str]:
        """The hash of each row."""
        return [digest for digest, names in self.rows.items() for _ in names]


def head_path(table: str, name: str) -> str:
    """The file that holds a table's head."""
    return f"{FOLDER}/{table}/{name}.json"


def early_path(table: str, name: str) -> str:
    """The file that names the rows of before the chain."""
    return f"{FOLDER}/{table}/{name}.early.json"


def read_head(blobs: Blobs, table: str, name: str) -> Head | None:
    """The published head; ``None`` where there is none, or no readable one."""
    return _record(blobs, head_path(table, name), Head)


def read_early(blobs: Blobs, table: str, name: str) -> Early | None:
    """The rows of before the chain; ``None`` where there is no readable list of them."""
    return _record(blobs, early_path(table, name), Early)


def _record(blobs: Blobs, path: str, kind: type[_Told]) -> _Told | None:
    try:
        return kind.model_validate_json(blobs.read(path)) if blobs.exists(path) else None
    except ValidationError:
        return None


def content_hashes(rows: pa.Table) -> list[str]:
    """SHA-256 of the content of each row, in its canonical form.

    The form is text in UTF-8: of each column that has a value, in the order of their names, the
    name, ``=``, the number of bytes of the value, ``:``, the value, and a line feed. A text stands
    as it is, a whole number in decimal digits, an instant as microseconds since 1970 (UTC), yes and
    no as 1 and 0, and another number as the bits of its IEEE 754 double, read as a whole number in
    two's complement. Columns of the chain and those without a value are left out, so a column that
    is added later changes no hash.
    """
    names = sorted(set(rows.column_names) - set(CHAIN_COLUMNS))
    found: list[str] = []
    for start in range(0, rows.num_rows, _BATCH):
        part = rows.slice(start, _BATCH)
        fields = [_canonical(name, part[name].combine_chunks()) for name in names]
        texts = pc.binary_join_element_wise(*fields, pa.scalar(b"", pa.large_binary()))
        found += [hashlib.sha256(text.as_buffer()).hexdigest() for text in texts]
    return found


def _canonical(name: str, column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif pa.types.is_floating(column.type):
        column = column.cast(pa.float64()).view(pa.int64())
    value = column.cast(pa.string()).cast(pa.large_string()).cast(pa.large_binary())
    size = pc.binary_length(value).cast(pa.string()).cast(pa.large_string()).cast(pa.large_binary())
    parts = (f"{name}=".encode(), size, b":", value, b"\n")
    scalars = [p if isinstance(p, pa.Array) else pa.scalar(p, pa.large_binary()) for p in parts]
    joined = pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.large_binary()))
    return pc.fill_null(joined, pa.scalar(b"", pa.large_binary()))


def beginning(hashes: Sequence[str]) -> str:
    """What a chain begins with: SHA-256 of the hashes of rows of before it, sorted, in lines."""
    return _sha("".join(f"{digest}\n" for digest in sorted(hashes)))


def link(before: str, position: int, content: str) -> str:
    """A row's hash in the chain: SHA-256 of the one before, its position, its content, in lines."""
    return _sha(f"{before}\n{position}\n{content}\n")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def names_of(rows: pa.Table) -> list[str]:
    """What rows are about, for people."""
    there = [name for name in _NAMING if name in rows.column_names]
    values = zip(*(rows[name].to_pylist() for name in there), strict=True)
    return [
        ", ".join(f"{n} {_shown(v)}" for n, v in zip(there, row, strict=True)) for row in values
    ]


def _shown(value: object) -> str:
    return value.isoformat(" ", "minutes") if isinstance(value, datetime) else str(value)


class Chaining:
    """A plan whose added rows go on with their table's chain.

    Parameters
    ----------
    plan
        What is to be written.
    """

    def __init__(self, plan: Plan, blobs: Blobs, table: str, name: str, at_hand: AtHand) -> None:
        self._plan, self._blobs, self._where, self._at_hand = plan, blobs, (table, name), at_hand
        # Read before the table is opened: whatever is published by then is in it.
        self._published = read_head(blobs, table, name)
        self._made: Head | None = None

    def __call__(self, source: DeltaTable | None) -> Write | None:
        """The write, with its rows chained to those of this version."""
        write, self._made = self._plan(source), None
        if write is None or write.mode != "append" or not write.data.num_rows:
            return write
        position, head, known = self._tail(source)
        lost = self._lost(known)
        data = write.data.drop_columns([c for c in CHAIN_COLUMNS if c in write.data.column_names])
        contents, chained = content_hashes(data), []
        for number, content in enumerate(contents, position):
            head = link(head, number, content)
            chained.append(head)
        places = range(position, position + len(contents))
        for column, values in zip(CHAIN_COLUMNS, (places, contents, chained), strict=True):
            kind = pa.int64() if column == CHAIN_POSITION else pa.string()
            data = data.append_column(column, pa.array(values, kind))
        self._made = Head(position=places[-1], head=head, committed_at=clock.now(), lost=lost)
        return replace(write, data=data)

    def publish(self) -> None:
        """Write the head of what was committed; the next one makes up for one that failed."""
        if self._made is None:
            return
        try:
            content = self._made.model_dump_json(indent=1).encode()
            self._blobs.write(head_path(*self._where), content)
        except (FxAssetsError, OSError) as error:
            _log.warning("The head of %s/%s is not published: %s", *self._where, described(error))

    def _lost(self, known: dict[int, str]) -> tuple[Lost, ...]:
        before = self._published
        if before is None:
            return ()
        if known.get(before.position) == before.head:
            return before.lost
        lost = Lost(position=before.position, head=before.head, noticed_at=clock.now())
        return (*before.lost, lost)

    def _tail(self, source: DeltaTable | None) -> tuple[int, str, dict[int, str]]:
        """The next position, the hash that it follows, and all hashes by position."""
        if source is None:
            return 0, beginning([]), {}
        if CHAIN_HASH in schema_of(source).names:
            columns = [CHAIN_POSITION, CHAIN_HASH]
            links = self._at_hand(source, columns)
            if links is None:
                links = dataset_of(source).to_table(columns=columns).to_pandas()
            links = links[links[CHAIN_POSITION].notna()]
            if len(links):
                places = links[CHAIN_POSITION].astype("int64")
                known = dict(zip(places.tolist(), links[CHAIN_HASH].tolist(), strict=True))
                last = max(known)
                return last + 1, known[last], known
        early = dataset_of(source).to_table()
        hashes = content_hashes(early)
        rows: dict[str, list[str]] = {}
        for digest, name in zip(hashes, names_of(early), strict=True):
            rows.setdefault(digest, []).append(name)
        if rows:
            note = Early(rows=rows).model_dump_json().encode()
            self._blobs.write(early_path(*self._where), note)
        return len(hashes), beginning(hashes), {}
