"""Every error as an RFC 9457 problem document that names the field, the value and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi.exceptions import RequestValidationError
from msgspec import Meta, Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request

from fx_assets.errors import FxAssetsError
from serving.http.responses import JSON, Raw

PROBLEM_JSON = b"application/problem+json"
SHOWN = 120
"""Longest part of an offending value that is repeated."""


class ProblemDocument(Struct, kw_only=True, omit_defaults=True):
    """What went wrong, where, and what to do about it (RFC 9457)."""

    type: Annotated[str, Meta(description="Stable name of the kind of problem.")]
    title: str
    status: int
    detail: str
    remedy: Annotated[str, Meta(description="What to do about it.")] = ""
    field: Annotated[str, Meta(description="The field, parameter or header concerned.")] = ""
    value: Annotated[str, Meta(description="The value found, shortened.")] = ""
    instance: Annotated[str, Meta(description="Identifies the request in the log.")] = ""
    error: Annotated[str, Meta(description="Below /v2: the same in one line, for its clients.")] = (
        ""
    )


class Problem(Exception):  # noqa: N818
    """An answer other than the one asked for."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        remedy: str = "",
        field: str = "",
        value: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        awaited = {"retry-after": "5"} if status == 503 else {}
        self.headers = awaited | dict(headers or {})
        self.document = ProblemDocument(
            type=f"urn:fx-assets:problem:{kind}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            remedy=remedy,
            field=field,
            value="" if value is None else shortened(value),
        )

    def response(self, request_id: str = "", path: str = "") -> Raw:
        """The problem as a response to a request for a path."""
        document, kind = self.document, PROBLEM_JSON
        if inference_protocol(path):
            kind = JSON
            remedy = f" What to do: {document.remedy}" if document.remedy else ""
            document = msgspec.structs.replace(document, error=f"{document.detail}{remedy}")
        if request_id:
            document = msgspec.structs.replace(document, instance=f"urn:request:{request_id}")
        return Raw(
            msgspec.json.encode(document),
            status=document.status,
            content_type=kind,
            headers={"cache-control": "no-store"} | self.headers,
        )


def inference_protocol(path: str) -> bool:
    """Whether a path is of the Open Inference Protocol, whose clients read errors in plain JSON."""
    return path == "/v2" or path.startswith("/v2/")


def shortened(value: object) -> str:
    """A value as text of bounded length that UTF-8 can hold."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def bad_parameter(field: str, value: object, detail: str, remedy: str) -> Problem:
    """A path or query parameter that cannot be used."""
    return Problem(422, "invalid-parameter", detail, field=field, value=value, remedy=remedy)


def unavailable(error: FxAssetsError) -> Problem:
    """The lake is away, or holds nothing yet."""
    return Problem(503, "unavailable", error.message, remedy=error.remedy)


async def on_problem(request: Request, error: Exception) -> Raw:
    """Exception handler for :class:`Problem`."""
    assert isinstance(error, Problem)  # noqa: S101
    return error.response(*_of(request))


async def on_platform_error(request: Request, error: Exception) -> Raw:
    """Exception handler for the platform's own errors: what they name is not there now."""
    assert isinstance(error, FxAssetsError)  # noqa: S101
    return unavailable(error).response(*_of(request))


async def on_http_error(request: Request, error: Exception) -> Raw:
    """Exception handler for what the framework refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)  # noqa: S101
    remedies = {
        404: ("no-such-path", "See /openapi.json for the paths that exist."),
        405: ("method-not-allowed", "Use a method that the Allow header names."),
    }
    kind, remedy = remedies.get(error.status_code, ("request-refused", ""))
    problem = Problem(
        error.status_code,
        kind,
        f"{request.method} {shortened(request.scope['path'])}: {error.detail}.",
        field="path" if error.status_code == 404 else "method",
        value=request.scope["path"] if error.status_code == 404 else request.method,
        remedy=remedy,
        headers=error.headers,
    )
    return problem.response(*_of(request))


async def on_validation_error(request: Request, error: Exception) -> Raw:
    """Exception handler for path and query parameters that do not parse."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first: dict[str, Any] = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    others = len(error.errors()) - 1
    more = f" ({others} more mistakes)" if others else ""
    return bad_parameter(
        name,
        first.get("input"),
        f"{name}: {first['msg']}{more}.",
        "See /openapi.json for what the parameter may be.",
    ).response(*_of(request))


async def on_crash(request: Request, error: Exception) -> Raw:  # noqa: ARG001
    """Exception handler for everything else; the log has the traceback, the client does not."""
    return crashed().response(*_of(request))


def crashed() -> Problem:
    """What nobody foresaw."""
    return Problem(
        500,
        "internal-error",
        "The server failed to answer.",
        remedy="Report the instance; the server's log has the reason under it.",
    )


def _of(request: Request) -> tuple[str, str]:
    """The request's id, and its path below the server's root."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return str(request.scope.get("request_id", "")), path
