"""From features to walk-forward folds, and the newest fold's train and test rows."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.display import (
    Made,
    content_version,
    features_key,
    table_metadata,
)
from fx_assets.assets.features import feature_columns
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, SeriesOf, StudiesResource
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.tables import FEATURES, SPLITS, TEST_SET, TRAIN_SET, Table


def build_splits(spec: ForecastSpec, feed: FeedSpec, tables: SeriesOf) -> dg.AssetsDefinition:
    """Three tables: every fold's boundaries, and the newest fold's train and test rows."""
    rule = spec.walk_forward
    gap = spec.purge + rule.embargo
    carried: list[Made] = [
        (column, [f"{FEATURES.name}.{column.name}"])
        for column, _ in feature_columns(spec.features, feed.market.bar)
    ]
    out: list[tuple[Table, str, list[Made]]] = [
        (
            SPLITS,
            f"Boundaries of every walk-forward fold: {rule.scheme} window, a fit every "
            f"{rule.refit_every} bars, {gap} row(s) dropped between train and test.",
            [],
        ),
        (TRAIN_SET, "What the newest fold is trained on.", carried),
        (TEST_SET, "What the newest fold is tested on.", carried),
    ]

    @dg.multi_asset(
        name=f"{spec.name}__splits",
        pool=f"{spec.name}_retrain",
        ins={"features": dg.AssetIn(key=features_key(feed.name, spec.features))},
        outs={
            table.name: dg.AssetOut(
                key=[spec.name, table.name],
                group_name=spec.name,
                description=meaning,
                owners=spec.owners,
                kinds={"python", "deltalake"},
                metadata=table_metadata(table, feed.name, spec.name, more, spec.features),
            )
            for table, meaning, more in out
        },
    )
    def splits(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        studies: StudiesResource,
        features: pd.DataFrame,
    ) -> Iterator[dg.Output]:
        from fx_assets.evaluation.folds import fold_table, train_test_tables

        own = tables(lake)
        own.remember(clock.now(), context.run.run_id)
        study = studies.of(own, features)
        boundaries = fold_table(study.folds)
        train, test = train_test_tables(study.frame, study.folds)
        yield dg.Output(
            boundaries,
            output_name=SPLITS.name,
            data_version=content_version(boundaries),
            metadata={
                "dagster/row_count": len(boundaries),
                "folds": dg.MetadataValue.md(
                    markdown_table(list(boundaries.columns), boundaries.tail(8).to_numpy().tolist())
                ),
            },
        )
        for table, rows in ((TRAIN_SET.name, train), (TEST_SET.name, test)):
            yield dg.Output(
                rows,
                output_name=table,
                data_version=content_version(rows),
                metadata={"dagster/row_count": len(rows)},
            )

    return splits
