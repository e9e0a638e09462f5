"""In which form rows are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from starlette.requests import Request

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
Form = Literal["json", "csv", "parquet"]
CONTENT_TYPES: dict[Form, bytes] = {
    "json": b"application/json",
    "csv": CSV.encode(),
    "parquet": PARQUET.encode(),
}


@dataclass(frozen=True)
class Page:
    """Rows, newest first, in one of the forms."""

    content: bytes
    """Of JSON, the list of rows."""
    oldest: datetime | None
    """Event time of the last row, if older ones follow."""


def chosen_form(request: Request, parameter: Form) -> Form:
    """What the query asks for, else what the Accept header names, else JSON."""
    if "format" in request.query_params:
        return parameter
    accepted = request.headers.get("accept", "")
    for kind, form in ((CSV, "csv"), (PARQUET, "parquet")):
        if kind in accepted:
            return cast("Form", form)
    return "json"
