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
    accepted = _wanted(request.headers.get("accept", ""))
    best: tuple[float, Form] = (accepted.get("application/json", 0.0), "json")
    for kind, form in ((CSV, "csv"), (PARQUET, "parquet")):
        # Whoever names a form, even beside others, means it; */* is content with JSON.
        if accepted.get(kind, 0.0) > 0 and accepted[kind] >= best[0]:
            best = accepted[kind], cast("Form", form)
    return best[1]


def _wanted(header: str) -> dict[str, float]:
    """Media types with their weights (RFC 9110); one that is malformed weighs nothing."""
    found = {}
    for part in header.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weight = min(1.0, max(0.0, float(value)))
                except ValueError:
                    weight = 0.0
        found[kind] = weight if weight == weight else 0.0
    return found
