"""What came of the predictions: the truth joins when it arrives, late and revised truths too."""

import dagster as dg
import pandas as pd

from fx_assets.assets.candidates import scores_table
from fx_assets.assets.declaring import asset_of
from fx_assets.resources import UNIQUE_KEY, LakeResource, SeriesOf
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.refusal import require_bars
from fx_assets.tables import LIVE_EVIDENCE, OUTCOMES, PREDICTIONS, PRICES

SCORED = (
    "Each issued prediction beside what happened, its loss and the baseline's. "
    "Live predictions are scored apart from those issued after the fact."
)


def build_outcomes(spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf) -> dg.AssetsDefinition:
    """The asset of scored predictions; a revised truth adds a row."""

    @asset_of(
        spec,
        OUTCOMES.name,
        SCORED,
        "deltalake",
        table=OUTCOMES,
        feed=feed.name,
        pool="predict",
        deps=[[spec.name, PREDICTIONS.name], [feed.name, PRICES.name]],
        metadata={UNIQUE_KEY: list(OUTCOMES.key)},
    )
    def outcomes(lake: LakeResource) -> dg.MaterializeResult[pd.DataFrame]:
        from fx_assets.evaluation.outcomes import live_scores
        from fx_assets.presentation.live import evidence_table
        from fx_assets.stages.score import known_outcomes
        from fx_assets.stages.shadow import weigh_candidates

        own = tables(lake)
        require_bars(own.store, own.feed)
        known = known_outcomes(own)
        live = live_scores(known, own.spec)
        weighed = weigh_candidates(own, known)
        if len(weighed):
            own.insert(LIVE_EVIDENCE, weighed)
        return dg.MaterializeResult(
            value=own.unknown(OUTCOMES, known),
            metadata={
                "dagster/row_count": len(known),
                "live_outcomes": int((known["mode"] == "live").sum()),
                "live_scores": dg.MetadataValue.md(
                    scores_table(live) if len(live) else "fewer than 30 live outcomes so far"
                ),
                "candidates": dg.MetadataValue.md(
                    evidence_table(weighed) if len(weighed) else "no candidate has live rows"
                ),
            },
        )

    return outcomes
