"""What is served: the list, and the forecast, model card and status of each."""

from __future__ import annotations

from datetime import datetime

import msgspec
from fastapi import APIRouter, Request

from fx_assets.bundles.universes import PanelTarget, UniverseFacts
from fx_assets.calendars import calendar
from fx_assets.plural import sentence_case
from fx_assets.targets import target_definition
from serving.http.openapi import described
from serving.http.problems import Problem
from serving.http.responses import Raw, json_answer, json_bytes, ledger_head
from serving.http.shortcuts import Headers
from serving.market import bar_day
from serving.queries.query import DriftReport, Records
from serving.routes.caching import conditional, matches
from serving.routes.parameters import NO_CHOICE, AtHour, BelowValue, Chosen, Name, OnDay
from serving.routes.reasons import in_force
from serving.schemas import (
    Forecast,
    ForecastList,
    ForecastSummary,
    Instruments,
    InstrumentState,
    ModelCard,
    Newest,
    Status,
    UniverseSummary,
    UniverseTarget,
    Unpublished,
)
from serving.state import metrics
from serving.state.cards import model_card
from serving.state.server import Server
from serving.state.service import Service
from serving.state.store import Store
from serving.state.terms import as_shown, factor_of, term_of

TAG = "forecasts"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``GET /v1/forecasts`` and what there is of one forecast."""

    @routes.get(
        "/v1/forecasts",
        summary="Every forecast that is served",
        **described(TAG, ForecastList, problems=(503,), cached=True),
    )
    async def list_forecasts(request: Request) -> Raw:
        paused = server.store.declared.paused
        universes = [
            _universe(facts, paused=name in paused, retired=server.store.retired(name))
            for name, facts in server.store.universes.items()
        ]
        services = server.store.listed()
        now = server.now()
        awake_first = sorted(services.values(), key=lambda one: (one.retired, one.paused))
        rows = [_summary(service, now) for service in awake_first]
        listed = ForecastList(rows, universes, _unpublished(server.store))
        if not services:
            return _json(listed)
        body = json_bytes(listed)
        for row in rows:
            if row.data is not None:
                row.data.age_seconds = 0.0
        soonest = min(services.values(), key=lambda one: (one.retired, _next_bar(one, now)))
        return conditional(request, server, soonest, body, identity=listed)

    def latest(forecast: str, headers: Headers, _body: bytes) -> Raw:
        ready = server.latest(forecast)
        metrics.told(forecast, ready.version)
        given = headers.get(b"if-none-match")
        if given is not None and matches(given.decode("latin-1"), ready.etag):
            return ready.unchanged
        return ready.response

    fast = server.shortcuts.add("GET", "latest", latest)

    async def newest(
        forecast: Name,
        request: Request,
        choice: Chosen = NO_CHOICE,
        below: BelowValue = None,
    ) -> Raw:
        horizons = server.store.horizons(forecast)
        asked = choice.made or below is not None or bool(horizons)
        if forecast not in server.store.universes and not asked:
            return await fast(request)
        service = await server.find(forecast, choice)
        points = term_of(horizons, server.now()) if horizons else []
        factor = factor_of(points, service.champion.manifest.horizon)
        answer = service.with_below(service.newest_row, server.now(), below, factor)
        if horizons:
            answer = as_shown(answer, points)
        same = msgspec.structs.replace(
            answer, data=msgspec.structs.replace(answer.data, age_seconds=0.0)
        )
        head = ledger_head(answer)
        return conditional(request, server, service, answer, identity=same, more=head)

    routes.get(
        "/v1/forecasts/{forecast}/latest",
        summary="The newest forecast, as it was issued",
        **described(TAG, Forecast, problems=(400, 404, 422, 503), cached=True),
    )(newest)

    @routes.get(
        "/v1/forecasts/{forecast}/instruments",
        summary="The instruments of a universe, and what is said of them",
        **described(TAG, Instruments, problems=(404, 422, 503)),
    )
    async def instruments(forecast: Name) -> Raw:
        facts = server.store.universes.get(forecast)
        if facts is None:
            service = server.store.get(forecast)
            raise Problem(
                404,
                "of-one-instrument",
                f"{forecast} is of {service.champion.manifest.instrument} alone.",
                field="forecast",
                value=forecast,
                remedy=f"Ask /v1/forecasts/{forecast}/latest.",
            )
        told = await server.store.said(facts)
        summary = _universe(facts)
        return _json(
            Instruments(
                forecast=forecast,
                bars_a_year=summary.bars_a_year,
                targets=summary.targets,
                instruments=[
                    InstrumentState(one.instrument, one.state) for one in facts.instruments
                ],
                said=told,
            )
        )

    @routes.get(
        "/v1/forecasts/{forecast}/issued",
        summary="The forecast that was in force at a date and hour",
        description="The newest forecast with a decision time by then, exactly as it was issued.",
        **described(TAG, Forecast, problems=(404, 422, 503)),
    )
    async def issued(
        forecast: Name,
        date: OnDay,
        hour: AtHour = 23,
        choice: Chosen = NO_CHOICE,
        below: BelowValue = None,
    ) -> Raw:
        service = await server.find(forecast, choice)
        row = await in_force(server, service, date, hour)
        answer = service.with_below(row, server.now(), below)
        metrics.told(forecast, answer.champion.version)
        return json_answer(answer, {"cache-control": "no-cache", **ledger_head(answer)})

    @routes.get(
        "/v1/forecasts/{forecast}/model",
        summary="Model card",
        **described(TAG, ModelCard, problems=(400, 404, 422, 503), cached=True),
    )
    async def model(forecast: Name, request: Request, choice: Chosen = NO_CHOICE) -> Raw:
        service = await server.bundled(forecast, choice)
        decisions, measures = await server.tables.ask(Records(service.champion.manifest))
        card = model_card(service, decisions, measures)
        return conditional(request, server, service, card)

    @routes.get(
        "/v1/forecasts/{forecast}/status",
        summary="Freshness of the data, and drift",
        **described(TAG, Status, problems=(400, 404, 422, 503)),
    )
    async def status(forecast: Name, choice: Chosen = NO_CHOICE) -> Raw:
        service = await server.find(forecast, choice)
        drift, measured = await server.tables.ask(DriftReport(service.champion.manifest))
        answer = Status(
            forecast=service.name,
            data=service.data(server.now()),
            predictions_issued_at=None if service.row is None else service.row["issued_at"],
            drift=drift,
            drift_measured_at=measured,
            series=service.series,
        )
        return _json(answer)


def _json(value: object) -> Raw:
    return json_answer(value, {"cache-control": "no-cache"})


def _universe(
    facts: UniverseFacts, *, paused: bool = False, retired: bool = False
) -> UniverseSummary:
    return UniverseSummary(
        forecast=facts.forecast,
        description=facts.description,
        bars_a_year=calendar(facts.calendar).bars_a_year,
        targets=[_target(one) for one in facts.targets],
        instruments=[one.instrument for one in facts.instruments],
        paused=paused,
        retired=retired,
    )


def _target(one: PanelTarget) -> UniverseTarget:
    definition = target_definition(one.kind)
    return UniverseTarget(
        target=one.kind,
        horizon=one.horizon,
        unit=one.unit,
        baseline=one.baseline,
        title=definition.wording.title,
        format=definition.shown,
        outcomes=definition.wording.outcomes,
    )


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
        bars_a_year=service.champion.market.bars_a_year,
        newest=_newest(service),
        published_at=service.champion.bundle.ref.published_at,
        paused=service.paused,
        retired=service.retired,
        term=manifest.term or None,
    )


def _newest(service: Service) -> Newest | None:
    row = service.row
    if row is None:
        return None
    calendar = service.champion.manifest.calendar
    return Newest(
        value=row["prediction"],
        lower=row["lower"],
        upper=row["upper"],
        target_time=row["target_time"],
        target_day=bar_day(calendar, row["target_time"]),
        issued_at=row["issued_at"],
    )


def _unpublished(store: Store) -> list[Unpublished]:
    """What is declared and not served; declarations may be elsewhere, then nothing is known."""
    served = store.services.keys() | store.universes.keys()
    missing = (store.declared.series.keys() | store.declared.universes.keys()) - served
    return [_missing(store, name) for name in sorted(missing)]


def _missing(store: Store, name: str) -> Unpublished:
    series = store.declared.series.get(name)
    refused, foreign = store.refused.get(name), store.foreign.get(name)
    return Unpublished(
        forecast=name,
        instrument=series.instrument if series else None,
        title=(
            target_definition(series.kind).wording.title
            if series
            else store.declared.universes[name].title
        ),
        horizon=series.horizon if series else None,
        paused=name in store.declared.paused,
        state="refused" if refused else "of another series" if foreign else "not published",
        reason=refused or foreign or f"{sentence_case(store.awaited(name))}.",
    )


def _next_bar(service: Service, now: datetime) -> datetime:
    data = service.data(now)
    return now if data is None else data.next_bar_expected
