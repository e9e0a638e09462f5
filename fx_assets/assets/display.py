"""What a person sees of a table in the Dagster UI."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import dagster as dg
import pandas as pd

from fx_assets.presentation.price_plot import price_svg
from fx_assets.resources import LINEAGE
from fx_assets.tables import FEATURES, FEED_TABLES, Column, Table, described

Made: TypeAlias = tuple[Column, Sequence[str]]
"""A column, and those that it is made of, such as ``prices.close``."""


def image(svg: str) -> dg.MarkdownMetadataValue:
    """A picture, embedded so that it needs no server."""
    data = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/svg+xml;base64,{data})")


def link(address: str) -> dg.MetadataValue:
    """Where a page lies."""
    return dg.MetadataValue.url(address) if "://" in address else dg.MetadataValue.path(address)


def bars_metadata(bars: pd.DataFrame, instrument: str) -> dict[str, Any]:
    """Row count, last bar and a price plot."""
    if bars.empty:
        return {"dagster/partition_row_count": 0}
    last = bars.iloc[-1]
    return {
        "dagster/partition_row_count": len(bars),
        "last_bar": f"{last['event_time']:%Y-%m-%d %H:%M} UTC",
        "last_close": float(last["close"]),
        "plot": image(price_svg(bars["event_time"], bars["close"], instrument)),
    }


def content_version(frame: pd.DataFrame) -> dg.DataVersion:
    """Equal for equal rows: what comes after a table is out of date only if its rows changed."""
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    names = ",".join(map(str, frame.columns)).encode()
    return dg.DataVersion(hashlib.sha256(names + rows).hexdigest()[:16])


def features_key(feed: str, feature_set: str) -> dg.AssetKey:
    """The asset of a feed's features of a set."""
    return dg.AssetKey([feed, FEATURES.name, feature_set])


def table_metadata(
    table: Table, feed: str, forecast: str = "", more: Iterable[Made] = (), features: str = ""
) -> dict[str, Any]:
    """What the columns of a table mean and what they are made of, for the UI.

    Parameters
    ----------
    table
        Of the catalogue.
    feed, forecast
        Whose it is.
    more
        Columns besides those of the catalogue.
    features
        The feature set that it is made of, where it is.
    """
    others = list(more)
    columns = [*table.columns, *(column for column, _ in others)]
    parts: dict[str, list[dg.TableColumnDep]] = {}
    made_of = [(column.name, each) for column, of in others for each in of]
    for column, each in (*table.lineage, *made_of):
        source, _, name = each.partition(".")
        key = dg.AssetKey([feed if source in FEED_TABLES else forecast, source])
        if source == FEATURES.name:
            key = features_key(feed, features)
        parts.setdefault(column, []).append(dg.TableColumnDep(asset_key=key, column_name=name))
    schema = [dg.TableColumn(c.name, c.dtype, described(c)) for c in columns]
    return {
        "dagster/column_schema": dg.TableSchema(columns=schema),
        LINEAGE: dg.TableColumnLineage(parts),
    }
