"""The tables of a forecast, as far as they are about what it is declared to be about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets import tables
from fx_assets.bundles.records import pointer_path
from fx_assets.errors import FxAssetsError, RegistryError
from fx_assets.evaluation.decision import Decision, read_ledger
from fx_assets.series.rows import ASKED, About, Decided, SeriesRows
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.tables import READING_COLUMN, SERIES_COLUMN, Table

if TYPE_CHECKING:
    from fx_assets.evaluation.study import Study
    from fx_assets.lake import Lake
    from fx_assets.lake.commits import Commit


class SeriesTables:
    """Reads and writes rows of one series; those of others are as if they were not there."""

    def __init__(self, store: Lake, spec: ForecastSpec, feed: FeedSpec) -> None:
        self.store, self.spec, self.feed = store, spec, feed
        self.forecast = spec.name
        self.series = series_of(spec, feed)
        self.rows = SeriesRows(About.of(self.series), spec.name, store, self._decided_before)

    def read(self, table: Table) -> pd.DataFrame:
        """The rows of the series, those of before the column existed first; may be empty.

        Each carries the series, the adopted ones too. An adopted row yields to one that carries the
        series and is about the same thing. Without a table the frame has no columns.
        """
        found = self.store.read_or_empty(table.name, self.forecast)
        if found.empty:
            return found
        if SERIES_COLUMN not in found:
            return self._adopted(table, found)
        own = found[found[SERIES_COLUMN] == self.series.id]
        old = found[found[SERIES_COLUMN].isna()]
        if old.empty:
            return own.reset_index(drop=True)
        adopted = self._adopted(table, old)
        if table.newest and len(adopted) and len(own):
            subject = list(table.subject)
            told = pd.MultiIndex.from_frame(own[subject])
            adopted = adopted[~pd.MultiIndex.from_frame(adopted[subject]).isin(told)]
        return pd.concat([adopted, own], ignore_index=True)

    def bars(self, columns: list[str] | None = None) -> pd.DataFrame:
        """The feed's bars as known now, some columns or all."""
        return self.store.read(tables.PRICES.name, self.feed.name, columns=columns)

    def ledger(self) -> list[Decision]:
        """The decisions about the series, oldest first; empty before the first."""
        table = self.read(tables.DECISIONS)
        return [] if table.empty else read_ledger(table)

    def newest(self, table: Table) -> pd.DataFrame:
        """Of rows about the same thing the newest, in the order of what they are about."""
        found = self.read(table)
        if found.empty:
            return found
        subject = [name for name in table.subject if name in found]
        order = [name for name in table.newest if name in found]
        ordered = found.sort_values(order, kind="stable", na_position="first") if order else found
        kept = ordered.drop_duplicates(subject, keep="last")
        return kept.sort_values(subject, kind="stable", ignore_index=True)

    def insert(self, table: Table, rows: pd.DataFrame, run_id: str = "") -> Commit:
        """Add the rows whose key is new, as rows of the series."""
        return self.store.insert_new(
            table.name, self.forecast, self.mark(rows), list(table.key), run_id=run_id
        )

    def mark(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows as rows of the series."""
        others = rows.drop(columns=SERIES_COLUMN, errors="ignore")
        marked = others.copy(deep=False)
        marked.insert(0, SERIES_COLUMN, self.series.id)
        return marked.astype({SERIES_COLUMN: "object"})

    def unknown(self, table: Table, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows, marked, whose key no stored row of the series has, adopted ones included."""
        marked, known = self.mark(rows), self.read(table)
        if marked.empty or known.empty:
            return marked
        key = list(table.key)
        there = marked[key].merge(known[key].drop_duplicates(), how="left", indicator="_there")
        return marked[(there["_there"] == "left_only").to_numpy()].reset_index(drop=True)

    @property
    def features_name(self) -> str:
        """The name under which its features lie."""
        return tables.features_name(self.feed.name, self.spec.features)

    def frame(self, features: pd.DataFrame | None = None) -> pd.DataFrame:
        """The feed's features with the labels of the series, in order of time.

        Parameters
        ----------
        features
            Rows of the table of features; the stored ones unless they are given.

        Raises
        ------
        RegistryError
            They were made from another reading of the feed.
        """
        from fx_assets.features import add_labels

        if features is None:
            features = self.store.read(tables.FEATURES.name, self.features_name)
        if (features[READING_COLUMN] != self.series.reading).any():
            key = f"{self.feed.name}/{tables.FEATURES.name}/{self.spec.features}"
            raise RegistryError(
                f"The features of {self.forecast} were made for another series than "
                f"{self.series.sentence}.",
                remedy=f"Materialize {key} first, or run fx-assets run {self.forecast}.",
            )
        rows = features.drop(columns=READING_COLUMN)
        rows = rows.sort_values("event_time", kind="stable", ignore_index=True)
        return self.mark(add_labels(rows, self.spec.target, self.feed.market))

    def study(self, frame: pd.DataFrame) -> Study:
        """The candidates on a labelled frame of the series, with what is stored of them."""
        from fx_assets.evaluation.study import Study

        stored, trials = self.read(tables.BACKTEST), self.read(tables.TRIALS)
        bars = self.feed.market.bars_a_day
        return Study(self.spec, frame, stored=stored, trials=trials, bars_a_day=bars)

    def in_service(self) -> bool:
        """Whether the published champion is of this series; true where none can be read."""
        try:
            pointer = json.loads(self.store.read_blob(pointer_path(self.forecast)))
            version = int(pointer["version"])
        except (FxAssetsError, ValueError, KeyError):
            return True
        return self.rows.made_by(version)

    def remember(self, now: datetime, run_id: str = "") -> None:
        """Keep what the series is about, for people who meet its hash in a row."""
        facts = self.series.model_dump()
        row = pd.DataFrame([facts | {"first_seen": pd.Timestamp(now)}]).astype({"horizon": "int64"})
        row["first_seen"] = row["first_seen"].dt.as_unit("us")
        self.insert(tables.SERIES, row, run_id)

    def _adopted(self, table: Table, old: pd.DataFrame) -> pd.DataFrame:
        none = [None] * len(old)
        asked = {n: old[n].tolist() if n in old else none for n in ASKED[table.name]}
        mine = self.rows.adopts(table, asked)
        return old[mine].assign(**{SERIES_COLUMN: self.series.id}).reset_index(drop=True)

    def _decided_before(self) -> Sequence[Decided]:
        ledger = self.store.read_or_empty(tables.DECISIONS.name, self.forecast)
        if ledger.empty:
            return []
        if SERIES_COLUMN in ledger:
            ledger = ledger[ledger[SERIES_COLUMN].isna()]
        told = ledger.get("version", pd.Series(None, index=ledger.index))
        versions = [None if pd.isna(v) else int(v) for v in told]
        return list(zip(ledger["decided_at"].tolist(), versions, strict=True))
