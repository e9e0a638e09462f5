"""Prometheus metrics of requests, and the page that Prometheus scrapes: summed over workers.

With several workers ``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share; ``__main__`` sets
it before anything here is imported.
"""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0
)  # fmt: skip

REQUESTS = Counter("fx_requests_total", "Requests answered.", ["route", "method", "status"])
LATENCY = Histogram(
    "fx_request_seconds", "Time from request to answer.", ["route"], buckets=SECONDS
)


@lru_cache(maxsize=2048)
def request_counter(route: str, method: str, status: int) -> Counter:
    """The counter of these labels."""
    return REQUESTS.labels(route, method, str(status))


@lru_cache(maxsize=512)
def latency(route: str) -> Histogram:
    """The histogram of a route."""
    return LATENCY.labels(route)


def exposition() -> tuple[bytes, bytes]:
    """What Prometheus scrapes, and its content type."""
    content_type = CONTENT_TYPE_LATEST.encode()
    if SHARED not in os.environ:
        return generate_latest(), content_type
    everything = CollectorRegistry()
    MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
    return generate_latest(everything), content_type
