"""Where a worker process begins."""

from __future__ import annotations

import multiprocessing
import signal
from typing import TYPE_CHECKING

from serving.processes import pandas_free
from serving.processes.child import end_with
from serving.processes.ending import end_in_time

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> FastAPI:
    """The application, in a process of its own."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        end_with(supervisor.pid or 0, signal.SIGTERM)
    end_in_time()
    pandas_free.enforce()
    from serving.settings import load_settings
    from serving.state.children import Children

    settings = load_settings()
    children = Children.begun(settings)
    from serving import app

    return app.create_app(settings, children)
