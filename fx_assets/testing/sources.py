"""What every source must do, each check a sentence about one source and one length of bars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

import numpy as np
import pandas as pd

from fx_assets.calendars import Frequency, instant_of
from fx_assets.doors import SOURCES
from fx_assets.errors import SourceError
from fx_assets.settings import Settings
from fx_assets.sources import Batch, Tryout, Wanted, fetch_bars
from fx_assets.sources.plugin import spellings
from fx_assets.specs import FeedSpec
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.sources import SourceSpec, columns_of, source_class
from fx_assets.testing.markets import bars_of_market, market, usual_calendar
from fx_assets.testing.require import Checks, ContractError, require
from fx_assets.testing.vendors.tryouts import moment_within_the_last_bar

BARS: Final = 2600
"""More than vendors give in one page."""
PRICES: Final = ("open", "high", "low", "close", "volume", "market_cap")
CHECKS: Final[Checks[SourceCase]] = Checks()


@dataclass(frozen=True)
class SourceCase:
    """A source and a length of bars."""

    name: str
    frequency: Frequency

    @property
    def source_class(self) -> type[SourceSpec]:
        """The class of the source."""
        found = source_class(self.name)
        require(found is not None, f"no source is called {self.name}")
        assert found is not None
        return found

    @property
    def calendar(self) -> str:
        """A calendar that the source has."""
        if self.source_class.fixing:
            return "target"
        return self.source_class.tried_on or usual_calendar(self.frequency)

    def truth(self) -> pd.DataFrame:
        """Bars of its world, with six decimals; the last is unfinished when it is asked."""
        grid = market(self.frequency, self.calendar)
        reach = self.source_class.history
        count = BARS if reach is None else min(BARS, reach // grid.bar)
        return bars_of_market(grid, count, seed=5).round(6)

    @contextmanager
    def tried(self) -> Iterator[Trial]:
        """The source, with somebody who stands in for its vendor."""
        truth = self.truth()
        with (
            TemporaryDirectory() as folder,
            self.source_class.tryout(truth, Path(folder)) as tryout,
            mock.patch.dict(os.environ, tryout.environment),
        ):
            yield Trial(self, truth, tryout, Path(folder))

    def __str__(self) -> str:
        return f"{self.name}-{self.frequency}"


@dataclass(frozen=True)
class Trial:
    """A source that can be asked."""

    case: SourceCase
    truth: pd.DataFrame
    tryout: Tryout
    folder: Path

    @property
    def feed(self) -> FeedSpec:
        """A feed of the source."""
        start = self.truth["event_time"].iloc[0] - pd.Timedelta(3, "D")
        feed = {
            "name": "proved",
            "source": {"kind": self.case.name, **self.tryout.settings},
            "start": start.date(),
        }
        if not self.case.source_class.fixing:
            bars = {"frequency": self.case.frequency, "calendar": self.case.calendar}
            feed |= bars | {"delay_minutes": 0}
        return FeedSpec.model_validate(feed)

    @property
    def now(self) -> datetime:
        """A moment within the last bar."""
        return moment_within_the_last_bar(self.truth)

    def ask(self, first: int = 0, last: int = -1) -> Batch:
        """The bars from one place of the truth to another."""
        times = self.truth["event_time"]
        bar = self.feed.market.bar
        span = (times.iloc[first].to_pydatetime() - bar, min(times.iloc[last], self.now))
        settings = Settings(home=self.folder, http_attempts=1, http_backoff_seconds=0.01)
        wanted = Wanted(((span[0], pd.Timestamp(span[1]).to_pydatetime()),))
        return fetch_bars(self.feed, settings, self.now, None, wanted)

    def within(self, batch: Batch, first: int = 0, last: int = -1) -> pd.DataFrame:
        """The bars of a batch that were asked for; a source may return more."""
        times = self.truth["event_time"]
        held = batch.bars[batch.bars["event_time"].between(times.iloc[first], times.iloc[last])]
        return held.reset_index(drop=True)

    @property
    def secrets(self) -> list[str]:
        """The values that nobody may see."""
        names = self.case.source_class.secrets
        return [value for name in names if (value := os.environ.get(name, ""))]


def cases_of(name: str) -> list[SourceCase]:
    """A source with its shortest and its longest bars."""
    able = SOURCES[name].frequencies
    return [SourceCase(name, each) for each in dict.fromkeys((able[-1], able[0]))]


@CHECKS.add
def it_says_what_it_is(case: SourceCase) -> None:
    """Name, columns, frequencies, instrument and documentation are stated."""
    kind = case.source_class
    require(bool((kind.__doc__ or "").strip()), "the class has no docstring")
    require("kind" in kind.model_fields, 'it has no field kind: Literal["..."]')
    columns = kind.bar_columns
    unknown = set(columns or ()) - set(PRICES)
    require(not unknown, f"bar_columns has {sorted(unknown)}, which no bar has")
    require(columns is None or "close" in columns, "bar_columns lacks close")
    with case.tried() as trial:
        source = trial.feed.source
        require(source.kind == case.name, f"kind is {source.kind!r}")
        require(source.instrument.isalnum(), f"the instrument is {source.instrument!r}")


@CHECKS.add
def every_bar_comes_once_and_as_it_was(case: SourceCase) -> None:
    """Paging: whatever a page holds, the bars are whole, in order, and have their values."""
    with case.tried() as trial:
        found = trial.within(trial.ask())
        times = found["event_time"]
        require(times.is_monotonic_increasing, "bars are not in order of event_time")
        require(times.is_unique, f"a bar comes twice: {times[times.duplicated()].head(1).tolist()}")
        if case.name == "simulated":
            return
        expected = trial.truth.iloc[:-1]
        missing = expected["event_time"][~expected["event_time"].isin(times)]
        require(
            missing.empty, f"{len(missing)} bars are missing, the first {missing.head(1).tolist()}"
        )
        have = expected.merge(found, on="event_time", suffixes=("", "_found"))
        for name in sorted(columns_of(trial.feed.source) or {"close"}):
            off = ~np.isclose(have[name], have[f"{name}_found"], rtol=1e-9, equal_nan=True)
            row = int(np.argmax(off))
            said, was = have[f"{name}_found"][row], have[name][row]
            when = have["event_time"][row]
            require(not off.any(), f"{name} of the bar of {when} is {said!r}, and was {was!r}")


@CHECKS.add
def a_part_that_is_asked_for_alone_is_the_same(case: SourceCase) -> None:
    """What is fetched tomorrow fits to what was fetched today."""
    with case.tried() as trial:
        first, last = len(trial.truth) // 4, 3 * len(trial.truth) // 4
        part = trial.within(trial.ask(first, last), first, last)
        whole = trial.within(trial.ask(), first, last)
        require(len(part) == len(whole), f"{len(part)} bars alone, {len(whole)} within all")
        for name in ("event_time", "available_at", *PRICES):
            same = (part[name] == whole[name]) | (part[name].isna() & whole[name].isna())
            require(bool(same.all()), f"{name} differs in {int((~same).sum())} bars")


@CHECKS.add
def two_fetches_agree_to_the_last_bit(case: SourceCase) -> None:
    """Determinism, the hash of what was read included."""
    with case.tried() as trial:
        a, b = trial.ask(), trial.ask()
        require(a.bars.equals(b.bars), "the bars differ")
        require(a.provenance.sha256 == b.provenance.sha256, "the hashes of what was read differ")


@CHECKS.add
def no_unfinished_bar_is_returned(case: SourceCase) -> None:
    """What the clock says is not over is no bar."""
    with case.tried() as trial:
        times = trial.ask().bars["event_time"]
        late = times[times > pd.Timestamp(trial.now)]
        require(late.empty, f"a bar closes at {late.tolist()[:1]}, and it is {trial.now}")
        newest = times.max()
        require(newest == trial.truth["event_time"].iloc[-2], f"the newest bar is of {newest}")


@CHECKS.add
def a_bar_is_known_when_the_calendar_says(case: SourceCase) -> None:
    """``available_at`` is never before the close."""
    with case.tried() as trial:
        bars = trial.ask().bars
        require({*BAR_DTYPES} == {*bars}, f"columns are {list(bars)}")
        for event_time, available in zip(
            bars["event_time"].head(50), bars["available_at"].head(50), strict=True
        ):
            moment = instant_of(np.datetime64(event_time.tz_localize(None)))
            due = trial.feed.market.publication(moment)
            require(available >= event_time, f"the bar of {event_time} is known before its close")
            require(available == pd.Timestamp(due), f"{event_time} is known at {available}")


@CHECKS.add
def bars_have_the_columns_that_are_stated(case: SourceCase) -> None:
    """No more and no less than ``bar_columns``."""
    with case.tried() as trial:
        bars = trial.ask().bars
        stated = columns_of(trial.feed.source)
        for name in PRICES if stated is not None else ():
            empty = bool(bars[name].isna().all())
            require(
                empty == (name not in (stated or ())), f"{name} is {'empty' if empty else 'there'}"
            )
        require(bool(bars["close"].notna().all()), "a bar has no close")
        require(bool((bars["source"] != "").all()), "a bar does not say where it comes from")


@CHECKS.add
def a_failure_is_told_with_what_to_do(case: SourceCase) -> None:
    """Errors are of one kind, and show no key."""
    with case.tried() as trial:
        if trial.tryout.fail is None:
            return
        trial.tryout.fail()
        try:
            trial.ask()
        except SourceError as error:
            require(bool(error.remedy), f"nothing says what to do: {error}")
            _require_hidden(trial, str(error))
        else:
            raise ContractError("a vendor that fails is not noticed")


@CHECKS.add
def no_key_is_shown(case: SourceCase) -> None:
    """Neither in rows nor in where they came from; and without one it is said which to set."""
    with case.tried() as trial:
        batch = trial.ask()
        _require_hidden(trial, batch.provenance.model_dump_json())
        _require_hidden(trial, " ".join({*batch.bars["source"], *batch.bars["payload"]}))
        for name in case.source_class.secrets:
            with mock.patch.dict(os.environ):
                os.environ.pop(name, None)
                try:
                    trial.ask()
                except SourceError as error:
                    require(name in str(error), f"without {name}: {error}")


def _require_hidden(trial: Trial, text: Any) -> None:
    shown = [s for value in trial.secrets for s in spellings(value) if s in str(text)]
    require(not shown, "a key is shown, as it is or encoded")
