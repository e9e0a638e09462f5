"""Many instruments in one table: each seen as a lake of its own, and all written in one commit."""

# ruff: noqa: ARG002
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from fx_assets.lake.below import Below, member_folder
from fx_assets.lake.commits import Commit
from fx_assets.lake.lake import Lake
from fx_assets.tables import FILES, INSTRUMENT_COLUMN, PRICES, QUALITY, RAW_PRICES, READINGS

BARS = {RAW_PRICES.name, PRICES.name}
COUNTING = {READINGS.name, FILES.name}
"""Tables that let other rows count: they are committed last."""


class Panel:
    """The tables of a universe, read once and written once.

    Parameters
    ----------
    lake
        Where they lie.
    name
        The universe's name.
    instruments
        Those that are asked for; the rows of others are not read.
    """

    def __init__(self, lake: Lake, name: str, instruments: Iterable[str] | None = None) -> None:
        self.lake, self.name = lake, name
        self._chosen = None if instruments is None else set(instruments)
        self._groups: dict[str, dict[str, pd.DataFrame]] = {}
        self._columns: dict[str, list[str]] = {}
        self._slices: list[InstrumentLake] = []

    def of(
        self, instrument: str, *, since: pd.Timestamp | None = None, **about: Any
    ) -> InstrumentLake:
        """One instrument's rows, or of these those with the values of further columns.

        Rows that are written to it wait for :meth:`commit`. Of the bars only those since an event
        time are there, where one is given.
        """
        made = InstrumentLake(self, instrument, about, since)
        self._slices.append(made)
        return made

    def rows(self, table: str, instrument: str) -> pd.DataFrame | None:
        """The stored rows of an instrument; ``None`` where there is no such table."""
        if table not in self._groups:
            if not self.lake.exists(table, self.name):
                return None
            if self._chosen is None:
                whole = self.lake.read(table, self.name)
            else:
                whole = self.lake.read_values(table, self.name, INSTRUMENT_COLUMN, self._chosen)
            self._columns[table] = list(whole.columns)
            # Rows of before the column existed are of no instrument.
            parts = whole.groupby(INSTRUMENT_COLUMN) if INSTRUMENT_COLUMN in whole else ()
            self._groups[table] = {str(name): rows for name, rows in parts}
        found = self._groups[table].get(instrument)
        return pd.DataFrame(columns=self._columns[table]) if found is None else found

    def commit(self, run_id: str = "") -> dict[str, Commit]:
        """Write what the slices wait with: one commit a table, those that let rows count last.

        Returns
        -------
        dict
            The commit of each table to which rows were added.
        """
        added: dict[str, list[pd.DataFrame]] = {}
        keys: dict[str, list[str] | None] = {}
        for part in self._slices:
            for table, (rows, key) in part.added.items():
                added.setdefault(table, []).extend(rows)
                keys[table] = key
        commits = {}
        for table in sorted(added, key=COUNTING.__contains__):
            frame, key = pd.concat(added[table], ignore_index=True), keys[table]
            if key is None:
                commits[table] = self.lake.append(table, self.name, frame, run_id=run_id)
            else:
                commits[table] = self.lake.insert_new(table, self.name, frame, key, run_id=run_id)
        for table in sorted({table for part in self._slices for table in part.replaced}):
            parts = [part for part in self._slices if table in part.replaced]
            names = {part.instrument for part in parts}
            frames = [*self._others(table, parts), *(part.replaced[table] for part in parts)]
            frame = pd.concat(frames, ignore_index=True)
            replace_instruments(self.lake, table, self.name, frame, names, run_id=run_id)
        for part in self._slices:
            part.added.clear()
            part.replaced.clear()
        self._groups.clear()
        return commits

    def _others(self, table: str, parts: list[InstrumentLake]) -> list[pd.DataFrame]:
        """The stored rows of these instruments that are about something else."""
        found = []
        for name in sorted({part.instrument for part in parts}):
            rows = self.rows(table, name)
            if rows is None:
                continue
            for part in parts:
                if part.instrument == name:
                    rows = rows[~part.mine(rows)]
            if len(rows):
                found.append(rows)
        return found


class InstrumentLake(Below, Lake):
    """A lake with the tables of one instrument: what is read and written is the universe's.

    Every table is found under any name, for the instrument's feed and forecast have no other. What
    is written is read again at once, and stored by :meth:`Panel.commit`. Files lie in a folder of
    the instrument's own, and are written at once.
    """

    def __init__(
        self,
        panel: Panel,
        instrument: str,
        about: Mapping[str, Any],
        since: pd.Timestamp | None = None,
    ) -> None:
        Below.__init__(self, panel.lake, member_folder(panel.name, instrument, **about))
        vars(self).update(vars(panel.lake))
        self.panel, self.instrument, self.since = panel, instrument, since
        self._about = {INSTRUMENT_COLUMN: instrument, **about}
        self._current: dict[str, pd.DataFrame] = {}
        self.added: dict[str, tuple[list[pd.DataFrame], list[str] | None]] = {}
        self.replaced: dict[str, pd.DataFrame] = {}

    def discard(self) -> None:
        """Forget what waits to be committed."""
        self.added.clear()
        self.replaced.clear()
        self._current.clear()

    def exists(self, table: str, name: str) -> bool:
        """Whether the instrument has rows in the table."""
        return len(self._rows(table)) > 0

    def stored_as(self, name: str) -> str:
        """The universe's name: its tables hold the instrument's rows."""
        return self.panel.name

    def version(self, table: str, name: str) -> int | None:
        """The newest version of the universe's table."""
        return self.panel.lake.version(table, self.panel.name)

    def read(
        self,
        table: str,
        name: str,
        *,
        version: int | None = None,
        columns: list[str] | None = None,
    ) -> pd.DataFrame:
        """The instrument's rows, those that wait to be committed included."""
        rows = self._rows(table)
        return rows if columns is None else rows[columns]

    def append(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Add all rows."""
        return self._add(table, frame, None)

    def insert_new(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        keys: list[str],
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Add the rows whose key the instrument has not."""
        rows = frame.drop_duplicates(keys)
        known = self._rows(table)
        if len(known) and set(keys) <= set(known.columns):
            there = rows[keys].merge(
                known[keys].drop_duplicates(), how="left", on=keys, indicator="_there"
            )
            rows = rows[(there["_there"] == "left_only").to_numpy()]
        about = [column for column in self._about if column not in keys]
        return self._add(table, rows, [*about, *keys])

    def replace(
        self,
        table: str,
        name: str,
        frame: pd.DataFrame,
        *,
        run_id: str = "",
        metadata: dict[str, str] | None = None,
    ) -> Commit:
        """Make the frame the instrument's content."""
        self._current[table] = self.replaced[table] = self._marked(frame)
        return Commit(table, name, self.version(table, name) or 0, len(frame), committed=True)

    def _add(self, table: str, frame: pd.DataFrame, keys: list[str] | None) -> Commit:
        rows = self._marked(frame)
        known = self._rows(table)
        if len(rows):
            waiting = self.added.setdefault(table, ([], keys))[0]
            waiting.append(rows)
            joined = pd.concat([known, rows], ignore_index=True) if len(known) else rows
            self._current[table] = joined
        version = self.version(table, self.panel.name)
        return Commit(table, self.panel.name, -1 if version is None else version, len(rows))

    def mine(self, rows: pd.DataFrame) -> pd.Series[bool]:
        """Which rows of the universe's table are about this."""
        found = pd.Series(data=True, index=rows.index)
        for column, value in self._about.items():
            if column in rows:
                found &= rows[column] == value
        return found

    def _marked(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**self._about)

    def _rows(self, table: str) -> pd.DataFrame:
        if table not in self._current:
            found = self.panel.rows(table, self.instrument)
            rows = pd.DataFrame() if found is None else found
            rows = rows[self.mine(rows)]
            if self.since is not None and table in BARS and len(rows):
                rows = rows[rows["event_time"] >= self.since]
            if table == QUALITY.name:
                rows = numbered(rows)
            self._current[table] = rows.reset_index(drop=True)
        return self._current[table]


def replace_instruments(
    store: Lake,
    table: str,
    name: str,
    frame: pd.DataFrame,
    instruments: Iterable[str],
    run_id: str = "",
) -> int:
    """Make the frame the content of these instruments' rows; other instruments stay as they are.

    Returns
    -------
    int
        Commits; none where the rows were there already.
    """
    chosen = set(instruments)
    if not chosen:
        return 0
    return int(
        store.replace_values(
            table, name, frame, column=INSTRUMENT_COLUMN, values=chosen, run_id=run_id
        ).committed
    )


def numbered(quality: pd.DataFrame) -> pd.DataFrame:
    """Findings of numbered batches: earlier releases kept others, which speak of no window."""
    if "batch" not in quality:
        return quality.iloc[:0, :0]
    return quality[quality["batch"].notna()].astype({"batch": "int64", "passed": "bool"})
