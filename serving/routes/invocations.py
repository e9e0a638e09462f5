"""Scoring in MLflow's format, so that clients of ``mlflow models serve`` work unchanged."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any, cast

import numpy as np
from fastapi import APIRouter, Request
from msgspec import Meta, Struct

from serving.http.bodies import Body, require_batch
from serving.http.middleware import LARGE
from serving.http.openapi import described
from serving.http.problems import Problem, shortened
from serving.http.responses import Raw, json_answer
from serving.http.shortcuts import Headers, content_type
from serving.routes.health import NO_STORE
from serving.routes.parameters import NO_CHOICE, Chosen, Name
from serving.state.champions import Champion
from serving.state.members import Choice
from serving.state.predicting import from_inputs, need_data
from serving.state.server import Server
from serving.state.service import Service

CSV = "text/csv"
BODIES: dict[str, dict[str, Any]] = {
    "application/json": {
        "schema": {
            "anyOf": [
                {"$ref": "#/components/schemas/Invocation"},
                {
                    "type": "array",
                    "items": {"type": "object", "additionalProperties": {"type": "number"}},
                },
            ]
        }
    },
    CSV: {"schema": {"type": "string"}},
}
PROBLEMS = (400, 404, 409, 413, 415, 422, 503)
Row = list[float]
Named = dict[str, float]


class Split(Struct, kw_only=True, forbid_unknown_fields=True):
    """A frame as pandas writes it with ``orient='split'``."""

    columns: list[str]
    data: list[Row]
    index: list[Any] | None = None


class Invocation(Struct, kw_only=True, forbid_unknown_fields=True):
    """Rows in exactly one of four forms."""

    dataframe_split: Split | None = None
    dataframe_records: list[Named] | None = None
    instances: Annotated[
        list[Named | Row] | None,
        Meta(description="Objects, or lists in the model's order."),
    ] = None
    inputs: Annotated[
        dict[str, float | Row] | list[Row] | None,
        Meta(description="Lists by name, or rows as lists in the model's order."),
    ] = None
    params: dict[str, Any] | None = None


class Predictions(Struct):
    """Answers in the order of the rows."""

    predictions: list[float]


TAG = "mlflow scoring"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``/invocations``, also below each forecast, and ``/ping``."""
    body = Body[Invocation | list[Named]](cast("Any", Invocation | list[Named]))

    def score(service: Service, headers: Headers, content: bytes) -> Raw:
        kind = content_type(headers)
        if kind.partition(";")[0].strip().lower() == CSV:
            inputs = _numbers(service.champion, _table(service.champion, content), CSV)
        else:
            asked = body.decode(kind, content)
            if isinstance(asked, list):
                asked = Invocation(dataframe_records=asked)
            inputs = _matrix(service.champion, asked)
        require_batch(len(inputs), server.settings.max_batch, "rows")
        data = need_data(service, server.now())
        made = from_inputs(service, inputs, data) if len(inputs) else []
        return json_answer(
            Predictions([one.value for one in made]),
            {
                "x-fx-forecast": service.name,
                "x-fx-model-version": str(service.champion.version),
                "x-fx-recipe": service.champion.manifest.recipe,
                "x-fx-data-as-of": data.as_of.isoformat(),
                "x-fx-freshness": data.freshness,
            },
        )

    async def scored(name: str, request: Request, choice: Choice = NO_CHOICE) -> Raw:
        service = await server.bundled(name, choice)
        headers, content = dict(request.scope["headers"]), await request.body()
        if len(content) > LARGE:
            return await server.aside(score, service, headers, content)
        return score(service, headers, content)

    @routes.post(
        "/invocations",
        summary="Score rows with the default forecast",
        description="The forecast that FX_SERVING_DEFAULT_FORECAST names, else the first by name "
        "of those that are declared. "
        "Headers name forecast, version and as-of time.",
        **described(TAG, Predictions, body=Invocation, bodies=BODIES, problems=PROBLEMS),
    )
    async def invocations(request: Request) -> Raw:
        first = min((one.retired, name) for name, one in server.store.any().items())
        name = server.settings.default_forecast or first[1]
        return await scored(name, request)

    @routes.post(
        "/v1/forecasts/{forecast}/invocations",
        summary="Score rows with a forecast",
        **described(TAG, Predictions, body=Invocation, bodies=BODIES, problems=PROBLEMS),
    )
    async def forecast_invocations(
        forecast: Name, request: Request, choice: Chosen = NO_CHOICE
    ) -> Raw:
        return await scored(forecast, request, choice)

    @routes.get(
        "/ping",
        summary="Whether rows can be scored",
        **described(TAG, other={"application/json": {"schema": {}}}, problems=(503,)),
    )
    async def ping() -> Raw:
        server.store.any()
        return Raw(b"{}\n", headers=NO_STORE)


def _table(champion: Champion, content: bytes) -> list[Named]:
    """Rows of a CSV whose header line names the inputs, also where no row follows."""
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = next(rows, [])
        if len(set(names)) < len(names) or not names:
            raise ValueError("the first line does not name each column once")
        found = []
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, not {len(names)}")
            found.append(dict(zip(names, map(float, row), strict=True)))
    except (ValueError, csv.Error) as error:
        raise Problem(
            409,
            "not-csv",
            f"The body is not a CSV of numbers: {shortened(str(error))}.",
            field="body",
            value=content[:80].decode("utf-8", "replace"),
            remedy="Send UTF-8 with a line of the inputs' names and a line of numbers a row.",
        ) from None
    champion.matrix([dict.fromkeys(names, 0.0)], CSV)
    return found


def _matrix(champion: Champion, asked: Invocation) -> np.ndarray:
    forms = ("dataframe_split", "dataframe_records", "instances", "inputs")
    given = [form for form in forms if getattr(asked, form) is not None]
    if len(given) != 1:
        raise _refused(
            "body", f"{len(given)} forms of rows are given ({', '.join(given) or 'none'})"
        )
    form = given[0]
    rows: Sequence[Named | Row]
    if asked.dataframe_split is not None:
        split = asked.dataframe_split
        if any(len(row) != len(split.columns) for row in split.data):
            raise _refused(form, "a row has another length than columns")
        rows = [dict(zip(split.columns, row, strict=True)) for row in split.data]
        if len(set(split.columns)) < len(split.columns):
            raise _refused(form, "a column is named twice")
    elif asked.dataframe_records is not None:
        rows = list(asked.dataframe_records)
    elif asked.instances is not None:
        rows = asked.instances
    else:
        rows = _transposed(asked.inputs) if isinstance(asked.inputs, dict) else asked.inputs or []
    return _numbers(champion, rows, form)


def _transposed(columns: dict[str, float | Row]) -> list[Named]:
    lists = {
        name: values if isinstance(values, list) else [values] for name, values in columns.items()
    }
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1:
        raise _refused("inputs", f"columns have different lengths: {sorted(lengths)[:5]}")
    return [
        {name: values[i] for name, values in lists.items()} for i in range(max(lengths, default=0))
    ]


def _numbers(champion: Champion, rows: Sequence[Named | Row], form: str) -> np.ndarray:
    width = len(champion.names)
    if not rows:
        return np.empty((0, width))
    named = [row for row in rows if isinstance(row, dict)]
    if len(named) == len(rows):
        return champion.matrix(named, form)
    if named or any(len(row) != width for row in rows):
        raise _refused(form, f"rows must be lists of {width} numbers, the inputs of the model")
    return np.array(rows, dtype=np.float64)


def _refused(field: str, reason: str) -> Problem:
    return Problem(
        409,
        "unusable-rows",
        f"{field}: {reason}.",
        field=field,
        remedy="Give exactly one of dataframe_split, dataframe_records, instances and inputs, with "
        "the inputs of the model card.",
    )
