"""What was said and what came of it: history, performance, and prices with features."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request

from fx_assets.calendars import calendar
from fx_assets.targets import target_definition
from serving.http.openapi import described
from serving.http.problems import Problem
from serving.http.responses import Raw, json_bytes, spliced
from serving.queries.formats import CONTENT_TYPES, CSV, PARQUET, Form, Page, chosen_form
from serving.queries.query import HistoryPage, LiveCandidates, PerformanceOf, PricePage
from serving.queries.windows import Window
from serving.routes.caching import conditional
from serving.routes.parameters import (
    NO_CHOICE,
    Before,
    Chosen,
    Format,
    From,
    Limit,
    Name,
    To,
    as_utc,
)
from serving.routes.series import OfSeries, asked_for
from serving.schemas import History, LiveEvidence, Performance, Prices
from serving.state.champions import ref_of
from serving.state.server import Server
from serving.state.service import Service

FILES = {
    CSV: {"schema": {"type": "string"}},
    PARQUET: {"schema": {"type": "string", "format": "binary"}},
}


TAG = "records"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``GET /v1/forecasts/{forecast}/history``, ``/performance``, ``/live``, ``/prices``."""

    @routes.get(
        "/v1/forecasts/{forecast}/history",
        summary="Predictions with what came of them, newest first",
        description="Issued predictions, or the champion's walk-forward backtest; never both.",
        **described(TAG, History, problems=(400, 404, 409, 422, 503), other=FILES, cached=True),
    )
    async def history(
        forecast: Name,
        request: Request,
        mode: Annotated[
            Literal["issued", "live", "late", "backtest"],
            Query(description="issued: live and late ones; live: before the outcome only."),
        ] = "issued",
        start: From = None,
        to: To = None,
        before: Before = None,
        limit: Limit = 250,
        format: Format = "json",
        series: OfSeries = None,
        choice: Chosen = NO_CHOICE,
    ) -> Raw:
        service = await server.find(forecast, choice)
        manifest = await asked_for(server, service, series)
        window = _window(start, to, before, limit)
        form = chosen_form(request, format)
        page = await server.tables.ask(HistoryPage(manifest, mode, window, form))
        about = {
            "forecast": service.name,
            "bars_a_year": calendar(manifest.calendar).bars_a_year,
        }
        return _paged(request, server, service, page, form, about, manifest.series or series)

    @routes.get(
        "/v1/forecasts/{forecast}/performance",
        summary="How good it was: rolling skill, scores, reliability, coverage",
        **described(TAG, Performance, problems=(400, 404, 422, 503), cached=True),
    )
    async def measured(
        forecast: Name,
        request: Request,
        window: Annotated[
            int, Query(ge=60, le=2000, description="Outcomes that a rolling value looks back on.")
        ] = 250,
        series: OfSeries = None,
        choice: Chosen = NO_CHOICE,
    ) -> Raw:
        service = await server.find(forecast, choice)
        manifest = await asked_for(server, service, series)
        strategy = service.strategy if manifest.series == service.champion.manifest.series else None
        asked = PerformanceOf(manifest, ref_of(manifest), window, strategy)
        answer = await server.tables.ask(asked)
        answer = msgspec.structs.replace(answer, series=manifest.series or series)
        return conditional(request, server, service, answer)

    @routes.get(
        "/v1/forecasts/{forecast}/live",
        summary="What each candidate would have done live",
        description="Shadow predictions of every candidate on live rows alone; never the forecast.",
        **described(TAG, LiveEvidence, problems=(400, 404, 422, 503), cached=True),
    )
    async def live(
        forecast: Name,
        request: Request,
        series: OfSeries = None,
        choice: Chosen = NO_CHOICE,
    ) -> Raw:
        service = await server.find(forecast, choice)
        manifest = await asked_for(server, service, series)
        found = await server.tables.ask(LiveCandidates(manifest))
        answer = LiveEvidence(
            forecast=forecast,
            metric=target_definition(manifest.target).loss_name,
            candidates=found,
            series=manifest.series or series,
        )
        return conditional(request, server, service, answer)

    @routes.get(
        "/v1/forecasts/{forecast}/prices",
        summary="Bars, with features, newest first",
        **described(TAG, Prices, problems=(400, 404, 409, 422, 503), other=FILES, cached=True),
    )
    async def prices(
        forecast: Name,
        request: Request,
        features: Annotated[
            bool, Query(description="Whether each bar comes with its features.")
        ] = True,
        start: From = None,
        to: To = None,
        before: Before = None,
        limit: Limit = 250,
        format: Format = "json",
        choice: Chosen = NO_CHOICE,
    ) -> Raw:
        service = await server.find(forecast, choice)
        manifest = service.champion.manifest
        window = _window(start, to, before, limit)
        form = chosen_form(request, format)
        page = await server.tables.ask(PricePage(manifest, features, window, form))
        about = {"forecast": service.name, "feed": service.feed}
        return _paged(request, server, service, page, form, about, service.series)


def _window(start: date | None, to: date | None, before: datetime | None, limit: int) -> Window:
    if start is not None and to is not None and start > to:
        raise Problem(
            409,
            "empty-range",
            f"from={start} is after to={to}.",
            field="from",
            value=start.isoformat(),
            remedy="Swap them.",
        )
    return Window(start, to, as_utc(before), limit)


def _next(request: Request, oldest: datetime | None) -> str | None:
    if oldest is None:
        return None
    url = request.url.include_query_params(before=oldest.isoformat().replace("+00:00", "Z"))
    return f"{url.path}?{url.query}"


def _paged(
    request: Request,
    server: Server,
    service: Service,
    page: Page,
    form: Form,
    about: Mapping[str, object],
    series: str | None,
) -> Raw:
    """A page, with the address of the one that follows it; as JSON also what it is about."""
    body, following = page.content, _next(request, page.oldest)
    if form == "json":
        rows = {"rows": spliced(body), "next": following, "series": series}
        body = json_bytes({**about, **rows})
    answer = conditional(request, server, service, body, content_type=CONTENT_TYPES[form])
    if following is not None:
        answer.raw_headers.append((b"link", f'<{following}>; rel="next"'.encode("latin-1")))
    return answer
