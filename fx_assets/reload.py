"""Reads a feed again, whole or a span of it: what differs from the stored bars are revisions."""

from __future__ import annotations

import time
from datetime import date

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.automation import range_tags
from fx_assets.assets.prices import partitions_of
from fx_assets.assets.universe_prices import instrument_partitions
from fx_assets.components.declared import declared as load_declared
from fx_assets.errors import SpecError
from fx_assets.instance import one_run_at_a_time
from fx_assets.lake import Lake
from fx_assets.runner import WAITING, Runner, terminal
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
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
    started = time.monotonic()
    panel = _of_universe(name)
    if panel is not None:
        return _reload_members(*panel, first, last, accept_revisions=accept_revisions)
    feed = _feed(name)
    now = clock.now()
    days = _days(feed, first, last, feed.market.day_of(now))
    console, settings = terminal(), Settings()
    lake = Lake.from_settings(settings)
    tags = {RELOAD_TAG: ALL if days is None else f"{days[0]}_{days[1]}"}
    if accept_revisions:
        tags[ACCEPT_TAG] = "yes"
    with one_run_at_a_time(settings.home, lambda: console.print(WAITING)):
        change = pending_change(lake, feed)
        if change is not None:
            console.print(f"{change.sentence}: the whole feed is read anew.", markup=False)
            days = None
        span = days or (feed.start, feed.market.day_of(now))
        parts = partitions_of(feed, pd.Timestamp(span[0]), pd.Timestamp(span[1]))
        runner = Runner(console)
        if runner.run(f"{name}_ingest", {**tags, **range_tags(parts[0], parts[-1])}):
            console.print(f"{name}: {_found(runner.instance, feed)}", markup=False)
    console.print(f"\n{runner.summary} in {time.monotonic() - started:.1f} s")
    runner.print_failures()
    return 1 if runner.failures else 0


def _of_universe(name: str) -> tuple[UniverseSpec, str | None] | None:
    """The universe of that name, or the one that has an instrument whose feed is called so."""
    found = load_declared()
    if name in found.feeds:
        return None
    for spec in found.universes.values():
        if name == spec.name:
            return spec, None
        start = f"{spec.name}_"
        instrument = name.removeprefix(start).upper()
        if name.startswith(start) and instrument.isalnum():
            return spec, instrument
    return None


def _reload_members(
    spec: UniverseSpec,
    instrument: str | None,
    first: str | None,
    last: str | None,
    *,
    accept_revisions: bool,
) -> int:
    """Ask again for the bars of a universe, or of one of its instruments, and go on from them."""
    feed = spec.feed(instrument) if instrument else spec.example
    days = _days(feed, first, last, feed.market.day_of(clock.now()))
    console = terminal()
    tags = {RELOAD_TAG: ALL if days is None else f"{days[0]}_{days[1]}"}
    if accept_revisions:
        tags[ACCEPT_TAG] = "yes"
    with one_run_at_a_time(Settings().home, lambda: console.print(WAITING)):
        runner = Runner(console)
        keys = runner.instance.get_dynamic_partitions(str(instrument_partitions(spec).name))
        if not keys or (instrument and instrument not in keys):
            raise SpecError(
                f"{spec.name} has no instrument {instrument or 'yet'}.",
                remedy=f"Known are: {', '.join(keys) or 'none'}; fx-assets universe {spec.name} "
                "looks for them.",
            )
        ends = (instrument, instrument) if instrument else (keys[0], keys[-1])
        runner.run(f"{spec.name}_update", {**tags, **range_tags(*ends)})
    runner.print_failures()
    return 1 if runner.failures else 0


def _feed(name: str) -> FeedSpec:
    feeds = load_declared().feeds
    if name not in feeds:
        raise SpecError(
            f"No feed is called {name}.", remedy=f"Declared are: {', '.join(sorted(feeds))}."
        )
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
