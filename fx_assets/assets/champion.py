"""The decision: keep, replace, refresh or demote the champion; its record; the published bundle."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import features_key, image
from fx_assets.evaluation.decision import Decision
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, RegistryResource, SeriesOf, StudiesResource
from fx_assets.specs import FeedSpec, ForecastSpec, PromotionRule
from fx_assets.tables import DECISIONS

if TYPE_CHECKING:
    from fx_assets.alerting.alert import AlertKind
    from fx_assets.stages.economics import Weighed

NEWS: "dict[str, AlertKind]" = {"replace": "promotion", "demote": "demotion"}
"""Verdicts that people are told of."""
PLAUSIBLE_CHECK = "plausible"
LEAD_CHECK = "lead"


def build_champion(spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf) -> dg.AssetsDefinition:
    """The asset that judges all candidates on identical rows and publishes who predicts."""
    rule = spec.promotion

    @asset_of(
        spec,
        "champion",
        "Who predicts, and why. A challenger takes over only with at least "
        f"{rule.min_rows:,} paired rows, skill of {100 * rule.min_skill:g} % and a Clark-West "
        f"p-value below {_level(rule)}.",
        "onnx",
        "mlflow",
        table=DECISIONS,
        feed=feed.name,
        pool="retrain",
        ins={"features": dg.AssetIn(key=features_key(feed.name, spec.features))},
        deps=[[spec.name, "models", candidate.name] for candidate in spec.all_candidates],
        checks={
            PLAUSIBLE_CHECK: (
                "No result is too good to be true, or a person has looked and said so."
            ),
            LEAD_CHECK: (
                "A champion that is a model has not lost to the baseline on the newest "
                f"{rule.demotion_rows:,} rows. For people to look at: it demotes nobody."
            ),
        },
    )
    def champion(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        registry: RegistryResource,
        studies: StudiesResource,
        features: pd.DataFrame,
    ) -> dg.MaterializeResult:
        from fx_assets.explaining.explain import background_path
        from fx_assets.presentation.ledger import ledger_markdown
        from fx_assets.stages.champion import decide_champion
        from fx_assets.stages.economics import weigh_economics
        from fx_assets.stages.reconcile import keep_background

        store, run_id = lake.open(), context.run.run_id
        own = tables(lake)
        study = studies.of(own, features)
        mlflow, now = registry.open(), clock.now()
        decided = decide_champion(study, own, registry=mlflow, run_id=run_id, now=now)
        weighed = weigh_economics(
            own,
            decided.ledger,
            lambda candidate: study.walk_forward(candidate).predictions,
            study.frame["available_at"].max(),
            registry=mlflow,
            run_id=run_id,
            now=now,
        )
        latest = decided.decisions[-1]
        published = latest.bundle
        if latest.publishes or not store.blob_exists(background_path(spec.name, published)):
            keep_background(store, spec.name, published, study.frame)
        for decision in decided.decisions:
            kind = NEWS.get(decision.verdict)
            if kind is not None:
                key = f"{kind}:{spec.name}:{decision.series}:{decision.sequence}"
                tell(store, kind, spec.name, decision.sentence, run_id=run_id, key=key)
        if latest.suspicions:
            first = latest.suspicions[0]
            key = f"suspicion:{spec.name}:{first.recipe}"
            tell(store, "suspicion", spec.name, latest.sentence, run_id=run_id, key=key)
        if latest.behind:
            key = f"behind:{spec.name}:{latest.recipe}"
            tell(store, "performance", spec.name, _lead_text(latest), run_id=run_id, key=key)
        return dg.MaterializeResult(
            metadata={
                "decision": " ".join(decision.sentence for decision in decided.decisions),
                "verdict": latest.verdict,
                "champion": latest.champion,
                "champion_version": f"v{latest.version}",
                "label_end": latest.label_end.isoformat(),
                "figures": dg.MetadataValue.md(decision_table(latest)),
                "reasons": dg.MetadataValue.md("\n".join(f"- {text}" for text in latest.reasons)),
                "history": dg.MetadataValue.md(ledger_markdown(decided.ledger)),
                "mlflow_model": dg.MetadataValue.url(registry.page(decided.mlflow_path)),
                **({} if weighed is None else economics_metadata(weighed, latest.champion)),
            },
            check_results=[plausible(latest), lead(latest)],
        )

    return champion


def economics_metadata(weighed: "Weighed", champion: str) -> dict[str, Any]:
    """What each candidate would have earned, and the champion's bars as a plot."""
    from fx_assets.presentation.economics import figures_markdown
    from fx_assets.presentation.figures import strategy_figure

    return {
        "economics": weighed.sentence,
        "economics_figures": dg.MetadataValue.md(figures_markdown(weighed.figures)),
        "would_have_earned": image(strategy_figure(weighed.rows, champion)),
    }


def plausible(decision: Decision) -> dg.AssetCheckResult:
    """Whether a result waits for a person; one that was acknowledged says by whom."""
    word = decision.acknowledgement
    said = f"{decision.champion}: {word.text}" if word else "No result is beyond what is plausible."
    held = bool(decision.suspicions)
    return warning(PLAUSIBLE_CHECK, not held, decision.sentence if held else said)


def lead(decision: Decision) -> dg.AssetCheckResult:
    """Whether the champion is a model that has lately lost to the baseline."""
    return warning(LEAD_CHECK, not decision.behind, _lead_text(decision))


def _lead_text(decision: Decision) -> str:
    found = decision.statistics_of(decision.champion)
    newest = f"on the newest {decision.thresholds.demotion_rows:,} rows"
    if found is None or not decision.predicts:
        return f"{decision.champion} is the baseline."
    verb = "lost to the baseline" if decision.behind else "did not lose to the baseline"
    return f"{decision.champion} {verb} {newest}: skill {100 * found.trailing_skill:+.2f} %."


def _level(rule: PromotionRule) -> str:
    if rule.rule == "fixed":
        return f"{rule.significance:g} divided by the candidates tried"
    return f"the level of the look, which errs in {rule.significance:.0%} of years"


def decision_table(decision: Decision) -> str:
    """Every candidate's figures on the rows that all have in common."""

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    return markdown_table(
        ["candidate", "loss", "skill", "trailing skill", "Clark-West p", "Diebold-Mariano p"],
        [
            [
                row.candidate,
                f"{row.loss:.6g}",
                f"{100 * row.skill:+.2f} %",
                f"{100 * row.trailing_skill:+.2f} %",
                shown(row.clark_west_p),
                shown(row.diebold_mariano_p),
            ]
            for row in decision.statistics
        ],
    ) + (
        f"\n\nn = {decision.rows:,} identical rows, hash {decision.row_hash}, "
        f"K = {decision.trials}, needed p < {decision.thresholds.clark_west_p:.3g}"
        + (f"; {decision.boundary.text}" if decision.boundary else "")
        + (f"\n\n{decision.champion}: {decision.fall.text}" if decision.fall else "")
    )
