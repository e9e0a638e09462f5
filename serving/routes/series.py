"""What a forecast is, and was, about; and the parameter that asks for an earlier series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request

from fx_assets.bundles.records import Manifest
from serving.http.openapi import described
from serving.http.problems import Problem
from serving.http.responses import Raw
from serving.queries.query import EarlierBundles
from serving.routes.caching import conditional
from serving.routes.parameters import NO_CHOICE, Chosen, Name
from serving.schemas import SeriesFacts, SeriesList
from serving.state.server import Server
from serving.state.service import Service

TAG = "records"
OfSeries = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{16}$",
        description="An earlier series of the forecast, as in GET .../series; by default the one "
        "in service.",
    ),
]


def add(routes: APIRouter, server: Server) -> None:
    """Add ``GET /v1/forecasts/{forecast}/series``."""

    @routes.get(
        "/v1/forecasts/{forecast}/series",
        summary="What the forecast is, and was, about",
        description="A forecast whose feed, instrument, reading, target or horizon changes is "
        "another series. History, performance and champions of an earlier one are had with "
        "``series=``.",
        **described(TAG, SeriesList, problems=(400, 404, 422, 503), cached=True),
    )
    async def series(forecast: Name, request: Request, choice: Chosen = NO_CHOICE) -> Raw:
        service = await server.bundled(forecast, choice)
        found = await _bundles(server, service)
        rows = [
            SeriesFacts(
                series=one or None,
                feed=manifest.feed,
                instrument=manifest.instrument,
                target=manifest.target,
                horizon=manifest.horizon,
                version=manifest.version,
                trained_through=manifest.trained_through,
                in_service=manifest.version == service.champion.version,
            )
            for one, manifest in found.items()
        ]
        return conditional(request, server, service, SeriesList(forecast, rows))


async def asked_for(server: Server, service: Service, series: str | None) -> Manifest:
    """The newest bundle of the series that is asked for, by default the champion's.

    Raises
    ------
    Problem
        404: the forecast was never about it.
    """
    present = service.champion.manifest
    if series is None or series == present.series:
        return present
    found = (await _bundles(server, service)).get(series)
    if found is None:
        raise Problem(
            404,
            "unknown-series",
            f"{service.name} was never about a series {series}.",
            field="series",
            value=series,
            remedy=f"GET /v1/forecasts/{service.name}/series lists what it was about.",
        )
    return found


async def _bundles(server: Server, service: Service) -> Mapping[str, Manifest]:
    return await server.tables.ask(EarlierBundles(service.champion.manifest))
