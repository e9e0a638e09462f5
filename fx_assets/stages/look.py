"""A look at a forecast: what its tables say of drift, faults and live performance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.bundles.records import pointer_path
from fx_assets.errors import NoChampionError
from fx_assets.evaluation.universe_members import members
from fx_assets.specs.universe import UniverseSpec
from fx_assets.stages.members import members_at_work, said_by, walked_rows
from fx_assets.tables import BACKTEST, DRIFT, OUTCOMES, PERFORMANCE, PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.monitoring.broken import BrokenColumn
    from fx_assets.monitoring.drift import DriftReport
    from fx_assets.monitoring.performance import Performance
    from fx_assets.series.tables import SeriesTables

MEASURED = ("skill", "skill_lower", "skill_upper", "mae", "mae_baseline")
SAID = ["event_time", "prediction", "baseline"]


@dataclass(frozen=True)
class Look:
    """What was seen; ``page`` is the address of Evidently's report, if one was asked for."""

    drift: DriftReport
    performance: Performance
    page: str


def look_at(
    own: SeriesTables,
    now: datetime,
    run_id: str = "",
    *,
    past: pd.DataFrame | None = None,
    frame: pd.DataFrame | None = None,
) -> Look:
    """Judge the newest rows and outcomes, and store numbers, and a page where one is asked for.

    Parameters
    ----------
    past
        What the champion's recipe said walking forward; by default what the ``backtest`` table has.
    frame
        The labelled frame where none is stored, so that no stored feature can be wrong.

    Raises
    ------
    NoChampionError
        There is none yet for what the forecast is about.
    RegistryError
        Its bundle cannot be read.
    """
    from fx_assets.bundles.bundle import load
    from fx_assets.features import feature_set, labelled_frame
    from fx_assets.monitoring.broken import faults_of_features
    from fx_assets.monitoring.drift import (
        check_relation,
        drift_report,
        report_table,
    )
    from fx_assets.monitoring.evidently_report import evidently_report
    from fx_assets.monitoring.monitored import monitored_frame
    from fx_assets.monitoring.performance import performance_report
    from fx_assets.presentation.ledger import reigns

    spec, feed, store, ledger = own.spec, own.feed, own.store, own.ledger()
    if not ledger:
        raise NoChampionError(
            f"{spec.name} has no champion yet for {own.series.sentence}.",
            remedy=f"Materialize {spec.name}/champion, or run fx-assets run {spec.name}.",
        )
    rule, manifest = spec.watching.drift, load(store, spec.name, ledger[-1].version).manifest
    stored = own.frame() if frame is None else frame
    broken: tuple[BrokenColumn, ...] = ()
    if frame is None:
        # What came after the stored rows is for the next run to add, and no fault of theirs.
        known = _in_order(own.bars())
        known = known[known["event_time"] <= stored["event_time"].iloc[-1]].reset_index(drop=True)
        again = labelled_frame(known, spec, feed.market)
        columns = feature_set(spec.features, feed.market.bar).columns
        broken = faults_of_features(stored, again, columns, rule.window)
    if past is None:
        found = own.newest(BACKTEST)
        past = _in_order(found[found["recipe"] == manifest.recipe])
    issued, outcomes = own.read(PREDICTIONS), own.read(OUTCOMES)
    said = pd.concat([past[SAID], issued[SAID]]) if len(issued) else past[SAID]
    monitored = monitored_frame(stored, said, spec, feed.market)
    # So much short of the training rows, the reference is the same for as long as the champion is.
    trained = monitored["event_time"][monitored["event_time"] <= manifest.trained_through]
    reference_until = trained.iloc[-rule.window - 1 :].min().to_pydatetime()
    report = drift_report(
        spec,
        monitored,
        trained_through=reference_until,
        measured_at=now,
        rule=rule,
        blobs=store,
        broken=broken,
        relation=check_relation(
            past,
            outcomes,
            spec,
            since=reigns(ledger)[-1].since,
            rule=rule,
            bars_a_year=feed.market.bars_a_year,
        ),
        market=feed.market,
    )
    page = ""
    if spec.watching.page:
        judged = evidently_report(report, monitored, reference_until)
        report, page = judged.report, _store_page(store, judged.report, judged.html)
    performance = performance_report(outcomes, spec, now, spec.watching.performance)
    if report.columns:
        own.insert(DRIFT, report_table(report), run_id)
    row = performance_row(performance, report)
    own.insert(PERFORMANCE, row, run_id)
    return Look(report, performance, page)


def look_panel(
    spec: UniverseSpec, store: Lake, instruments: Sequence[str], now: datetime, run_id: str = ""
) -> dict[str, Look]:
    """Judge drift and live performance of every present member; by instrument and target.

    A member is looked at as soon as there is a bar that its champion was not decided on with.
    """
    seen = {}
    with members_at_work(spec, store, sorted(instruments), run_id) as (known, each):
        present = set(members(known, now)) & set(instruments)
        walked = walked_rows(spec, store, present)
        for member in each:
            ledger, own = member.ledger, member.own
            if member.instrument not in present or not ledger:
                continue
            if not member.store.blob_exists(pointer_path(spec.name)):
                continue
            if member.frame["available_at"].max() <= ledger[-1].data_as_of:
                continue
            past = said_by(walked.get(own.series.id), member.forecast, ledger[-1].champion)
            seen[member.name] = look_at(own, now, run_id, past=past, frame=member.frame)
    return seen


def performance_row(found: Performance, drift: DriftReport) -> pd.DataFrame:
    """One row of the ``performance`` table: figures and verdict of a look, and drift's verdict."""
    bias, coverage = found.bias, found.coverage
    figures = {
        **{name: getattr(found, name) for name in MEASURED},
        "bias": bias.value - bias.expected if bias else None,
        "bias_z": bias.z if bias else None,
        "coverage": coverage.value if coverage else None,
        "coverage_z": coverage.z if coverage else None,
    }
    said = {
        "as_of": pd.Timestamp(drift.as_of),
        "measured_at": pd.Timestamp(found.measured_at),
        "verdict": found.verdict,
        "alarm": found.alarm,
        "champion": found.champion,
        "rows": found.rows,
        "sentence": found.sentence,
        "drift_verdict": drift.verdict,
        "features_broken": drift.features_broken,
    }
    return pd.DataFrame([said | figures]).astype(dict.fromkeys(figures, "float64"))


def _store_page(store: Lake, report: DriftReport, page: bytes) -> str:
    """The newest page replaces the one before; those of alarms stay."""
    folder = f"monitoring/{report.forecast}"
    address = store.write_blob(f"{folder}/drift.html", page)
    if report.alarm:
        address = store.write_blob(f"{folder}/alarms/{report.as_of:%Y-%m-%d}.html", page)
    return address


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("event_time", kind="stable", ignore_index=True)
