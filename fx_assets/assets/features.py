"""From prices to one row of features a bar, with its label where that is known."""

from datetime import timedelta

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.display import Made, content_version, table_metadata
from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import NotEnoughDataError
from fx_assets.features import feature_set
from fx_assets.resources import LakeResource
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.stages.refusal import require_bars
from fx_assets.tables import FEATURES, NUMBER, PRICES, Column


def feature_columns(name: str, bar: timedelta) -> list[Made]:
    """The columns of a feature set, and which of the bars' columns they are made of."""
    made_of = [f"{PRICES.name}.{column}" for column in FEATURE_SETS[name].reads]
    features = feature_set(name, bar).features
    return [(Column(f.name, NUMBER, f.meaning, f.unit), made_of) for f in features]


def build_features(spec: ForecastSpec, feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the labelled feature frame; its newest rows are the ones to predict."""

    @dg.asset(
        key=[spec.name, FEATURES.name],
        ins={"prices": dg.AssetIn(key=[feed.name, PRICES.name])},
        group_name=spec.name,
        description=(
            f"Feature set {spec.features}: what is known at each bar of {feed.instrument}, and "
            f"the {spec.target.kind} {spec.target.horizon} bar(s) ahead where it is known."
        ),
        owners=spec.owners,
        kinds={"python", "deltalake", "numpy"},
        metadata=table_metadata(
            FEATURES, feed.name, spec.name, feature_columns(spec.features, feed.market.bar)
        ),
    )
    def features(
        context: dg.AssetExecutionContext, lake: LakeResource, prices: pd.DataFrame
    ) -> dg.MaterializeResult[pd.DataFrame]:
        from fx_assets.features import labelled_frame
        from fx_assets.series.tables import SeriesTables

        store = lake.open()
        require_bars(store, feed)
        if prices.empty:
            raise NotEnoughDataError(
                f"{feed.name} has no bars, so {spec.name} has nothing to learn or to predict from.",
                remedy=f"Load {feed.name}: fx-assets run {spec.name} says why it has none.",
            )
        own = SeriesTables(store, spec, feed)
        own.remember(clock.now(), context.run.run_id)
        frame = own.mark(labelled_frame(prices, spec, feed.market))
        return dg.MaterializeResult(
            value=frame,
            data_version=content_version(frame),
            metadata={
                "dagster/row_count": len(frame),
                "unlabelled_rows": int(frame["target"].isna().sum()),
                "last_bar": f"{frame['event_time'].iloc[-1]:%Y-%m-%d %H:%M} UTC",
            },
        )

    return features
