"""The members of a universe: each instrument and target as its own feed and forecast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from fx_assets.errors import FxAssetsError, RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.universe import adopted, current_rows, one_thread
from fx_assets.evaluation.universe_members import histories
from fx_assets.features import add_labels, build_features
from fx_assets.lake.panel import InstrumentLake, Panel
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.universe import UniverseSpec, UniverseTarget
from fx_assets.stages.readings import pending_change
from fx_assets.stages.refusal import require_bars
from fx_assets.tables import (
    BACKTEST,
    INSTRUMENT_COLUMN,
    MEMBERSHIP,
    PRICES,
    SERIES_COLUMN,
    UNCALIBRATED,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake

WALKED = [
    *(SERIES_COLUMN, "instrument", "kind", "horizon", "candidate", "recipe", "event_time"),
    *("prediction", "target", "baseline", "label_available_at", "batch"),
]
"""What has to be read of the walk-forward rows to learn intervals from them."""
MADE_OF = ["fold_key", "row_key", UNCALIBRATED]
"""What has to be read besides to fit who is calibrated."""


class History:
    """The bars of an instrument as known now, with the features that all its targets share."""

    def __init__(self, spec: UniverseSpec, store: InstrumentLake, feed: FeedSpec) -> None:
        self._spec, self._store, self._feed = spec, store, feed

    @cached_property
    def features(self) -> pd.DataFrame:
        """Sorted by event time."""
        bars = self._store.read(PRICES.name, self._feed.name)
        bars = bars.sort_values("event_time", ignore_index=True)
        return build_features(bars, self._spec.features, self._feed.market)


@dataclass(frozen=True)
class Member:
    """One instrument and target of a universe, as its own feed and forecast."""

    instrument: str
    target: UniverseTarget
    feed: FeedSpec
    forecast: ForecastSpec
    store: InstrumentLake
    own: SeriesTables
    history: History

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.instrument} {self.target.kind} {self.target.horizon}"

    @property
    def ledger(self) -> list[Decision]:
        """Its decisions, oldest first."""
        return self.own.ledger()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The labelled frame of its bars as known now."""
        return add_labels(self.history.features, self.forecast.target, self.feed.market)


def each_member(
    spec: UniverseSpec, panel: Panel, instruments: Iterable[str], known: pd.DataFrame
) -> Iterator[Member]:
    """Every target of these instruments, each with the bars of its present history.

    Parameters
    ----------
    known
        The table of memberships.
    """
    for instrument in instruments:
        feed = spec.feed(instrument)
        spans = histories(known, instrument)
        since = spans[-1][0] if spans else None
        history = History(spec, panel.of(instrument, since=since), feed)
        for target in spec.targets:
            about = {"kind": target.kind, "horizon": target.horizon}
            store = panel.of(instrument, since=since, **about)
            forecast = spec.forecast(instrument, target)
            own = SeriesTables(store, forecast, feed)
            yield Member(instrument, target, feed, forecast, store, own, history)


@contextmanager
def members_at_work(
    spec: UniverseSpec, store: Lake, instruments: Iterable[str], run_id: str = ""
) -> Iterator[tuple[pd.DataFrame, Iterator[Member]]]:
    """The table of memberships, and the members of these instruments, for one stage.

    What is written to them is committed in the end, each table at once. Instruments from whose bars
    nothing may be made are left out.
    """
    known = store.read(MEMBERSHIP.name, spec.name)
    there = set(known[INSTRUMENT_COLUMN])
    chosen = [name for name in instruments if name in there]
    panel = Panel(store, spec.name, chosen)
    able = [name for name in chosen if _has_bars(panel.of(name), spec.feed(name))]
    with one_thread():
        yield known, each_member(spec, panel, able, known)
    panel.commit(run_id)


def of_declared(spec: UniverseSpec, store: Lake, instruments: Iterable[str]) -> list[str]:
    """Those of these instruments whose bars are of what is declared.

    One that is named no more is a past member as long as the rest of the declaration says what it
    was. What had settings of its own is left out with them; its rows stay as they are.
    """
    chosen = list(instruments)
    unnamed = [n for n in chosen if not spec.is_named(n)]
    panel = Panel(store, spec.name, unnamed)
    return [n for n in chosen if n not in unnamed or _as_it_was(spec, panel.of(n), n)]


def _as_it_was(spec: UniverseSpec, store: InstrumentLake, instrument: str) -> bool:
    try:
        change = pending_change(store, spec.feed(instrument))
    except ValidationError:
        return False
    return change is None or not change.new_reading


def _has_bars(store: InstrumentLake, feed: FeedSpec) -> bool:
    try:
        require_bars(store, feed)
    except FxAssetsError:
        return False
    return True


def earned_by_members(spec: UniverseSpec, store: Lake, known: pd.DataFrame) -> list[list[str]]:
    """Of each champion whose strategy was weighed as it is declared: instrument, target, words.

    Parameters
    ----------
    known
        The table of memberships.
    """
    from fx_assets.stages.economics import earned_text

    if all(target.strategy.kind == "none" for target in spec.targets):
        return []
    names = sorted(known[INSTRUMENT_COLUMN].unique())
    told = (
        (member, earned_text(member.own))
        for member in each_member(spec, Panel(store, spec.name, names), names, known)
    )
    return [
        [member.instrument, f"{member.target.kind} {member.target.horizon}", words]
        for member, words in told
        if words
    ]


def walked_rows(
    spec: UniverseSpec, store: Lake, instruments: Iterable[str]
) -> Mapping[str, pd.DataFrame]:
    """Walk-forward rows of all candidates by series, sorted by event time."""
    columns = [*WALKED, *(MADE_OF if spec.calibrates else ())]
    rows = store.read_values(BACKTEST.name, spec.name, INSTRUMENT_COLUMN, set(instruments), columns)
    if rows.empty:
        return {}
    rows = current_rows(adopted(spec, rows))
    rows = rows.sort_values("event_time", kind="stable")
    return {str(series): part for series, part in rows.groupby(SERIES_COLUMN)}


def said_by(walked: pd.DataFrame | None, forecast: ForecastSpec, candidate: str) -> pd.DataFrame:
    """The walk-forward rows of a candidate, or of the baseline, which stands beside each.

    Of one that is declared those of its recipe alone: the table keeps others under its name.
    """
    if walked is None:
        return pd.DataFrame(columns=WALKED)
    named = candidate if candidate != forecast.baseline.name else forecast.candidates[0].name
    recipes = [forecast.recipe_hash(one) for one in forecast.candidates if one.name == named]
    rows = walked[walked["candidate"] == named]
    rows = rows[rows["recipe"].isin(recipes)] if recipes else rows
    if candidate != forecast.baseline.name:
        return rows
    return rows.assign(
        prediction=rows["baseline"],
        candidate=candidate,
        recipe=forecast.recipe_hash(forecast.baseline),
    )


def members_of(spec: UniverseSpec, panel: Panel, instrument: str | None) -> list[Member]:
    """Every target of an instrument that a person names.

    Raises
    ------
    RegistryError
        The universe has no such instrument.
    """
    table = panel.lake.read(MEMBERSHIP.name, spec.name)
    known = sorted(table["instrument"].unique())
    if instrument is None or instrument not in known:
        raise RegistryError(
            f"{spec.name} has no instrument {instrument!r}."
            if instrument
            else f"{spec.name} is of many instruments: say which.",
            remedy=f"Give --instrument, one of {', '.join(known)}.",
        )
    return list(each_member(spec, panel, [instrument], table))
