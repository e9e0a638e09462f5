"""The bars that both sides are judged on: those of the home's lake, or read from their source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from fx_assets.errors import FxAssetsError
from fx_assets.evaluation.study import KEYS
from fx_assets.lake import Lake
from fx_assets.lake.panel import Panel
from fx_assets.series.tables import SeriesTables
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import Declared
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.asking import Span
from fx_assets.stages.ingest import ingest
from fx_assets.stages.refusal import require_gate
from fx_assets.tables import BACKTEST, INSTRUMENT_COLUMN, RAW_PRICES, UNCALIBRATED

MEMBERS = 6
"""Instruments that stand for a universe."""
MAJORS = ("USD", "JPY", "GBP", "CHF", "AUD", "CAD", "SEK")


def take_bars(
    feeds: Collection[FeedSpec],
    universes: Mapping[str, Sequence[FeedSpec]],
    settings: Settings,
    folder: Path,
    now: datetime,
    say: Callable[[str], None],
) -> tuple[dict[str, str], dict[str, str]]:
    """Write each feed's bars, as known now, to a Parquet file.

    Parameters
    ----------
    folder
        Scratch; a feed without stored bars is ingested into a lake in it.
    universes
        By universe the feeds of the members that stand for it.

    Returns
    -------
    dict, dict
        By feed the file; and by feed why there is none.
    """
    home, scratch = Lake.from_settings(settings), Lake(str(folder / "lake"))
    files, without = {}, {}
    panels = {feed.name: Panel(home, name) for name, own in universes.items() for feed in own}
    for feed in [*feeds, *(feed for own in universes.values() for feed in own)]:
        try:
            panel = panels.get(feed.name)
            store = home if panel is None else panel.of(feed.instrument)
            if store.exists(RAW_PRICES.name, feed.name):
                bars = store.prices(feed.name, now)
            else:
                say(f"Reading {feed.name} from its source.")
                bars = _ingested(feed, scratch, settings, now)
        except FxAssetsError as error:
            without[feed.name] = str(error)
            continue
        file = folder / f"{feed.name}.parquet"
        bars.to_parquet(file)
        files[feed.name] = str(file)
    return files, without


def take_known(declared: Declared, settings: Settings, folder: Path) -> None:
    """Write what is stored of walk-forward rows, which neither side computes again."""
    home = Lake.from_settings(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in declared.forecasts.items():
        if home.exists(BACKTEST.name, name):
            rows = SeriesTables(home, spec, declared.feeds[spec.feed]).read(BACKTEST)
            if len(rows):
                known = {*KEYS, "prediction", UNCALIBRATED}.intersection(rows)
                rows[sorted(known)].to_parquet(folder / f"{name}.parquet")


def members_of(universe: UniverseSpec, settings: Settings) -> list[str]:
    """The instruments that stand for a universe: those with most bars, or the first declared.

    As many that have bars and are named no more stand for what the other side may still name.
    """
    home = Lake.from_settings(settings)
    if home.exists(RAW_PRICES.name, universe.name):
        bars = home.read(RAW_PRICES.name, universe.name, columns=[INSTRUMENT_COLUMN])
        there = [str(name) for name in bars[INSTRUMENT_COLUMN].value_counts().index]
        ours = [name for name in there if universe.is_named(name)]
        return ours[:MEMBERS] + [name for name in there if name not in ours][:MEMBERS]
    if universe.instruments:
        return list(universe.instruments)[:MEMBERS]
    majors = (name for name in MAJORS if name != universe.source.base)
    return [universe.instrument(name) for name in majors][:MEMBERS]


def _ingested(feed: FeedSpec, scratch: Lake, settings: Settings, now: datetime) -> pd.DataFrame:
    start = pd.Timestamp(feed.start, tz="UTC").to_pydatetime()
    window = Span(start, now)
    found = ingest(feed, scratch, settings, window, {}, now=now, run_id="compare")
    if found.refused:
        raise FxAssetsError(f"The gate refused its bars: {found.refused}")
    scratch.insert_new(RAW_PRICES.name, feed.name, found.accepted, list(RAW_PRICES.key))
    require_gate(scratch, feed)
    return scratch.prices(feed.name, now)
