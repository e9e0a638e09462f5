"""``python -m serving``: start the server, or make a key."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fx_assets import clock
from fx_assets.errors import FxAssetsError, SpecError

if TYPE_CHECKING:
    from serving.settings import Settings

LAST_PORT = 65_535
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; returns the exit code."""
    # Here, since processes that start as copies of this one import the module too.
    from serving.settings import load_settings

    try:
        settings = load_settings()
        options = _parser(settings).parse_args(arguments)
        if options.command == "new-key":
            return _new_key(options.name, options.scopes)
        return _serve(options, settings)
    except FxAssetsError as error:
        print(error, file=sys.stderr)
        return 1


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--host", default=settings.host, help="address (default %(default)s)")
    parser.add_argument("--port", type=_port, default=settings.port, help="default %(default)s")
    parser.add_argument(
        "--workers", type=_positive, default=settings.workers, help="default %(default)s"
    )
    commands = parser.add_subparsers(dest="command")
    key = commands.add_parser("new-key", help="make an API key and the entry to store for it")
    key.add_argument("name", help="who it is for")
    key.add_argument("--scopes", default="read,predict", help="read, predict or both")
    return parser


def _new_key(name: str, scopes: str) -> int:
    from serving.http.security import new_key

    key, entry = new_key(name, scopes)
    print(f"key (shown once):          {key}")
    print(f"entry (FX_SERVING_KEYS):   {entry}")
    return 0


def _port(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to {LAST_PORT}")
    return value


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _check(options: argparse.Namespace, settings: Settings) -> None:
    """Find here what would end each worker: a supervisor would start it again for ever.

    Raises
    ------
    SpecError
        A setting does not make sense, or the address cannot be listened on.
    """
    from serving.blobs import served
    from serving.http.proxies import Proxies
    from serving.http.security import Limiter, load_keys
    from serving.state.trust import load_public_keys

    clock.now()
    load_keys(settings.keys, settings.keys_file)
    load_public_keys(settings)
    Proxies(settings.trusted_proxies, settings.root_path)
    if settings.rate_limit:
        Limiter(settings.rate_limit, settings.rate_limit_storage)
    served(settings)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise SpecError(
                f"{options.host} port {options.port} cannot be listened on: {error.strerror}.",
                remedy="Choose another address: --host and --port, FX_SERVING_HOST and _PORT.",
            ) from None


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    import uvicorn

    _check(options, settings)
    if options.workers > 1 and SHARED_METRICS not in os.environ:
        with tempfile.TemporaryDirectory(prefix="fx-serving-metrics-") as folder:
            os.environ[SHARED_METRICS] = folder
            _run(uvicorn, options, settings)
        return 0
    _run(uvicorn, options, settings)
    return 0


def _run(uvicorn: object, options: argparse.Namespace, settings: Settings) -> None:
    from serving.http.edge import Protocol
    from serving.processes.ending import GRACE_SECONDS

    uvicorn.run(  # type: ignore[attr-defined]
        "serving.worker:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_config=log_config(settings.log_level),
        access_log=False,
        server_header=False,
        http=Protocol,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def log_config(level: str) -> dict[str, object]:
    """Logs of the server as JSON lines on standard error, like the access log."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "serving.http.access_log.JsonFormatter"}},
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
