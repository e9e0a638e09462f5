"""From prices to one row of features a bar."""

from datetime import timedelta

import dagster as dg
import pandas as pd

from fx_assets.assets.declaring import asset_of
from fx_assets.assets.display import Made, content_version
from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import NotEnoughDataError
from fx_assets.features import feature_set
from fx_assets.resources import LakeResource
from fx_assets.specs import FeedSpec
from fx_assets.stages.refusal import require_bars
from fx_assets.tables import FEATURES, NUMBER, PRICES, READING_COLUMN, Column


def feature_columns(name: str, bar: timedelta) -> list[Made]:
    """The columns of a feature set, and which of the bars' columns they are made of."""
    made_of = [f"{PRICES.name}.{column}" for column in FEATURE_SETS[name].reads]
    features = feature_set(name, bar).features
    return [(Column(f.name, NUMBER, f.meaning, f.unit), made_of) for f in features]


def build_features(feed: FeedSpec, name: str) -> dg.AssetsDefinition:
    """The asset of a feed's features of a set, for every forecast that reads them."""

    @asset_of(
        feed,
        (FEATURES.name, name),
        f"Feature set {name}: what is known at each bar of {feed.instrument}.",
        "deltalake",
        "numpy",
        table=FEATURES,
        more=feature_columns(name, feed.market.bar),
        ins={"prices": dg.AssetIn(key=[feed.name, PRICES.name])},
    )
    def features(lake: LakeResource, prices: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
        from fx_assets.features.frame import feature_frame

        require_bars(lake.open(), feed)
        if prices.empty:
            raise NotEnoughDataError(
                f"{feed.name} has no bars, so there is nothing to learn or to predict from.",
                remedy="Load them: fx-assets run says why there are none.",
            )
        frame = feature_frame(prices, feature_set(name, feed.market.bar), feed.market, feed.name)
        frame.insert(0, READING_COLUMN, feed.reading)
        return dg.MaterializeResult(
            value=frame,
            data_version=content_version(frame),
            metadata={
                "dagster/row_count": len(frame),
                "last_bar": f"{frame['event_time'].iloc[-1]:%Y-%m-%d %H:%M} UTC",
            },
        )

    return features
