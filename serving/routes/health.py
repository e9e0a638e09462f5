"""Whether the process lives, whether it can answer, and what Prometheus scrapes."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from fx_assets.bundles.records import pointer_path
from serving.http import metrics
from serving.http.openapi import described
from serving.http.responses import Raw, json_answer
from serving.schemas import ForecastHealth, Live, Ready
from serving.state.server import Server

_STARTING = "The first look at the lake has not ended yet."
NO_STORE = {"cache-control": "no-store"}


def readiness(server: Server) -> Ready:
    """The state of every forecast that is declared."""
    store = server.store
    services = {name: one for name, one in store.services.items() if not one.retired}
    universes = [name for name in store.universes if not store.retired(name)]
    signed, distrusted = store.trust.by, store.trust.by_name()
    rows = [
        ForecastHealth(
            name,
            service.champion.version,
            service.stale,
            service.refused,
            list(signed.get(pointer_path(name), ())),
        )
        for name, service in services.items()
    ]
    absent = {
        **{name: why for name, why in distrusted.items() if name not in services},
        **store.refused,
        **store.foreign,
    }
    rows += [
        ForecastHealth(name, None, None, reason)
        for name, reason in absent.items()
        if not store.retired(name)
    ]
    troubled = any(row.stale or row.refused for row in rows) or (
        bool(universes) and store.lake_problem is not None
    )
    status: Literal["ready", "degraded", "not ready"]
    status = "degraded" if troubled else "ready"
    if not (services or universes) or store.starting:
        status = "not ready"
    return Ready(status, rows, _STARTING if store.starting else store.lake_problem)


TAG = "operations"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``/health/...`` and ``/metrics``."""

    @routes.get("/health/live", summary="The process answers", **described(TAG, Live))
    async def live() -> Raw:
        return json_answer(Live("alive"), NO_STORE)

    @routes.get(
        "/health/ready",
        summary="Forecasts can be served",
        description="503 while there is none, or the first look at the lake goes on. 'degraded': "
        "the last good champion answers, because the lake is away or a newer bundle was refused; "
        "the reason is given.",
        **_with_unready(described(TAG, Ready)),
    )
    async def ready() -> Raw:
        state = readiness(server)
        return json_answer(state, NO_STORE, status=503 if state.status == "not ready" else 200)

    @routes.get(
        "/metrics",
        summary="Prometheus metrics of all workers",
        **described(TAG, other={"text/plain": {"schema": {"type": "string"}}}),
    )
    async def scrape() -> Raw:
        body, content_type = metrics.exposition()
        return Raw(body, content_type=content_type, headers=NO_STORE)


def _with_unready(documented: dict) -> dict:  # type: ignore[type-arg]
    schema = documented["responses"][200]["content"]
    documented["responses"][503] = {"description": "Nothing can be served.", "content": schema}
    return documented
