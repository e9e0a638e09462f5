"""What a person sees of a table in the Dagster UI."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets.presentation.price_plot import price_svg
from fx_assets.tables import Table, described


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A GitHub-flavoured Markdown table; line breaks and bars inside cells are made harmless."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def image(picture: bytes, kind: str = "png") -> dg.MarkdownMetadataValue:
    """A picture, ``png`` or ``svg+xml``, embedded so that it needs no server."""
    data = base64.b64encode(picture).decode()
    return dg.MetadataValue.md(f"![plot](data:image/{kind};base64,{data})")


def bars_metadata(bars: pd.DataFrame, instrument: str) -> dict[str, Any]:
    """Row count, last bar and a price plot."""
    if bars.empty:
        return {"dagster/partition_row_count": 0}
    last = bars.iloc[-1]
    return {
        "dagster/partition_row_count": len(bars),
        "last_bar": f"{last['event_time']:%Y-%m-%d %H:%M} UTC",
        "last_close": float(last["close"]),
        "plot": image(price_svg(bars["event_time"], bars["close"], instrument).encode(), "svg+xml"),
    }


def content_version(frame: pd.DataFrame) -> dg.DataVersion:
    """Equal for equal rows: what comes after a table is out of date only if its rows changed."""
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    names = ",".join(map(str, frame.columns)).encode()
    return dg.DataVersion(hashlib.sha256(names + rows).hexdigest()[:16])


def schema_metadata(table: Table) -> dict[str, dg.TableSchema]:
    """What the columns of a table of the catalogue mean, for the UI."""
    columns = [(column.name, column.dtype, described(column)) for column in table.columns]
    return {"dagster/column_schema": table_schema(columns)}


def table_schema(columns: Iterable[tuple[str, str, str]]) -> dg.TableSchema:
    """A column schema from (name, type, meaning) triples."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name, kind, meaning) for name, kind, meaning in columns]
    )
