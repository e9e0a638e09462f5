"""Why: what moved an issued forecast, and what made its champion champion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request

from fx_assets.bundles.universes import folder_of
from fx_assets.explaining.explanations import explanation_paths
from fx_assets.tables import SERIES_COLUMN
from serving.http.openapi import described
from serving.http.problems import Problem
from serving.http.responses import Raw
from serving.queries.query import Reigns, RowAt
from serving.queries.windows import microseconds
from serving.routes.caching import conditional
from serving.routes.parameters import NO_CHOICE, AtHour, Chosen, Name, OnDay
from serving.routes.series import OfSeries, asked_for
from serving.schemas import Champions, Explanation
from serving.state.server import Server
from serving.state.service import Service

TAG = "reasons"
_decode = msgspec.json.Decoder(Explanation).decode


def add(routes: APIRouter, server: Server) -> None:
    """Add ``/latest/explanation``, ``/issued/explanation`` and ``/champions``."""

    @routes.get(
        "/v1/forecasts/{forecast}/latest/explanation",
        summary="Why the newest forecast says what it says",
        description="Shapley values of its inputs, as they were computed when it was issued.",
        **described(TAG, Explanation, problems=(400, 404, 422, 503), cached=True),
    )
    async def latest_explanation(
        forecast: Name, request: Request, choice: Chosen = NO_CHOICE
    ) -> Raw:
        service = await server.find(forecast, choice)
        issued = service.latest(server.now())
        assert service.row is not None  # noqa: S101
        answer = await _explanation(server, service, service.row, issued.decision_time)
        return conditional(request, server, service, answer)

    @routes.get(
        "/v1/forecasts/{forecast}/issued/explanation",
        summary="Why the forecast that was in force at a date and hour said what it said",
        **described(TAG, Explanation, problems=(400, 404, 422, 503), cached=True),
    )
    async def issued_explanation(
        forecast: Name,
        request: Request,
        date: OnDay,
        hour: AtHour = 23,
        choice: Chosen = NO_CHOICE,
    ) -> Raw:
        service = await server.find(forecast, choice)
        row = await in_force(server, service, date, hour)
        answer = await _explanation(server, service, row, row["decision_time"])
        return conditional(request, server, service, answer)

    @routes.get(
        "/v1/forecasts/{forecast}/champions",
        summary="Who was champion when, why, and on which evidence",
        **described(TAG, Champions, problems=(400, 404, 422, 503), cached=True),
    )
    async def champions(
        forecast: Name, request: Request, series: OfSeries = None, choice: Chosen = NO_CHOICE
    ) -> Raw:
        service = await server.find(forecast, choice)
        manifest = await asked_for(server, service, series)
        reigns = await server.tables.ask(Reigns(manifest))
        answer = Champions(service.name, reigns, manifest.series or series)
        return conditional(request, server, service, answer)


async def in_force(server: Server, service: Service, day: date, hour: int) -> Mapping[str, Any]:
    """The row of the forecast that was in force at the end of an hour in UTC.

    Raises
    ------
    Problem
        404: none had been issued by then.
    """
    forecast, manifest = service.name, service.champion.manifest
    end = datetime(day.year, day.month, day.day, hour, 59, 59, 999_999, tzinfo=UTC)
    row, first = await server.tables.ask(RowAt(manifest, microseconds(end)))
    if row is None:
        raise Problem(
            404,
            "nothing-issued-then",
            f"No forecast of {forecast} had been issued by {end:%Y-%m-%d %H:%M} UTC.",
            field="date",
            value=day.isoformat(),
            remedy=(
                f"The first was decided at {first or 'no time yet'}; for earlier days see "
                f"/v1/forecasts/{forecast}/history?mode=backtest."
            ),
        )
    return row


async def _explanation(
    server: Server, service: Service, row: Mapping[str, Any], decided: datetime
) -> Explanation:
    forecast = service.name
    said = await _explained(server, service, row)
    if said is None:
        raise Problem(
            404,
            "not-explained",
            f"The forecast of {forecast} that was decided at {decided:%Y-%m-%d %H:%M} UTC has no "
            "explanation: several were issued at once, and only the newest of them is explained.",
            field="forecast",
            value=forecast,
            remedy=f"Materialize {forecast}/predictions of {row['day']} again.",
        )
    return said


async def _explained(
    server: Server, service: Service, row: Mapping[str, Any]
) -> Explanation | None:
    """The explanation of a row; one that was kept without a series, if it is of this row."""
    below = folder_of(service.champion.manifest)
    for path in explanation_paths(service.name, row):
        content = await server.tables.file(service.name, f"{below}{path}")
        said = None if content is None else _decode(content)
        if said and (f"v{said.version}", said.prediction) == (
            row["champion_version"],
            row["prediction"],
        ):
            return msgspec.structs.replace(said, series=row.get(SERIES_COLUMN) or None)
    return None
