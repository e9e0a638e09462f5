"""Which rows of a forecast's tables are about a series.

Rows carry the series that they are about. Those of before the column existed are adopted by what
they say: themselves, or through the bundle that made them. Needs neither pandas nor MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from fx_assets import tables
from fx_assets.bundles.records import MANIFEST_FILE, folder, manifest_path
from fx_assets.errors import FxAssetsError
from fx_assets.specs.series import Series
from fx_assets.tables import Table

Columns = Mapping[str, Sequence[Any]]
Decided = tuple[datetime, int | None]
"""When a decision that carries no series was made, and the bundle that it left in production."""

ASKED: dict[str, tuple[str, ...]] = {
    tables.PREDICTIONS.name: (
        *("instrument", "kind", "horizon", "table_versions", "champion_version"),
    ),
    tables.OUTCOMES.name: ("champion_version",),
    tables.DECISIONS.name: ("version", "recipe"),
    tables.BACKTEST.name: ("recipe",),
    tables.QUANTILES.name: ("recipe",),
    tables.TRIALS.name: ("recipe",),
    tables.SCORES.name: ("recipe",),
    tables.ECONOMICS.name: ("recipe",),
    tables.ACKNOWLEDGEMENTS.name: ("recipe",),
    tables.SHADOW_PREDICTIONS.name: ("recipe",),
    tables.LIVE_EVIDENCE.name: ("recipe",),
    tables.DRIFT.name: ("measured_at",),
    tables.PERFORMANCE.name: ("measured_at",),
}
"""The columns by which rows without a series are adopted, by table."""


@dataclass(frozen=True)
class About:
    """A series as bundles know it: its hash, and the facts that they have always had."""

    id: str
    """Empty where it is not known."""
    feed: str
    instrument: str
    kind: str
    horizon: int
    calendar: str

    @classmethod
    def of(cls, series: Series) -> About:
        """What bundles know of a series."""
        facts = series.model_dump(include={"feed", "instrument", "kind", "horizon", "calendar"})
        return cls(id=series.id, **facts)

    def agrees(self, bundle: Mapping[str, Any]) -> bool:
        """Whether a bundle's facts are these."""
        said = bundle.get("series")
        if said and self.id:
            return bool(said == self.id)
        facts = tuple(bundle.get(name) for name in ("feed", "instrument", "target", "horizon"))
        own = (self.feed, self.instrument, self.kind, self.horizon)
        return facts == own and _same_calendar(str(bundle.get("calendar")), self.calendar)


class BundleFiles(Protocol):
    """Where bundles are read from; a lake is one."""

    def read_blob(self, path: str) -> bytes:
        """The file's content; raises ``LakeError`` where there is none."""
        ...

    def list_blobs(self, prefix: str) -> list[str]:
        """The paths that begin with ``prefix``."""
        ...


class SeriesRows:
    """Tells the rows of a series from those of others.

    Parameters
    ----------
    about
        What the forecast is about.
    forecast
        Its name.
    files
        Where its bundles are.
    decided
        Its decisions that carry no series, oldest first; asked for at most once.
    """

    def __init__(
        self,
        about: About,
        forecast: str,
        files: BundleFiles,
        decided: Callable[[], Sequence[Decided]],
    ) -> None:
        self.about, self.forecast = about, forecast
        self._files, self._ask = files, decided
        self._bundles: dict[int, Mapping[str, Any] | None] = {}

    def adopts(self, table: Table, columns: Columns) -> list[bool]:
        """Which rows without a series are about this one.

        Parameters
        ----------
        table
            The table that the rows are of.
        columns
            Those in :data:`ASKED`, empty where the table lacks them.
        """
        rows = zip(*(columns[name] for name in ASKED[table.name]), strict=True)
        if table is tables.PREDICTIONS:
            return [self._says_so(*row) for row in rows]
        if table is tables.OUTCOMES:
            return [self.made_by(_number(version)) for (version,) in rows]
        if table is tables.DECISIONS:
            return [self._decided(_number(version), recipe) for version, recipe in rows]
        if table in (tables.DRIFT, tables.PERFORMANCE):
            return [self._in_force(at) for (at,) in rows]
        return [self.knows(recipe) for (recipe,) in rows]

    def knows(self, recipe: str) -> bool:
        """Whether walking a recipe forward was about this series, before rows said so.

        The hash of a recipe covers the feed's name and the target, not what the feed was like.
        """
        return self._feed_was_the_same and recipe not in self._foreign_recipes

    def _says_so(
        self, instrument: Any, kind: Any, horizon: Any, versions: Any, champion: Any
    ) -> bool:
        about, read = self.about, _feeds(versions)
        said = (instrument, kind, horizon) == (about.instrument, about.kind, about.horizon)
        return said and read in (set(), {about.feed}) and self.made_by(_number(champion))

    def made_by(self, version: int | None) -> bool:
        """Whether a bundle is of the series, or cannot be read."""
        bundle = None if version is None else self._bundle(version)
        return bundle is None or self.about.agrees(bundle)

    def _decided(self, version: int | None, recipe: Any) -> bool:
        bundle = None if version is None else self._bundle(version)
        return self.knows(str(recipe)) if bundle is None else self.about.agrees(bundle)

    def _in_force(self, at: datetime) -> bool:
        before = [version for decided_at, version in self._decisions if decided_at <= at]
        return self.made_by(before[-1]) if before else self._feed_was_the_same

    @cached_property
    def _decisions(self) -> Sequence[Decided]:
        return sorted(self._ask(), key=lambda decided: decided[0])

    @cached_property
    def _old_bundles(self) -> list[Mapping[str, Any]]:
        start, end = folder(self.forecast, 0)[:-1], f"/{MANIFEST_FILE}"
        names = (p.removeprefix(start).removesuffix(end) for p in self._files.list_blobs(start))
        found = [self._bundle(int(name)) for name in names if name.isdecimal()]
        return [bundle for bundle in found if bundle is not None and not bundle.get("series")]

    @cached_property
    def _feed_was_the_same(self) -> bool:
        """Whether no bundle of this feed and target was of another instrument or calendar."""
        about = self.about
        namesakes = [
            bundle
            for bundle in self._old_bundles
            if (bundle.get("feed"), bundle.get("target"), bundle.get("horizon"))
            == (about.feed, about.kind, about.horizon)
        ]
        return all(map(about.agrees, namesakes)) and bool(namesakes or not self._old_bundles)

    @cached_property
    def _foreign_recipes(self) -> frozenset[str]:
        return frozenset(
            str(bundle.get("recipe"))
            for bundle in self._old_bundles
            if not self.about.agrees(bundle)
        )

    def _bundle(self, version: int) -> Mapping[str, Any] | None:
        if version not in self._bundles:
            path = manifest_path(self.forecast, version)
            try:
                self._bundles[version] = json.loads(self._files.read_blob(path))
            except (FxAssetsError, ValueError):
                self._bundles[version] = None
        return self._bundles[version]


def _same_calendar(one: str, other: str) -> bool:
    return one.split("|")[:4] == other.split("|")[:4]


def _number(version: Any) -> int | None:
    """The number of a bundle from ``3``, ``3.0`` or ``v3``."""
    try:
        return int(float(str(version).removeprefix("v")))
    except (TypeError, ValueError):
        return None


def _feeds(versions: Any) -> set[str]:
    """The feeds whose raw prices a prediction was made from, by its ``table_versions``."""
    try:
        read = json.loads(versions)
    except (TypeError, ValueError):
        return set()
    start = f"{tables.RAW_PRICES.name}/"
    return {name.removeprefix(start) for name in read if name.startswith(start)}
