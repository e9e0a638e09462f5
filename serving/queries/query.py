"""What is asked of a lake's tables, each kind of it with what it depends on and what it gives.

A query is made in the server and answered in the process that reads tables, which alone imports
what the answer takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from fx_assets.bundles.records import Manifest
from fx_assets.bundles.universes import Member, UniverseFacts
from fx_assets.tables import (
    BACKTEST,
    DECISIONS,
    DRIFT,
    ECONOMICS,
    FEATURES,
    LIVE_EVIDENCE,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    PRICES,
    SCORES,
    SERIES,
    SHADOW_PREDICTIONS,
    Table,
)

if TYPE_CHECKING:
    from fx_assets.lake.reader import Reader
    from serving.queries.context import Context, Drift, Live
    from serving.queries.formats import Form, Page
    from serving.queries.windows import Window
    from serving.schemas import ChampionRef, LiveCandidate, Measure, Performance, Reign, Said

T = TypeVar("T")
Row = dict[str, Any]
Source = tuple[str, str]
"""A table, and whose it is."""


class Query(ABC, Generic[T]):
    """Something that is made of tables, and stays so while none of them changes."""

    @property
    @abstractmethod
    def forecast(self) -> str:
        """Of which it is."""

    @property
    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """The tables that it depends on."""

    @abstractmethod
    def answer(self, reader: Reader) -> T:
        """What it gives; in the process that reads tables."""


def of_forecast(forecast: str, *read: Table) -> list[Source]:
    """A forecast's tables, with those that say whose their rows are."""
    return [(table.name, forecast) for table in dict.fromkeys((*read, SERIES, DECISIONS))]


@dataclass(frozen=True)
class OfBundle(Query[T]):
    """Asked of the rows that are about what a bundle predicts."""

    reads: ClassVar[tuple[Table, ...]] = ()
    manifest: Manifest

    @property
    def forecast(self) -> str:
        """The forecast, or the universe, of the bundle."""
        return self.manifest.forecast

    @property
    def sources(self) -> Sequence[Source]:
        """``reads`` of the forecast, and what says whose their rows are."""
        return of_forecast(self.forecast, *self.reads)

    @property
    def prices(self) -> Source:
        """The table of its bars: a universe's are in one."""
        member = isinstance(self.manifest, Member)
        return PRICES.name, self.forecast if member else self.manifest.feed


@dataclass(frozen=True)
class Newest(OfBundle["tuple[Row | None, Context | None, Drift | None]"]):
    """The newest issued row, what is known at the newest bar, and the newest drift report."""

    reads = (PREDICTIONS, DRIFT)

    @property
    def sources(self) -> Sequence[Source]:
        """Of the forecast, and its bars."""
        return [*super().sources, self.prices]

    def answer(self, reader: Reader) -> tuple[Row | None, Context | None, Drift | None]:
        """Each is ``None`` where there is none."""
        from serving.queries.newest import newest

        return newest(reader, self.manifest)


@dataclass(frozen=True)
class RowAt(OfBundle["tuple[Row | None, datetime | None]"]):
    """The row in force at an instant, and when the first of all was decided."""

    reads = (PREDICTIONS,)

    end: int
    """Microseconds since 1970."""

    def answer(self, reader: Reader) -> tuple[Row | None, datetime | None]:
        """Each is ``None`` where there is none."""
        from serving.queries.newest import row_at

        return row_at(reader, self.manifest, self.end)


@dataclass(frozen=True)
class DriftReport(OfBundle["tuple[list[Row], datetime | None]"]):
    """The rows of the newest drift report, and when it was measured."""

    reads = (DRIFT,)

    def answer(self, reader: Reader) -> tuple[list[Row], datetime | None]:
        """No rows where nothing was measured."""
        from serving.queries.newest import drift

        return drift(reader, self.manifest)


@dataclass(frozen=True)
class LiveSkill(OfBundle["Live | None"]):
    """How good live predictions were."""

    reads = (PERFORMANCE,)

    def answer(self, reader: Reader) -> Live | None:
        """``None`` where nothing was measured."""
        from serving.queries.watched import live

        return live(reader, self.manifest)


@dataclass(frozen=True)
class LiveCandidates(OfBundle["list[LiveCandidate]"]):
    """What each candidate would have said live, and how good that was."""

    reads = (LIVE_EVIDENCE, SHADOW_PREDICTIONS)

    def answer(self, reader: Reader) -> list[LiveCandidate]:
        """One of each candidate."""
        from serving.queries.watched import candidates

        return candidates(reader, self.manifest)


@dataclass(frozen=True)
class Records(OfBundle["tuple[list[dict[str, Any]], list[Measure]]"]):
    """The decisions so far, and the measures of the backtest."""

    reads = (DECISIONS, SCORES)

    def answer(self, reader: Reader) -> tuple[list[dict[str, Any]], list[Measure]]:
        """Both, for a model's card."""
        from serving.queries.measures import records

        return records(reader, self.manifest)


@dataclass(frozen=True)
class Reigns(OfBundle["list[Reign]"]):
    """Who was champion when."""

    reads = (DECISIONS,)

    def answer(self, reader: Reader) -> list[Reign]:
        """The present one first."""
        from serving.queries.decisions import reigns

        return reigns(reader, self.manifest)


@dataclass(frozen=True)
class EarlierBundles(OfBundle["Mapping[str, Manifest]"]):
    """The newest bundle of each series that the forecast was ever about."""

    reads = (PREDICTIONS,)

    def answer(self, reader: Reader) -> Mapping[str, Manifest]:
        """By series."""
        from serving.queries.earlier import bundles_by_series

        return bundles_by_series(reader, self.manifest)


@dataclass(frozen=True)
class HistoryPage(OfBundle["Page"]):
    """Predictions of a mode, with what came of them."""

    mode: str
    """``issued``, ``live``, ``late`` or ``backtest``."""
    window: Window
    form: Form

    @property
    def sources(self) -> Sequence[Source]:
        """The walk-forward, or what was issued."""
        read = (BACKTEST,) if self.mode == "backtest" else (PREDICTIONS, OUTCOMES)
        return of_forecast(self.forecast, *read)

    def answer(self, reader: Reader) -> Page:
        """Newest first."""
        from serving.queries.history import history_page

        return history_page(reader, self.manifest, self.mode, self.window, self.form)


@dataclass(frozen=True)
class PricePage(OfBundle["Page"]):
    """Bars, with features where they are wanted."""

    features: bool
    window: Window
    form: Form

    @property
    def sources(self) -> Sequence[Source]:
        """Features and bars."""
        return [*((FEATURES.name, name) for name in self.manifest.features_names), self.prices]

    def answer(self, reader: Reader) -> Page:
        """Newest first."""
        from serving.queries.history import price_page

        return price_page(reader, self.manifest, self.features, self.window, self.form)


@dataclass(frozen=True)
class PerformanceOf(OfBundle["Performance"]):
    """Scores, rolling skill, reliability and coverage."""

    reads = (BACKTEST, OUTCOMES, SCORES, ECONOMICS)

    champion: ChampionRef
    window: int
    """Outcomes that a rolling value looks back on."""
    strategy: str | None
    """The one whose economics are told; None: the one that was weighed last."""

    def answer(self, reader: Reader) -> Performance:
        """Of the bundle in service."""
        from serving.queries.performance import performance

        return performance(reader, self.manifest, self.champion, self.window, self.strategy)


@dataclass(frozen=True)
class SaidOfMembers(Query["list[Said]"]):
    """The newest prediction of every member of a universe, and what came of them."""

    facts: UniverseFacts

    @property
    def forecast(self) -> str:
        """The universe."""
        return self.facts.forecast

    @property
    def sources(self) -> Sequence[Source]:
        """Predictions and outcomes, and the tables that say whose they are."""
        return of_forecast(self.forecast, PREDICTIONS, OUTCOMES)

    def answer(self, reader: Reader) -> list[Said]:
        """One of each member that something was said of."""
        from serving.queries.members import said

        return said(reader, self.facts)
