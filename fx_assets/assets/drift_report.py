"""Is it still right? The newest rows and outcomes of a forecast, judged after each batch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import features_key, link
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, SeriesOf
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.tables import DRIFT, OUTCOMES, PREDICTIONS

if TYPE_CHECKING:
    from fx_assets.alerting.alert import AlertKind
    from fx_assets.lake import Lake
    from fx_assets.monitoring.drift import DriftReport
    from fx_assets.stages.look import Look

CHECKS = {
    "drift": "The newest rows lie no further from the training reference than its own windows do.",
    "broken_features": "Features are what prices give; predictions do what they have done before.",
    "performance": "Live predictions are no worse than promised, at all looks together.",
}
OURS = {True: "drift", False: "no drift", None: "not asked"}


def build_drift_report(spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf) -> dg.AssetsDefinition:
    """The asset that judges drift, faults and live performance, and warns."""

    @asset_of(
        spec,
        "drift_report",
        "Newest rows against the training reference, features against prices, live predictions "
        f"against outcomes: at most {spec.watching.drift.alarms_a_year:g} false alarm(s) of drift "
        "a year. Numbers go to the tables drift and performance.",
        "evidently",
        table=DRIFT,
        feed=feed.name,
        pool="monitor",
        deps=[
            features_key(feed.name, spec.features),
            *([spec.name, table] for table in ("champion", PREDICTIONS.name, OUTCOMES.name)),
        ],
        checks=CHECKS,
    )
    def drift_report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.stages.look import look_at

        store, run_id = lake.open(), context.run.run_id
        seen = look_at(tables(lake), clock.now(), run_id)
        results = check_results(seen)
        for result in results:
            if not result.passed:
                tell_check(store, spec.name, result, run_id)
        return dg.MaterializeResult(
            metadata={
                "verdict": seen.drift.verdict,
                "sentence": seen.drift.sentence,
                "evidently_verdict": OURS[seen.drift.stock_alarm],
                "report": link(seen.page) if seen.page else "none was asked for",
                "columns": dg.MetadataValue.md(columns_table(seen.drift)),
                "performance": seen.performance.sentence,
                "as_of": seen.drift.as_of.isoformat(),
                "reference_rows": seen.drift.reference_rows,
            },
            check_results=results,
        )

    return drift_report


def check_results(seen: "Look") -> list[dg.AssetCheckResult]:
    """The three verdicts as warnings, with their figures; our verdict beside Evidently's."""
    from fx_assets.stages.look import MEASURED

    drift, found = seen.drift, seen.performance
    changed = bool(drift.drifted) or (drift.relation is not None and drift.relation.alarm)
    faults = " ".join(fault.sentence for fault in drift.broken)
    worst = max((c.severity for c in drift.columns), default=0.0)
    return [
        warning(
            "drift",
            not changed,
            drift.sentence,
            ours=OURS[changed],
            evidently_default=OURS[drift.stock_alarm],
            columns_drifted=len(drift.drifted),
            columns_drifted_by_evidently=sum(
                bool(c.stock and c.stock.drifted) for c in drift.columns
            ),
            columns=len(drift.columns),
            worst_against_threshold=worst,
            share_unusual=drift.share_unusual,
            relation_statistic=drift.relation.statistic if drift.relation else 0.0,
            relation_limit=drift.relation.limit if drift.relation else 0.0,
        ),
        warning(
            "broken_features",
            not drift.broken,
            faults or "Every feature is what its prices give.",
            faults=len(drift.broken),
        ),
        warning(
            "performance",
            not found.alarm,
            found.sentence,
            verdict=found.verdict,
            outcomes=found.rows,
            **{name: value for name in MEASURED if (value := getattr(found, name)) is not None},
        ),
    ]


def joined_results(seen: Mapping[str, "Look"]) -> list[dg.AssetCheckResult]:
    """The three verdicts about many as one each: whom each is about, the first in words."""
    each = {name: check_results(look) for name, look in seen.items()}
    joined = []
    for place, name in enumerate(CHECKS):
        found = {who: results[place] for who, results in each.items()}
        first, *others = [who for who, result in found.items() if not result.passed] or [""]
        text = f"{first}: {found[first].description}" if first else f"None of {len(each)} members."
        if others:
            text += f" And {len(others)} others: {', '.join(others)}."
        failed = len(others) + bool(first)
        joined.append(warning(name, not failed, text, members=len(each), failed=failed))
    return joined


def columns_table(report: "DriftReport") -> str:
    """Every column's distance and shift against its thresholds, the furthest first."""
    return markdown_table(
        ["column", "distance", "threshold", "shift", "threshold", "ours", "Evidently's default"],
        [
            [
                c.column,
                f"{c.distance:.3f}",
                f"{c.threshold:.3f}",
                f"{c.shift:.3f}",
                f"{c.shift_threshold:.3f}",
                OURS[c.drifted],
                OURS[c.stock.drifted if c.stock else None],
            ]
            for c in sorted(report.columns, key=lambda c: -c.severity)
        ],
    )


def tell_check(store: "Lake", forecast: str, result: dg.AssetCheckResult, run_id: str) -> None:
    """Tell people of a check that has failed."""
    kind: AlertKind = "performance" if result.check_name == "performance" else "drift"
    key = f"{result.check_name}:{forecast}"
    tell(store, kind, forecast, str(result.description), run_id=run_id, key=key)
