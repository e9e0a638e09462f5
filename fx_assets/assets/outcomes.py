"""What came of the predictions: the truth joins when it arrives, late and revised truths too."""

import dagster as dg
import pandas as pd

from fx_assets.assets.candidates import scores_table
from fx_assets.assets.refusal import require_gate
from fx_assets.resources import UNIQUE_KEY, LakeResource
from fx_assets.specs import FeedSpec, ForecastSpec


def build_outcomes(spec: ForecastSpec, feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of scored predictions; a revised truth adds a row."""

    @dg.asset(
        key=[spec.name, "outcomes"],
        deps=[[spec.name, "predictions"]],
        ins={"prices": dg.AssetIn(key=[feed.name, "prices"])},
        group_name=spec.name,
        description=(
            "Each issued prediction beside what happened, its loss and the baseline's. "
            "Live predictions are scored apart from those issued after the fact."
        ),
        owners=spec.owners,
        kinds={"python", "deltalake"},
        metadata={UNIQUE_KEY: ["event_time", "target", "known_at"]},
    )
    def outcomes(lake: LakeResource, prices: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
        from fx_assets.evaluation.outcomes import join_outcomes, live_scores

        store = lake.open()
        require_gate(store, feed.name)
        issued = store.read_or_empty("predictions", spec.name)
        known = join_outcomes(issued, prices, spec, feed.market)
        live = live_scores(known, spec)
        return dg.MaterializeResult(
            value=known,
            metadata={
                "dagster/row_count": len(known),
                "live_outcomes": int((known["mode"] == "live").sum()),
                "live_scores": dg.MetadataValue.md(
                    scores_table(live) if len(live) else "fewer than 30 live outcomes so far"
                ),
            },
        )

    return outcomes
