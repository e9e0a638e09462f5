"""Path and query parameters that several routes take."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import Path, Query

from serving.openapi import NAME

Name = Annotated[
    str,
    Path(
        pattern=NAME,
        description="Name of a forecast, as in GET /v1/forecasts.",
    ),
]
From = Annotated[
    date | None, Query(alias="from", description="First day, by the bar's event time in UTC.")
]
To = Annotated[date | None, Query(description="Last day, included.")]
Before = Annotated[
    datetime | None,
    Query(description="Only rows whose event time is before this instant: the next page."),
]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Most rows of a page.")]
Format = Annotated[
    Literal["json", "csv", "parquet"], Query(description="Of the answer; wins over Accept.")
]


def as_utc(moment: datetime | None) -> datetime | None:
    """The instant in UTC; one without an offset is taken as UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)
