"""The application: routes, the gate, error handlers, and its own description."""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from fx_assets.errors import FxAssetsError
from serving.http import openapi, problems
from serving.http.access_log import AccessLog
from serving.http.middleware import Gate
from serving.http.proxies import Proxies
from serving.http.security import Limiter, load_keys
from serving.routes import (
    forecasts,
    health,
    inference,
    invocations,
    predict,
    reasons,
    records,
    series,
)
from serving.settings import Settings, load_settings
from serving.state.children import Children
from serving.state.server import Server

DESCRIPTION = """Exchange-rate forecasts with their interval, their baseline and their skill.

Each answer names the champion that made it and the data that it knew. Errors are RFC 9457 problem
documents. Times are UTC; a probability is that of the close being above.
"""


def create_app(settings: Settings | None = None, children: Children | None = None) -> FastAPI:
    """The application of one worker, with its processes if they have been started already.

    Raises
    ------
    SpecError
        A setting does not make sense.
    """
    settings = settings or load_settings()
    keys = load_keys(settings.keys, settings.keys_file)
    limiter = (
        Limiter(settings.rate_limit, settings.rate_limit_storage) if settings.rate_limit else None
    )
    server = Server(settings, children or Children.begun(settings), private=bool(keys))
    log = AccessLog(settings.access_log)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        apply_limits(settings)
        await server.store.start()
        # What lives now lives to the end: the collector need not walk through it again.
        gc.collect()
        gc.freeze()
        yield
        await server.store.stop()
        server.tables.close()
        server.aside.close()
        log.flush()

    app = FastAPI(
        title="fx-assets",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            problems.Problem: problems.on_problem,
            FxAssetsError: problems.on_platform_error,
            RequestValidationError: problems.on_validation_error,
            HTTPException: problems.on_http_error,
            Exception: problems.on_crash,
        },
    )
    app.state.server = server
    # In this order paths are compared; routers of their own would compare them again.
    for part in (predict, forecasts, records, series, reasons, inference, invocations, health):
        part.add(app.router, server)
    _include_page(app, server)
    openapi.install(app, lambda: _examples(server))
    app.add_middleware(
        Gate,
        keys=keys,
        limiter=limiter,
        max_body=settings.max_body_bytes,
        log=log,
        shortcuts=server.shortcuts,
        proxies=Proxies(settings.trusted_proxies, settings.root_path),
        aside=server.aside,
    )
    if settings.cors_origins:
        # Outermost: a preflight has no key, and refusals too must be readable.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=[
                "authorization", "content-type", "x-api-key", "if-none-match", "x-request-id",
                "inference-header-content-length",
            ],
            expose_headers=[
                "etag", "link", "retry-after", "x-request-id", "x-fx-forecast",
                "x-fx-model-version", "x-fx-recipe", "x-fx-data-as-of", "x-fx-freshness",
                "x-ledger-head",
            ],
        )  # fmt: skip
    return app


def apply_limits(settings: Settings) -> None:
    """Tell the protocol of this process what a client may take."""
    from serving.http import edge

    edge.LIMITS.connections = settings.max_connections
    edge.LIMITS.head_bytes = settings.max_head_bytes
    edge.LIMITS.head_seconds = settings.client_seconds
    edge.LIMITS.body_seconds = edge.LIMITS.write_seconds = 6 * settings.client_seconds
    edge.allow_descriptors(settings.max_connections)


def _include_page(app: FastAPI, server: Server) -> None:
    """The page at ``/``, where the installation has one."""
    if importlib.util.find_spec("serving.routes.page") is not None:
        page = importlib.import_module("serving.routes.page")
        page.include(app, server)


def _examples(server: Server) -> Mapping[str, Any]:
    """Requests that work now: of the first forecast in service, from its golden rows."""
    services = server.store.services
    if not services:
        return {}
    name = server.settings.default_forecast or min(services)
    service = services.get(name) or services[min(services)]
    champion = service.champion
    golden = champion.bundle.golden.inputs
    rows = [
        dict(zip(champion.names, (0.0 if v is None else v for v in row), strict=True))
        for row in golden[:2]
    ]
    return {
        "forecast": service.name,
        "name": service.name,
        "version": str(champion.version),
        "Features": {"features": rows[0]},
        "FeatureRows": {"rows": rows},
    }


def _version() -> str:
    try:
        return version("fx-assets")
    except PackageNotFoundError:
        return "0"
