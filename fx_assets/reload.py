"""Reads a feed again, whole or a span of it: what differs from the stored bars are revisions."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.prices import partitions_of
from fx_assets.assets.universe_prices import instrument_partitions
from fx_assets.components.declared import declared as load_declared
from fx_assets.errors import SpecError
from fx_assets.lake import Lake
from fx_assets.runner import Runner, at_work
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import undeclared
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.asking import ACCEPT_TAG, ALL, RELOAD_TAG
from fx_assets.stages.readings import pending_change
from fx_assets.tables import RAW_PRICES

COUNTS = (
    ("bars_in_payload", "read"),
    ("bars_added", "added"),
    ("bars_revised", "revised"),
    ("bars_unchanged", "unchanged"),
)


def reload_feed(
    name: str, first: str | None = None, last: str | None = None, *, accept_revisions: bool = False
) -> int:
    """Ask a feed's provider again for what is stored, and say what came back.

    Parameters
    ----------
    name
        The feed.
    first, last
        Days of the market, such as ``2024-01-31``; unset means from the feed's start, until now.
    accept_revisions
        Whether any number of revisions is right; else the gate's limit counts.

    Returns
    -------
    int
        0, or 1 where the bars could not be read or were refused; the reasons have been printed.

    Raises
    ------
    SpecError
        There is no such feed, or no such span of days.
    """
    universe, instrument = _of_universe(name)
    if universe is None:
        feed = _feed(name)
    else:
        feed = universe.feed(instrument) if instrument else universe.example
    today = feed.market.day_of(clock.now())
    days = _days(feed, first, last, today)
    tags = {RELOAD_TAG: ALL if days is None else f"{days[0]}_{days[1]}"}
    if accept_revisions:
        tags[ACCEPT_TAG] = "yes"

    def work(runner: Runner) -> None:
        if universe is not None:
            ends = _instruments(runner, universe, instrument)
            runner.run(f"{universe.name}_update", {**tags, **range_tags(*ends)})
            return
        span, change = days or (feed.start, today), pending_change(lake, feed)
        if change is not None:
            said = f"{change.sentence}: the whole feed is read anew."
            runner.console.print(said, markup=False)
            span = feed.start, today
        parts = partitions_of(feed, pd.Timestamp(span[0]), pd.Timestamp(span[1]))
        if runner.run(f"{name}_ingest", {**tags, **range_tags(parts[0], parts[-1])}):
            runner.console.print(f"{name}: {_found(runner.instance, feed)}", markup=False)

    lake = Lake.from_settings(Settings())
    return at_work(work)


def _of_universe(name: str) -> tuple[UniverseSpec | None, str | None]:
    """The universe of that name, or the one that has an instrument whose feed is called so."""
    found = load_declared()
    for spec in found.universes.values() if name not in found.feeds else ():
        if name == spec.name:
            return spec, None
        start = f"{spec.name}_"
        instrument = name.removeprefix(start).upper()
        if name.startswith(start) and instrument.isalnum():
            return spec, instrument
    return None, None


def _instruments(runner: Runner, spec: UniverseSpec, instrument: str | None) -> tuple[str, str]:
    """The first and the last instrument that are asked for again."""
    keys = runner.instance.get_dynamic_partitions(str(instrument_partitions(spec).name))
    if not keys or (instrument and instrument not in keys):
        raise SpecError(
            f"{spec.name} has no instrument {instrument or 'yet'}.",
            remedy=f"Known are: {', '.join(keys) or 'none'}; fx-assets universe {spec.name} "
            "looks for them.",
        )
    return (instrument, instrument) if instrument else (keys[0], keys[-1])


def _feed(name: str) -> FeedSpec:
    feeds = load_declared().feeds
    if name not in feeds:
        raise undeclared("feed", [name], feeds)
    return feeds[name]


def _days(
    feed: FeedSpec, first: str | None, last: str | None, today: date
) -> tuple[date, date] | None:
    """The span that was asked for; ``None`` for all of it."""
    if first is None and last is None:
        return None
    span = (_day(first) if first else feed.start, _day(last) if last else today)
    if span[0] > span[1] or span[0] > today or span[1] < feed.start:
        raise SpecError(
            f"There is nothing of {feed.name} to read from {span[0]} to {span[1]}.",
            remedy=f"It starts on {feed.start}, and today is {today}.",
        )
    return max(span[0], feed.start), min(span[1], today)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SpecError(f"{text!r} is not a day.", remedy="Write it as 2024-01-31.") from None


def _found(instance: dg.DagsterInstance, feed: FeedSpec) -> str:
    """What the run that has just ended brought."""
    event = instance.get_latest_materialization_event(dg.AssetKey([feed.name, RAW_PRICES.name]))
    made = event.asset_materialization if event else None
    if made is None:
        return "nothing was read"
    values = {key: made.metadata[key].value for key, _ in COUNTS if key in made.metadata}
    return ", ".join(f"{values[key]:,} {word}" for key, word in COUNTS if key in values) + "."
