"""Where a worker process begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import pandas_free

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> FastAPI:
    """The application, in a process of its own."""
    pandas_free.enforce()
    from serving import app

    return app.create_app()
