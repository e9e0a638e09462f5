"""Path and query parameters that several routes take."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator

from serving.http.openapi import NAME
from serving.state.members import Choice


def chosen(
    instrument: Annotated[
        str | None,
        Query(
            pattern=r"^[A-Za-z0-9]{1,20}$",
            description="Of a forecast of many instruments: which, such as EURUSD.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        Query(pattern=NAME, description="Which of its targets, where it has several."),
    ] = None,
    horizon: Annotated[
        int | None, Query(ge=1, description="Which of its horizons, in bars.")
    ] = None,
) -> Choice:
    """Which member of a universe is asked for."""
    return Choice(instrument, target, horizon)


Chosen = Annotated[Choice, Depends(chosen)]
NO_CHOICE = Choice()
BelowValue = Annotated[
    float | None,
    Query(
        allow_inf_nan=False,
        description="In units of the target: the answer says how probable an outcome of at most "
        "this is. Of forecasts that state a distribution.",
    ),
]
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")

Name = Annotated[
    str,
    Path(
        pattern=NAME,
        description="Name of a forecast, as in GET /v1/forecasts.",
    ),
]


def _iso(value: object) -> object:
    """Only what ISO 8601 writes: a number would be taken for seconds since 1970."""
    if isinstance(value, str) and not _ISO.match(value):
        raise ValueError("a date such as 2026-10-30, or an instant such as 2026-10-30T15:00:00Z")
    return value


IsoDate = Annotated[date, BeforeValidator(_iso)]
OnDay = Annotated[IsoDate, Query(description="Date in UTC.", examples=["2026-10-30"])]
AtHour = Annotated[int, Query(ge=0, le=23, description="Hour in UTC.")]
From = Annotated[
    IsoDate | None, Query(alias="from", description="First day, by the bar's event time in UTC.")
]
To = Annotated[IsoDate | None, Query(description="Last day, included.")]
Before = Annotated[
    Annotated[datetime, BeforeValidator(_iso)] | None,
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
