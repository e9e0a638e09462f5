"""Whether the rows of a chained table are what was written, and which are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
from pydantic import Field

from fx_assets.lake.chain import Early, Head, beginning, content_hashes, link, names_of
from fx_assets.specs.base import Record
from fx_assets.tables import CHAIN_COLUMNS, CHAIN_POSITION


class Verified(Record):
    """What was found of a table's chain."""

    table: str
    name: str
    rows: int
    chained: int
    """Rows that carry a hash of their own."""
    head: str | None
    """The newest hash; ``None`` where no row carries one."""
    findings: tuple[str, ...] = ()
    """What is not as it was written; empty where all is."""
    known: dict[str, str] = Field(default={})
    """The row of each hash in the chain, for people."""


class _Row(NamedTuple):
    place: int
    content: str
    chained: str
    computed: str
    """What its content gives."""
    name: str

    @property
    def said(self) -> str:
        return f"row {self.place} ({self.name})"


def verify(
    rows: pa.Table, table: str, name: str, published: Head | None, early: Early | None
) -> Verified:
    """Compare every row with its hash, every hash with the one before, and the last with the head.

    Parameters
    ----------
    rows
        All of the table.
    published
        The head beside the table, read before the rows were.
    early
        The rows of before the chain, as they were when it began.
    """
    loose, chain = _parts(rows)
    known = {row.chained: row.said for row in chain}
    found = list(_of_head(published, known, chain[-1].place if chain else -1))
    if chain:
        first, begun = chain[0], beginning([digest for digest, _ in loose])
        if link(begun, first.place, first.content) != first.chained:
            found += _of_beginning(early, loose, first)
    found += _of_rows(chain)
    return Verified(
        table=table,
        name=name,
        rows=rows.num_rows,
        chained=len(chain),
        head=chain[-1].chained if chain else None,
        findings=tuple(found),
        known=known,
    )


def _parts(rows: pa.Table) -> tuple[list[tuple[str, str]], list[_Row]]:
    """The rows without a place, as hash and name, and those with one in the order of these."""
    hashes, names = content_hashes(rows), names_of(rows)
    if CHAIN_POSITION not in rows.column_names:
        return list(zip(hashes, names, strict=True)), []
    links = zip(*(rows[column].to_pylist() for column in CHAIN_COLUMNS), strict=True)
    loose, chain = [], []
    for computed, name, (place, content, chained) in zip(hashes, names, links, strict=True):
        if place is None:
            loose.append((computed, name))
        else:
            chain.append(_Row(int(place), str(content), str(chained), computed, name))
    return loose, sorted(chain)


def _of_rows(chain: Sequence[_Row]) -> Iterator[str]:
    owner = {row.content: row.place for row in chain}
    before: _Row | None = None
    for row in chain:
        if row.computed != row.content:
            other = owner.get(row.computed)
            yield (
                f"{row.said} was changed: its content does not give its hash"
                if other is None
                else f"{row.said} holds the content of row {other}: rows were swapped or copied"
            )
        if before is not None:
            if row.place == before.place:
                yield f"{row.said} was inserted: there is another row {row.place}"
            elif row.place > before.place + 1:
                yield f"{_span(before.place + 1, row.place - 1)} missing, before {row.name}"
            elif link(before.chained, row.place, row.content) != row.chained:
                yield (
                    f"{row.said} does not follow {before.said}: one of them was rewritten with a "
                    "hash of its own, or is out of its place"
                )
        before = row


def _span(first: int, last: int) -> str:
    return f"row {first} is" if first == last else f"rows {first} to {last} are"


def _of_head(published: Head | None, known: dict[str, str], last: int) -> Iterator[str]:
    if published is None:
        return
    for lost in published.lost:
        yield (
            f"row {lost.position} and rows before it are gone or rewritten: the head {lost.head}, "
            f"published before {lost.noticed_at:%Y-%m-%d %H:%M} UTC, is not in the chain"
        )
    if published.head in known:
        return
    what = f"the head {published.head} of row {published.position}, published "
    what += f"{published.committed_at:%Y-%m-%d %H:%M} UTC, is not in the chain"
    if published.position > last:
        missing = published.position - last
        yield f"the newest {'row is' if missing == 1 else f'{missing} rows are'} missing: {what}"
    else:
        yield f"row {published.position}, or one before it, was rewritten: {what}"


def _of_beginning(
    early: Early | None, loose: Sequence[tuple[str, str]], first: _Row
) -> Iterator[str]:
    """Which row that carries no hash is not as it was when the chain began."""
    if early is None and not loose and first.place:
        yield f"{_span(0, first.place - 1)} missing"
        return
    then_begun = "" if early is None else beginning(early.hashes)
    if early is None or link(then_begun, first.place, first.content) != first.chained:
        yield (
            f"row {first.place}, the first with a hash, does not follow from the {len(loose)} rows "
            "without: one of them was changed, removed or inserted, or it was itself, and the list "
            "that would say which is gone or changed as well"
        )
        return
    then = {digest: list(names) for digest, names in early.rows.items()}
    others = []
    for digest, name in loose:
        if then.get(digest):
            then[digest].pop()
        else:
            others.append(name)
    gone = [name for names in then.values() for name in names]
    for name in others:
        if name in gone:
            gone.remove(name)
            yield f"the row of before the chain ({name}) was changed"
        else:
            yield f"the row ({name}) was inserted: it carries no hash, and was not there at first"
    for name in gone:
        yield f"the row of before the chain ({name}) is missing"
