"""Explanations of issued predictions, kept beside them: a file each, written once.

What is kept is what Dagster's UI shows, so that the server need compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fx_assets.bundles.records import Blobs, version_of
from fx_assets.explaining.explain import Explanation
from fx_assets.tables import SERIES_COLUMN


def explanation_paths(forecast: str, row: Mapping[str, Any]) -> list[str]:
    """Where the explanation of an issued row is kept, and where it was before rows had a series."""
    series, event_time = row.get(SERIES_COLUMN), row["event_time"].astimezone(UTC)
    folders = [f"{forecast}/{series}", forecast] if series else [forecast]
    return [f"explanations/{folder}/{event_time:%Y%m%dT%H%M%SZ}.json" for folder in folders]


class KeptExplanation(Explanation):
    """An explanation with the bar that its prediction was made from."""

    event_time: datetime
    """When that bar closed (UTC)."""
    decision_time: datetime


def keep_explanation(blobs: Blobs, said: Explanation, row: Mapping[str, Any]) -> bool:
    """Store the explanation of an issued row, unless it is there.

    Parameters
    ----------
    said
        Made from what the champion reads now.
    row
        Of the ``predictions`` table.

    Returns
    -------
    bool
        Whether the row is explained: not where its inputs have been revised since it was issued, so
        that the explanation would be one of another prediction.
    """
    if (said.version, said.prediction) != (version_of(row), float(row["prediction"])):
        return False
    path = explanation_paths(said.forecast, row)[0]
    if not blobs.blob_exists(path):
        times = {name: row[name].astimezone(UTC) for name in ("event_time", "decision_time")}
        kept = KeptExplanation.model_validate(said.model_dump() | times)
        blobs.write_blob(path, kept.model_dump_json().encode())
    return True
