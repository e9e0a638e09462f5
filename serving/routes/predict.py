"""Predictions from the caller's own features or bars, one or many."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Request, Response

from serving.http.bodies import Body, require_batch
from serving.http.openapi import described
from serving.http.responses import Raw, json_bytes
from serving.http.shortcuts import Handler, Headers, content_type
from serving.routes.parameters import Name
from serving.schemas import Bars, BarSeries, FeatureRows, Features, Forecast, Forecasts
from serving.state.predicting import from_bars, from_features, need_data
from serving.state.server import Server

PROBLEMS = (404, 409, 413, 415, 422, 503)


TAGS: list[str | Enum] = ["predict"]


def add(routes: APIRouter, server: Server) -> None:
    """Add ``POST /v1/forecasts/{forecast}/predict/...``."""
    features_body, rows_body = Body(Features), Body(FeatureRows)
    bars_body, series_body = Body(Bars), Body(BarSeries)
    store, limit = server.store, server.settings.max_batch

    def predict_features(forecast: str, headers: Headers, content: bytes) -> Raw:
        body = features_body.decode(content_type(headers), content)
        service = store.get(forecast)
        data = need_data(service, server.now())
        return Raw(json_bytes(from_features(service, [body.features], "features", data)[0]))

    routes.post(
        "/v1/forecasts/{forecast}/predict/features",
        summary="Predict from features",
        description="The champion's inputs by name, in any order: all of them, and no others. "
        "Interval and baseline are those of the newest bar that the server knows.",
        tags=TAGS,
        response_class=Response,
        **described(Forecast, body=Features, problems=PROBLEMS, named=True),
    )(server.shortcuts.add("POST", "predict/features", predict_features))

    async def batched(act: Handler, forecast: str, request: Request) -> Raw:
        headers, content = dict(request.scope["headers"]), await request.body()
        return await server.aside(act, forecast, headers, content)

    @routes.post(
        "/v1/forecasts/{forecast}/predict/features/batch",
        summary="Predict from many rows of features",
        tags=TAGS,
        response_class=Response,
        **described(Forecasts, body=FeatureRows, problems=PROBLEMS),
    )
    async def predict_feature_rows(forecast: Name, request: Request) -> Raw:
        return await batched(feature_rows, forecast, request)

    def feature_rows(forecast: str, headers: Headers, content: bytes) -> Raw:
        body = rows_body.decode(content_type(headers), content)
        require_batch(len(body.rows), limit, "rows")
        service = store.get(forecast)
        data = need_data(service, server.now())
        return Raw(json_bytes(Forecasts(from_features(service, body.rows, "rows", data))))

    def predict_bars(forecast: str, headers: Headers, content: bytes) -> Raw:
        body = bars_body.decode(content_type(headers), content)
        service = store.get(forecast)
        return Raw(json_bytes(from_bars(service, body.bars, server.now())))

    routes.post(
        "/v1/forecasts/{forecast}/predict/bars",
        summary="Predict from bars",
        description="The platform computes the features of the newest bar, with the function that "
        "training used. Features, baseline and interval come from these bars alone.",
        tags=TAGS,
        response_class=Response,
        **described(Forecast, body=Bars, problems=PROBLEMS, named=True),
    )(server.shortcuts.add("POST", "predict/bars", predict_bars))

    @routes.post(
        "/v1/forecasts/{forecast}/predict/bars/batch",
        summary="Predict from many series of bars",
        tags=TAGS,
        response_class=Response,
        **described(Forecasts, body=BarSeries, problems=PROBLEMS),
    )
    async def predict_bar_series(forecast: Name, request: Request) -> Raw:
        return await batched(bar_series, forecast, request)

    def bar_series(forecast: str, headers: Headers, content: bytes) -> Raw:
        body = series_body.decode(content_type(headers), content)
        require_batch(len(body.series), limit, "series")
        service, now = store.get(forecast), server.now()
        made = [
            from_bars(service, one.bars, now, f"series[{i}].bars")
            for i, one in enumerate(body.series)
        ]
        return Raw(json_bytes(Forecasts(made)))
