"""Whether what should be known by now is there: a check of the newest rows, not of the last run.

Dagster's freshness policies count every run as an update, also one that brought nothing, and know
no holidays. This check is evaluated by the runs that write, and by the sensors as time goes by.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from fx_assets.assets.runs import newest_failure
from fx_assets.assets.universe_steps import STEPS
from fx_assets.series.tables import SeriesTables
from fx_assets.specs import FeedSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.due import live_from
from fx_assets.tables import DECISIONS, INSTRUMENT_COLUMN, PREDICTIONS, PRICES, QUALITY, SOURCES

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.monitoring.freshness import FailedRun, Freshness

FRESH_CHECK = "fresh"
FRESH = {
    FRESH_CHECK: (
        "The newest row is the newest that should be known by now, by the market's calendar."
    )
}
"""The check and its meaning, declared with the asset that it is about."""


def fresh_result(verdict: "Freshness") -> dg.AssetCheckResult:
    """The verdict as the run that wrote the rows says it."""
    return dg.AssetCheckResult(**_result(verdict))


def fresh_event(verdict: "Freshness", key: dg.AssetKey) -> dg.AssetCheckEvaluation:
    """The verdict as a sensor says it, without a run."""
    return dg.AssetCheckEvaluation(asset_key=key, **_result(verdict))


def _result(verdict: "Freshness") -> dict[str, Any]:
    newest, severity = verdict.newest, dg.AssetCheckSeverity
    return {
        "check_name": FRESH_CHECK,
        "passed": verdict.behind == 0,
        "severity": severity.ERROR if verdict.severe else severity.WARN,
        "description": verdict.sentence,
        "metadata": {
            "missing": dg.MetadataValue.int(verdict.behind),
            "newest": dg.MetadataValue.timestamp(newest) if newest else dg.MetadataValue.null(),
            "next_is_late_after": dg.MetadataValue.timestamp(verdict.next_due),
            "judged_at": dg.MetadataValue.timestamp(verdict.checked_at),
        },
    }


def judge_feed(
    instance: dg.DagsterInstance,
    store: "Lake",
    feed: FeedSpec,
    now: datetime,
    prices: pd.DataFrame | None = None,
) -> "Freshness":
    """Judge a feed by its stored prices, or by those that a run is about to store."""
    from fx_assets.monitoring.freshness import feed_freshness

    quality, sources = _newest_look(store, feed.name)
    return feed_freshness(
        feed,
        prices=store.read_or_empty(PRICES.name, feed.name) if prices is None else prices,
        quality=quality,
        sources=sources,
        now=now,
        failed=newest_failure(instance, f"{feed.name}_ingest"),
    )


def _newest_look(store: "Lake", name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the gate said last, and the payloads that it spoke of."""
    quality = store.read_newest(QUALITY.name, name, "checked_at")
    payloads = set(quality["payload"].dropna()) if "payload" in quality else set()
    return quality, store.read_values(SOURCES.name, name, "sha256", payloads)


def judge_predictions(
    instance: dg.DagsterInstance, own: SeriesTables, now: datetime
) -> "Freshness":
    """Judge a forecast's stored predictions."""
    from fx_assets.monitoring.freshness import prediction_freshness

    return prediction_freshness(
        own.spec.name,
        own.feed.market,
        predictions=own.read(PREDICTIONS),
        feed=judge_feed(instance, own.store, own.feed, now),
        has_champion=not own.read(DECISIONS).empty,
        now=now,
        live_from=live_from(own),
        rule=own.spec.watching.freshness,
        failed=newest_failure(instance, f"{own.spec.name}_predict"),
    )


def _newest_failure(instance: dg.DagsterInstance, spec: UniverseSpec) -> "FailedRun | None":
    """The newest run of each job of a universe that failed, if any."""
    steps = () if spec.shard_size is None else STEPS
    jobs = [f"{spec.name}_update", *(step.job(spec.name) for step in steps)]
    found = (newest_failure(instance, job) for job in jobs)
    return max(filter(None, found), key=lambda run: run.at, default=None)


def judge_panel(
    instance: dg.DagsterInstance, store: "Lake", spec: UniverseSpec, now: datetime
) -> "Freshness":
    """Judge the stored prices of a universe: its newest bar, and who of its members lacks it."""
    from fx_assets.monitoring.freshness import panel_freshness

    prices = store.read_known(PRICES.name, spec.name, [INSTRUMENT_COLUMN, "event_time"])
    if spec.instruments:
        prices = prices[prices[INSTRUMENT_COLUMN].isin(list(spec.instruments))]
    quality, sources = _newest_look(store, spec.name)
    return panel_freshness(
        spec.example.model_copy(update={"name": spec.name}),
        prices=prices,
        quality=quality,
        sources=sources,
        now=now,
        most_missed=spec.membership.max_missed,
        failed=_newest_failure(instance, spec),
    )


def judge_panel_predictions(
    instance: dg.DagsterInstance, store: "Lake", spec: UniverseSpec, now: datetime
) -> "Freshness":
    """Judge the newest of the stored predictions of a universe."""
    from fx_assets.monitoring.freshness import prediction_freshness

    said = store.read_or_empty(PREDICTIONS.name, spec.name)
    return prediction_freshness(
        spec.name,
        spec.market,
        predictions=said.nlargest(1, "event_time") if len(said) else said,
        feed=judge_panel(instance, store, spec, now),
        has_champion=True,
        now=now,
        rule=spec.watching.freshness,
        failed=_newest_failure(instance, spec),
    )
