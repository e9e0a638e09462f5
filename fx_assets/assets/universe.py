"""Who is a member, who can be predicted, and what is said of tomorrow: a universe's judgement."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import content_version, image
from fx_assets.assets.drift_report import CHECKS, joined_results, tell_check
from fx_assets.assets.freshness import FRESH, fresh_result, judge_panel_predictions
from fx_assets.assets.outcomes import SCORED
from fx_assets.assets.predictions import REFUSED_CHECK
from fx_assets.assets.universe_prices import (
    build_instruments,
    build_prices,
    build_raw_prices,
    instrument_partitions,
    listed,
    panel_asset,
)
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import (
    BACKTEST,
    INSTRUMENT_COLUMN,
    MEMBERSHIP,
    OUTCOMES,
    PREDICTIONS,
    PRICES,
    SKILL,
    UNIVERSE_BACKTEST,
    UNIVERSE_DRIFT,
    UNIVERSE_OUTCOMES,
    UNIVERSE_PREDICTIONS,
)

if TYPE_CHECKING:
    from fx_assets.lake import Lake

P_COLUMNS = {
    "p_clark_west": "p Clark-West",
    "p_diebold_mariano": "p Diebold-Mariano",
    "p_holm": "p Holm",
    "p_benjamini_yekutieli": "p Benjamini-Yekutieli",
}
SHOWN = [
    *("instrument", "target", "candidate", "n", "skill", "95 % interval", "skill on reference"),
    *P_COLUMNS.values(),
]


def build_universe(spec: UniverseSpec) -> list[dg.AssetsDefinition]:
    """All assets of a universe, upstream first."""
    return [
        build_instruments(spec),
        build_raw_prices(spec),
        build_prices(spec),
        build_members(spec),
        build_backtest(spec),
        build_skill(spec),
        build_predictions(spec),
        build_outcomes(spec),
        build_look(spec),
    ]


def build_members(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of memberships, as known at each time."""
    rule = spec.membership

    @panel_asset(
        spec,
        MEMBERSHIP,
        f"Who was a member, and when: from fixing {rule.min_history} on, until "
        f"{rule.max_missed} publications in a row were missed. Those that left stay here.",
        "deltalake",
        after=[PRICES],
    )
    def universe(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.evaluation.universe_members import members, membership
        from fx_assets.stages.members import of_declared

        store = lake.open()
        prices = store.read(PRICES.name, spec.name)
        ours = of_declared(spec, store, sorted(prices[INSTRUMENT_COLUMN].unique()))
        table = membership(prices[prices[INSTRUMENT_COLUMN].isin(ours)], rule, spec.market)
        commit = store.replace(MEMBERSHIP.name, spec.name, table, run_id=context.run.run_id)
        now = clock.now()
        free, everyone = members(table, now), members(table, now, pegged=True)
        return dg.MaterializeResult(
            data_version=content_version(table),
            metadata={
                "dagster/row_count": len(table),
                "delta_version": commit.version,
                "members_now": len(free),
                "pegged_now": ", ".join(sorted({*everyone} - {*free})) or "none",
                "memberships": dg.MetadataValue.md(_days_table(table)),
            },
        )

    return universe


def build_backtest(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of walk-forward rows: every instrument, target and candidate in one table."""
    candidates = ", ".join(c.name for target in spec.targets for c in target.candidates)

    @panel_asset(
        spec,
        UNIVERSE_BACKTEST,
        f"Out-of-sample predictions by {candidates}, a fit every "
        f"{spec.walk_forward.refit_every} bars; only rows that are not there yet are computed.",
        "deltalake",
        "scikitlearn",
        after=[PRICES, MEMBERSHIP],
        partitions=instrument_partitions(spec),
    )
    def backtest(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.stages.panel_judge import walk_panel

        def progress(done: int, total: int) -> None:
            context.log.info(f"instrument {done} of {total}")

        store, chosen = lake.open(), list(context.partition_keys)
        commits = [
            walk_panel(spec, store, shard, context.run.run_id, progress)
            for shard in spec.shards(chosen)
        ]
        return dg.MaterializeResult(
            metadata={
                "instruments": len(chosen),
                "rows_added": sum(commit.rows for commit in commits),
                "delta_version": commits[-1].version,
            },
        )

    return backtest


def build_skill(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of verdicts: skill with p-values corrected for every test in the table."""

    @panel_asset(
        spec,
        SKILL,
        "Skill of every candidate for every instrument and target against the baseline, and what "
        "may be said of it against the reference as well, on the rows of its membership, where "
        f"Holm's correction for all tests of the table leaves p below {spec.significance}.",
        "deltalake",
        "statsmodels",
        after=[BACKTEST, MEMBERSHIP],
    )
    def skill(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.evaluation.universe_skill import best_candidates
        from fx_assets.presentation.universe_figure import skill_figure
        from fx_assets.stages.panel_judge import judge_panel

        judged = judge_panel(spec, lake.open(), clock.now(), context.run.run_id)
        table, decisions = judged.skill, judged.decisions
        tests = int(table["tests"].max()) if len(table) else 0
        return dg.MaterializeResult(
            data_version=content_version(table),
            metadata={
                "dagster/row_count": len(table),
                "delta_version": judged.commit.version,
                "family_of_tests": (
                    f"{tests} tests: every instrument, target and candidate with at least "
                    f"{spec.min_rows} rows of membership, past members included"
                ),
                **{
                    f"demonstrated_{kind}_{horizon}": (
                        f"{int(part['skill_demonstrated'].sum())} of {len(part)}; better than the "
                        f"baseline: {int(part['may_predict'].sum())}"
                    )
                    for (kind, horizon), part in best_candidates(table).groupby(["kind", "horizon"])
                },
                **_economics(lake.open(), spec),
                "decisions": "; ".join(d.sentence for d in decisions[:20]) or "nothing changed",
                "held_back": sum(bool(d.suspicions) for d in decisions),
                "skill": dg.MetadataValue.md(skill_markdown(table)),
                "plot": image(skill_figure(best_candidates(table))),
            },
        )

    return skill


def build_predictions(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of issued predictions; a row, once issued, never changes."""

    @panel_asset(
        spec,
        UNIVERSE_PREDICTIONS,
        "What is said of the bar to come for every member: by the best candidate where it beats "
        "the baseline, by the baseline elsewhere. A bar that was missed is made good, and its row "
        "says so.",
        "deltalake",
        after=[PRICES, SKILL, MEMBERSHIP],
        partitions=instrument_partitions(spec),
        checks=FRESH
        | {REFUSED_CHECK: "Every bar that has no prediction yet could be predicted from."},
    )
    def predictions(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.stages.panel_issue import issue_panel

        store, run_id, now = lake.open(), context.run.run_id, clock.now()
        issued = issue_panel(spec, store, context.partition_keys, now, run_id)
        made = issued.new_rows
        return dg.MaterializeResult(
            metadata={
                "instruments": made["instrument"].nunique(),
                "issued": len(made),
                "issued_late": int((made["mode"] == "late").sum()),
                "delta_version": store.version(PREDICTIONS.name, spec.name) or 0,
                "unexplained": listed(issued.unexplained) or "none",
                "without_shadow": listed(issued.unshadowed) or "none",
                "newest": dg.MetadataValue.md(_newest_table(made)),
            },
            check_results=[
                fresh_result(judge_panel_predictions(context.instance, store, spec, now)),
                warning(
                    REFUSED_CHECK,
                    not issued.refused,
                    listed(issued.refused) or "no bar was refused",
                ),
            ],
        )

    return predictions


def build_outcomes(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of scored predictions; a revised truth adds a row."""

    @panel_asset(
        spec,
        UNIVERSE_OUTCOMES,
        SCORED,
        "deltalake",
        after=[PRICES, PREDICTIONS],
        partitions=instrument_partitions(spec),
    )
    def outcomes(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.stages.score import score_panel

        store, run_id = lake.open(), context.run.run_id
        added = score_panel(spec, store, context.partition_keys, run_id)
        return dg.MaterializeResult(
            metadata={
                "rows_added": added,
                "delta_version": store.version(OUTCOMES.name, spec.name) or 0,
            },
        )

    return outcomes


def build_look(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset that judges drift, faults and live performance of every member, and warns."""

    @asset_of(
        spec,
        "drift_report",
        "Of every member: newest rows against the training reference, live predictions against "
        f"outcomes, with at most {spec.watching.drift.alarms_a_year:g} false alarm(s) of drift a "
        "year each. Numbers go to the tables drift and performance.",
        table=UNIVERSE_DRIFT,
        deps=[[spec.name, PREDICTIONS.name], [spec.name, OUTCOMES.name]],
        partitions=instrument_partitions(spec),
        most=spec.shard_size,
        checks=CHECKS,
    )
    def drift_report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.stages.look import look_panel

        store, run_id = lake.open(), context.run.run_id
        seen = look_panel(spec, store, context.partition_keys, clock.now(), run_id)
        results = joined_results(seen)
        for result in results:
            if not result.passed:
                tell_check(store, spec.name, result, run_id)
        rows = [[name, look.drift.verdict, look.performance.verdict] for name, look in seen.items()]
        return dg.MaterializeResult(
            metadata={
                "looked_at": len(seen),
                "verdicts": dg.MetadataValue.md(
                    markdown_table(["member", "drift", "live performance"], rows)
                ),
            },
            check_results=results,
        )

    return drift_report


def _economics(store: "Lake", spec: UniverseSpec) -> dict[str, Any]:
    """What the strategies of the champions would have earned, where any is declared."""
    from fx_assets.stages.members import earned_by_members

    told = earned_by_members(spec, store, store.read(MEMBERSHIP.name, spec.name))
    if not told:
        return {}
    table = markdown_table(["instrument", "target", "what"], told)
    return {"economics": dg.MetadataValue.md(table)}


def skill_markdown(table: pd.DataFrame) -> str:
    """The skill table for people: by corrected p-value, what was not tested last."""
    order = table.sort_values(["p_holm", "p_value"], kind="stable")
    return markdown_table([*SHOWN, "verdict"], map(_skill_cells, order.to_dict("records")))


def _skill_cells(row: dict[Any, Any]) -> list[str]:
    verdict = row["verdict"]
    if row["may_predict"] and verdict != "demonstrated":
        verdict = f"better than the baseline; {verdict}"
    if pd.isna(row["p_value"]):
        verdict = "too few rows to test"
    if row.get("suspicious"):
        verdict += "; too good: look for a leak"
    return [
        row["instrument"],
        f"{row['kind']} {row['horizon']}",
        row["candidate"],
        f"{row['n']:,}",
        f"{row['skill']:+.2%}",
        f"{row['skill_lower']:+.2%} to {row['skill_upper']:+.2%}",
        "" if pd.isna(row["skill_on_reference"]) else f"{row['skill_on_reference']:+.2%}",
        *(f"{row[name]:.2g}" for name in P_COLUMNS),
        verdict,
    ]


def _newest_table(made: pd.DataFrame) -> str:
    columns = ["instrument", "day", "kind", "horizon", "prediction", "lower", "upper", "baseline"]
    columns += ["champion", "mode"]
    return markdown_table(columns, made[columns].to_numpy().tolist())


def _days_table(table: pd.DataFrame) -> str:
    shown = table.copy()
    for name in shown.select_dtypes("datetimetz"):
        shown[name] = shown[name].dt.strftime("%Y-%m-%d").fillna("")
    return markdown_table(list(shown.columns), shown.to_numpy().tolist())
