"""Predictions from the caller's own features or bars, one or many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request

from serving.http.bodies import Body, require_batch
from serving.http.openapi import described
from serving.http.responses import Raw, json_bytes
from serving.http.shortcuts import Headers, content_type
from serving.routes.parameters import NO_CHOICE, Chosen, Name
from serving.schemas import Bars, BarSeries, FeatureRows, Features, Forecast, Forecasts
from serving.state.predicting import from_bars, from_features, need_data
from serving.state.server import Server
from serving.state.service import Service

Answering = Callable[[Service], Raw]
Reading = Callable[[Headers, bytes], Answering]
"""Reads a request, and gives what answers it for the forecast that it is about."""
Endpoint = Callable[..., Awaitable[Raw]]
PROBLEMS = (400, 404, 409, 413, 415, 422, 503)


TAG = "predict"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``POST /v1/forecasts/{forecast}/predict/...``."""
    features_body, rows_body = Body(Features), Body(FeatureRows)
    bars_body, series_body = Body(Bars), Body(BarSeries)
    store, limit = server.store, server.settings.max_batch

    def features(headers: Headers, content: bytes) -> Answering:
        body = features_body.decode(content_type(headers), content)

        def answer(service: Service) -> Raw:
            data = need_data(service, server.now())
            return Raw(json_bytes(from_features(service, [body.features], "features", data)[0]))

        return answer

    def feature_rows(headers: Headers, content: bytes) -> Answering:
        body = rows_body.decode(content_type(headers), content)
        require_batch(len(body.rows), limit, "rows")

        def answer(service: Service) -> Raw:
            data = need_data(service, server.now())
            return Raw(json_bytes(Forecasts(from_features(service, body.rows, "rows", data))))

        return answer

    def bars(headers: Headers, content: bytes) -> Answering:
        body = bars_body.decode(content_type(headers), content)
        return lambda service: Raw(json_bytes(from_bars(service, body.bars, server.now())))

    def bar_series(headers: Headers, content: bytes) -> Answering:
        body = series_body.decode(content_type(headers), content)
        require_batch(len(body.series), limit, "series")

        def answer(service: Service) -> Raw:
            now = server.now()
            made = [
                from_bars(service, one.bars, now, f"series[{i}].bars")
                for i, one in enumerate(body.series)
            ]
            return Raw(json_bytes(Forecasts(made)))

        return answer

    def small(rest: str, read: Reading) -> Endpoint:
        """Answered at once; of one instrument before the framework looks at the request."""

        def handler(forecast: str, headers: Headers, content: bytes) -> Raw:
            return read(headers, content)(store.get(forecast))

        handler.__name__ = rest.replace("/", "_")
        fast = server.shortcuts.add("POST", rest, handler)

        async def endpoint(request: Request, choice: Chosen = NO_CHOICE) -> Raw:
            forecast = request.path_params["forecast"]
            if forecast not in store.universes and not choice.made:
                return await fast(request)
            answer = read(dict(request.scope["headers"]), await request.body())
            return answer(await server.bundled(forecast, choice))

        endpoint.__name__ = handler.__name__
        return endpoint

    def large(name: str, read: Reading) -> Endpoint:
        """Answered beside the event loop."""

        async def endpoint(forecast: Name, request: Request, choice: Chosen = NO_CHOICE) -> Raw:
            headers, content = dict(request.scope["headers"]), await request.body()
            if forecast in store.universes or choice.made:
                service = await server.bundled(forecast, choice)
                return await server.aside(lambda: read(headers, content)(service))
            return await server.aside(lambda: read(headers, content)(store.get(forecast)))

        endpoint.__name__ = name
        return endpoint

    routes.post(
        "/v1/forecasts/{forecast}/predict/features",
        summary="Predict from features",
        description="The champion's inputs by name, in any order: all of them, and no others. "
        "Interval and baseline are those of the newest bar that the server knows.",
        **described(TAG, Forecast, body=Features, problems=PROBLEMS, named=True),
    )(small("predict/features", features))

    routes.post(
        "/v1/forecasts/{forecast}/predict/features/batch",
        summary="Predict from many rows of features",
        **described(TAG, Forecasts, body=FeatureRows, problems=PROBLEMS),
    )(large("predict_feature_rows", feature_rows))

    routes.post(
        "/v1/forecasts/{forecast}/predict/bars",
        summary="Predict from bars",
        description="The platform computes the features of the newest bar, with the function that "
        "training used. Features, baseline and interval come from these bars alone.",
        **described(TAG, Forecast, body=Bars, problems=PROBLEMS, named=True),
    )(small("predict/bars", bars))

    routes.post(
        "/v1/forecasts/{forecast}/predict/bars/batch",
        summary="Predict from many series of bars",
        **described(TAG, Forecasts, body=BarSeries, problems=PROBLEMS),
    )(large("predict_bar_series", bar_series))
