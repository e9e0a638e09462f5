"""What is served: the list, and the forecast, model card and status of each."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from fx_assets.tables import DECISIONS, DRIFT, SCORES
from serving.http.openapi import described
from serving.http.responses import Raw, json_answer, json_bytes
from serving.http.shortcuts import Headers
from serving.queries.reader import sources
from serving.routes.caching import conditional, matches
from serving.routes.parameters import IsoDate, Name
from serving.routes.reasons import in_force
from serving.schemas import Forecast, ForecastList, ForecastSummary, ModelCard, Status
from serving.state import metrics
from serving.state.cards import model_card
from serving.state.server import Server
from serving.state.service import Service

TAGS: list[str | Enum] = ["forecasts"]


def add(routes: APIRouter, server: Server) -> None:
    """Add ``GET /v1/forecasts`` and what there is of one forecast."""

    @routes.get(
        "/v1/forecasts",
        summary="Every forecast that is served",
        tags=TAGS,
        response_class=Response,
        **described(ForecastList, problems=(503,), cached=True),
    )
    async def list_forecasts(request: Request) -> Raw:
        services = server.store.any()
        now = server.now()
        rows = [_summary(service, now) for service in services.values()]
        body = json_bytes(ForecastList(rows))
        for row in rows:
            if row.data is not None:
                row.data.age_seconds = 0.0
        soonest = min(services.values(), key=lambda service: _next_bar(service, now))
        return conditional(request, server, soonest, body, identity=rows)

    def latest(forecast: str, headers: Headers, _body: bytes) -> Raw:
        ready = server.latest(forecast)
        metrics.told(forecast, ready.version)
        given = headers.get(b"if-none-match")
        if given is not None and matches(given.decode("latin-1"), ready.etag):
            return ready.unchanged
        return ready.response

    routes.get(
        "/v1/forecasts/{forecast}/latest",
        summary="The newest forecast, as it was issued",
        tags=TAGS,
        response_class=Response,
        **described(Forecast, problems=(404, 503), cached=True, named=True),
    )(server.shortcuts.add("GET", "latest", latest))

    @routes.get(
        "/v1/forecasts/{forecast}/issued",
        summary="The forecast that was in force at a date and hour",
        description="The newest forecast with a decision time by then, exactly as it was issued.",
        tags=TAGS,
        response_class=Response,
        **described(Forecast, problems=(404, 422, 503)),
    )
    async def issued(
        forecast: Name,
        date: Annotated[IsoDate, Query(description="Date in UTC.", examples=["2026-10-30"])],
        hour: Annotated[int, Query(ge=0, le=23, description="Hour in UTC.")] = 23,
    ) -> Raw:
        service = server.store.get(forecast)
        end = datetime(date.year, date.month, date.day, hour, 59, 59, 999_999, tzinfo=UTC)
        row = await in_force(server, service, end)
        answer = service.issued(row, server.now())
        metrics.told(forecast, answer.champion.version)
        return _json(answer)

    @routes.get(
        "/v1/forecasts/{forecast}/model",
        summary="Model card",
        tags=TAGS,
        response_class=Response,
        **described(ModelCard, problems=(404, 422, 503), cached=True),
    )
    async def model(forecast: Name, request: Request) -> Raw:
        service = server.store.get(forecast)
        decisions, measures = await server.tables.derive(
            forecast,
            sources(forecast, DECISIONS, SCORES),
            "serving.queries.measures:records",
            service.champion.manifest,
        )
        card = model_card(service, decisions, measures)
        return conditional(request, server, service, card)

    @routes.get(
        "/v1/forecasts/{forecast}/status",
        summary="Freshness of the data, and drift",
        tags=TAGS,
        response_class=Response,
        **described(Status, problems=(404, 422, 503)),
    )
    async def status(forecast: Name) -> Raw:
        service = server.store.get(forecast)
        drift, measured = await server.tables.derive(
            forecast,
            sources(forecast, DRIFT),
            "serving.queries.newest:drift",
            service.champion.manifest,
        )
        answer = Status(
            forecast=forecast,
            data=service.data(server.now()),
            predictions_issued_at=None if service.row is None else service.row["issued_at"],
            drift=drift,
            drift_measured_at=measured,
            series=service.series,
        )
        return _json(answer)


def _json(value: object) -> Raw:
    return json_answer(value, {"cache-control": "no-cache"})


def _summary(service: Service, now: datetime) -> ForecastSummary:
    manifest, definition = service.champion.manifest, service.champion.definition
    return ForecastSummary(
        forecast=service.name,
        instrument=manifest.instrument,
        target=manifest.target,
        title=definition.wording.title,
        horizon=manifest.horizon,
        unit=manifest.target_unit,
        format=definition.shown,
        feed=manifest.feed,
        champion=service.champion.ref,
        skill=service.skill,
        data=service.data(now),
        stale=service.stale,
        refused=service.refused,
        series=service.series,
    )


def _next_bar(service: Service, now: datetime) -> datetime:
    data = service.data(now)
    return now if data is None else data.next_bar_expected
