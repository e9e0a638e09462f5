"""The versions of a feed's bars, as people name, look at and compare them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from fx_assets import clock
from fx_assets.bundles.records import folder
from fx_assets.errors import LakeError, SpecError
from fx_assets.lake import Lake
from fx_assets.lake.bitemporal import as_known_at
from fx_assets.lake.commits import CommitInfo
from fx_assets.lake.readings import reading_in_force, rows_of_reading
from fx_assets.tables import INSTRUMENT_COLUMN, RAW_PRICES, READINGS, TAGS

VALUES = ("open", "high", "low", "close", "volume", "market_cap")


@dataclass(frozen=True)
class Version:
    """A version of a feed's bars, the commit that made it and the names that people gave it."""

    number: int
    committed_at: datetime
    operation: str
    run_id: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What two versions disagree on. Frames are in the order of instrument and event time.

    ``revised`` has the columns ``instrument`` (of universes), ``event_time``, ``column``,
    ``before`` and ``after``; the others those of bars.
    """

    added: pd.DataFrame
    gone: pd.DataFrame
    revised: pd.DataFrame

    @property
    def empty(self) -> bool:
        return self.added.empty and self.gone.empty and self.revised.empty


class DataVersions:
    """The versions of a feed's, or of a universe's, bars.

    Every version stays readable: raw bars are only ever added to.

    Parameters
    ----------
    lake
        Where they lie.
    name
        Of the feed or universe.

    Raises
    ------
    LakeError
        It has no bars.
    """

    def __init__(self, lake: Lake, name: str) -> None:
        if not lake.exists(RAW_PRICES.name, name):
            with_bars = ", ".join(lake.names(RAW_PRICES.name)) or "nothing yet"
            raise LakeError(
                f"There are no bars of {name} in {lake.root}.",
                remedy=f"Name a feed or universe with bars: {with_bars}.",
            )
        self.lake, self.name = lake, name

    def log(self, most: int | None = None) -> list[Version]:
        """The versions, newest first."""
        tags = self.tags()
        return [self._version(entry, tags) for entry in self.lake.history(*self._table, most)]

    def tags(self) -> pd.DataFrame:
        """The tags of these bars, as the table ``data_tags`` has them; may be empty."""
        found = self.lake.read_or_empty(TAGS.name, self.name)
        return found if len(found) else pd.DataFrame(columns=list(TAGS.names))

    def tag(self, tag: str, which: str | None, *, by: str, note: str, now: datetime) -> Version:
        """Name a version for good.

        Raises
        ------
        SpecError
            The tag names another version already, or would be taken for something else.
        """
        if (
            not tag
            or tag.isdigit()
            or "@" in tag
            or _instant(tag) is not None
            or tag.strip() != tag
        ):
            raise SpecError(
                f"{tag!r} cannot be a tag.",
                remedy="Take a word that is no number, no date and has no @, such as before-audit.",
            )
        version = self.resolve(which)
        row = {
            "tag": tag,
            "version": version.number,
            "committed_at": version.committed_at,
            "tagged_at": now,
            "by": by,
            "note": note,
        }
        self.lake.insert_new(
            TAGS.name, self.name, pd.DataFrame([row]).astype(TAGS.dtypes), list(TAGS.key)
        )
        there = self.tags()
        told = int(there.loc[there["tag"] == tag, "version"].iloc[0])
        if told != version.number:
            raise SpecError(
                f"The tag {tag} names version {told} of {self.name}, for good.",
                remedy="Take another name.",
            )
        return self.resolve(tag)

    def resolve(self, which: str | None) -> Version:
        """The version that is meant.

        Parameters
        ----------
        which
            A number, a tag, a day or UTC instant (the newest by then), ``forecast@3`` (what the
            model of that version was made from), or ``None`` for the newest.

        Raises
        ------
        SpecError
            There is none.
        """
        history = self.lake.history(*self._table)
        tags = self.tags()
        number = self._number(which, history, tags)
        if number is None:
            raise SpecError(
                f"Nothing of {self.name} was stored by {which}.",
                remedy=f"The first rows were at {history[-1].timestamp:%Y-%m-%dT%H:%MZ}.",
            )
        found = next((entry for entry in history if entry.version == number), None)
        if found is None:
            raise SpecError(
                f"{self.name} has no version {which}.",
                remedy=f"There are 0 to {history[0].version}; "
                f"fx-assets data log {self.name} lists them.",
            )
        return self._version(found, tags)

    def bars(self, version: Version) -> pd.DataFrame:
        """The bars as known by a version's commit: one row an event time, and instrument."""
        raw = self.lake.read(*self._table, version=version.number)
        readings = self.lake.read_or_empty(READINGS.name, self.name)
        parts = []
        for instrument, rows in _by_instrument(raw):
            own = readings
            if instrument and INSTRUMENT_COLUMN in readings:
                own = readings[readings[INSTRUMENT_COLUMN] == instrument]
            wanted = reading_in_force(own, version.committed_at)
            parts.append(as_known_at(rows_of_reading(rows, wanted, own), version.committed_at))
        return pd.concat(parts, ignore_index=True) if parts else raw

    def difference(self, before: Version, after: Version) -> Difference:
        """What differs between two versions, by bar and value."""
        old, new = self.bars(before), self.bars(after)
        key = [c for c in (INSTRUMENT_COLUMN, "event_time") if c in new and c in old]
        values = [c for c in VALUES if c in old or c in new]
        both = old.reindex(columns=[*key, *values]).merge(
            new.reindex(columns=[*key, *values]), on=key, suffixes=("_before", "_after")
        )
        parts = []
        for column in values:
            was, is_now = both[f"{column}_before"], both[f"{column}_after"]
            changed = both[(was != is_now) & ~(was.isna() & is_now.isna())]
            told = changed[key].assign(
                column=column,
                before=changed[f"{column}_before"],
                after=changed[f"{column}_after"],
            )
            parts.append(told)
        revised = pd.concat(parts, ignore_index=True).sort_values(key, ignore_index=True)
        return Difference(_only(new, old, key), _only(old, new, key), revised)

    @property
    def _table(self) -> tuple[str, str]:
        return RAW_PRICES.name, self.name

    def _version(self, entry: CommitInfo, tags: pd.DataFrame) -> Version:
        own = tags.loc[tags["version"] == entry.version, "tag"]
        return Version(
            entry.version, entry.timestamp, entry.operation, entry.run_id, tuple(sorted(own))
        )

    def _number(
        self, which: str | None, history: list[CommitInfo], tags: pd.DataFrame
    ) -> int | None:
        if which is None:
            return history[0].version
        if which.isdigit():
            return int(which)
        if which in set(tags["tag"]):
            return int(tags.loc[tags["tag"] == which, "version"].iloc[0])
        if "@" in which:
            return self._of_model(which)
        instant = _instant(which)
        if instant is None:
            raise SpecError(
                f"{self.name} has no version, tag or moment {which!r}.",
                remedy=f"fx-assets data log {self.name} lists versions and tags; a moment is "
                "2024-01-31 or 2024-01-31T16:00Z, a model eurusd_direction@3.",
            )
        return max((e.version for e in history if e.timestamp <= instant), default=None)

    def _of_model(self, which: str) -> int | None:
        forecast, _, number = which.partition("@")
        path = f"{folder(forecast, int(number))}/manifest.json" if number.isdigit() else ""
        if not path or not self.lake.blob_exists(path):
            raise SpecError(
                f"There is no model {which}.",
                remedy="Write forecast@version, such as eurusd_direction@3, of a published model.",
            )
        made_of = json.loads(self.lake.read_blob(path))["table_versions"]
        found: int | None = made_of.get(f"{RAW_PRICES.name}/{self.name}")
        if found is None:
            raise SpecError(
                f"{which} was not made from {self.name}.",
                remedy=f"It was made from {', '.join(sorted(made_of))}.",
            )
        return found


def _by_instrument(raw: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if INSTRUMENT_COLUMN not in raw:
        yield "", raw
        return
    for instrument, rows in raw.groupby(INSTRUMENT_COLUMN):
        yield str(instrument), rows.reset_index(drop=True)


def _only(these: pd.DataFrame, those: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The rows whose key the others lack."""
    there = pd.MultiIndex.from_frame(those[key])
    return these[~pd.MultiIndex.from_frame(these[key]).isin(there)].reset_index(drop=True)


def _instant(text: str) -> datetime | None:
    try:
        return clock.instant(text)
    except ValueError:
        return None
