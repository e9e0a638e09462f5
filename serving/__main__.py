"""``python -m serving``: start the server, or make a key."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence

from fx_assets.errors import FxAssetsError
from serving.settings import Settings

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "new-key":
            return _new_key(options.name, options.scopes)
        return _serve(options)
    except FxAssetsError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--host", default=settings.host, help="address (default %(default)s)")
    parser.add_argument("--port", type=int, default=settings.port, help="default %(default)s")
    parser.add_argument("--workers", type=int, default=settings.workers, help="default %(default)s")
    commands = parser.add_subparsers(dest="command")
    key = commands.add_parser("new-key", help="make an API key and the entry to store for it")
    key.add_argument("name", help="who it is for")
    key.add_argument("--scopes", default="read,predict", help="read, predict or both")
    return parser


def _new_key(name: str, scopes: str) -> int:
    from serving.security import new_key

    key, entry = new_key(name, scopes)
    print(f"key (shown once):          {key}")
    print(f"entry (FX_SERVING_KEYS):   {entry}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    import uvicorn

    from serving.security import load_keys

    settings = Settings()
    load_keys(settings.keys, settings.keys_file)
    if options.workers > 1 and SHARED_METRICS not in os.environ:
        with tempfile.TemporaryDirectory(prefix="fx-serving-metrics-") as folder:
            os.environ[SHARED_METRICS] = folder
            _run(uvicorn, options, settings)
        return 0
    _run(uvicorn, options, settings)
    return 0


def _run(uvicorn: object, options: argparse.Namespace, settings: Settings) -> None:
    uvicorn.run(  # type: ignore[attr-defined]
        "serving.worker:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_config=log_config(settings.log_level),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def log_config(level: str) -> dict[str, object]:
    """Logs of the server as JSON lines on standard error, like the access log."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "serving.access_log.JsonFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            name: {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
            for name in ("uvicorn", "uvicorn.error", "serving")
        },
    }


if __name__ == "__main__":
    sys.exit(main())
