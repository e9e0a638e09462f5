"""The OpenAPI document: FastAPI's own, with the msgspec types that bodies are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from serving.http.problems import PROBLEM_JSON, ProblemDocument, inference_protocol
from serving.schemas import Bar

NAME = r"^[a-z][a-z0-9_]{0,59}$"
REF = "#/components/schemas/{name}"
PROBLEM = PROBLEM_JSON.decode()
REASONS = {
    304: "Not changed since the ETag that was sent.",
    400: "Of many instruments, or targets, none is chosen.",
    401: "No valid API key, where keys are asked for.",
    403: "The key lacks the scope.",
    404: "There is no such forecast, or no such row.",
    409: "Well-formed, but at odds with the forecast's champion or calendar.",
    413: "The body or batch is too large.",
    415: "The body is not of an accepted content type.",
    422: "A parameter or field is invalid.",
    429: "Too many requests.",
    503: "Nothing has been published yet, or the lake is away.",
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

_types: dict[str, type] = {"ProblemDocument": ProblemDocument, "Bar": Bar}


def described(
    tag: str,
    answer: type | None = None,
    *,
    body: type | None = None,
    bodies: Mapping[str, Mapping[str, Any]] | None = None,
    problems: tuple[int, ...] = (),
    other: Mapping[str, Mapping[str, Any]] | None = None,
    cached: bool = False,
    named: bool = False,
) -> dict[str, Any]:
    """Arguments for a FastAPI route that document its body, answer and problems.

    Parameters
    ----------
    tag
        What it belongs to.
    answer, body
        msgspec types of the JSON answer and of the JSON body.
    bodies
        Content types of the body with their schemas, where there are more than JSON of one type.
    problems
        Status codes beyond those that every route can give.
    other
        Content types of the answer besides JSON, with their schemas.
    cached
        Whether the answer has an ETag.
    named
        Whether the handler itself reads the path parameter ``forecast``, as the fastest ones do:
        the framework's way takes as long as a prediction.
    """
    answers: dict[str, Any] = dict(other or {})
    if answer is not None:
        answers = {"application/json": {"schema": _ref(answer)}} | answers
    responses: dict[int | str, Any] = {200: {"description": "The answer.", "content": answers}}
    if cached:
        responses[304] = {"description": REASONS[304]}
    for status in sorted({*problems, 401, 403, 429}):
        responses[status] = {
            "description": REASONS[status],
            "content": {PROBLEM: {"schema": _ref(ProblemDocument)}},
        }
    extra: dict[str, Any] = {}
    if body is not None:
        media: dict[str, Any] = {"schema": _ref(body)}
        content = {"application/json": media} if bodies is None else dict(bodies)
        extra["requestBody"] = {"required": True, "content": content}
    if named:
        extra["parameters"] = [
            {
                "name": "forecast",
                "in": "path",
                "required": True,
                "description": "Name of a forecast, as in GET /v1/forecasts.",
                "schema": {"type": "string", "pattern": NAME},
            }
        ]
    return {
        "tags": [tag],
        "response_class": Response,
        "responses": responses,
        "openapi_extra": extra,
    }


def install(app: FastAPI, examples: Callable[[], Mapping[str, Any]]) -> None:
    """Let the application describe itself, with examples of what it serves now.

    Parameters
    ----------
    examples
        Returns what to put in: ``forecast`` for the path parameter of that name, and bodies by the
        name of their type.
    """

    def openapi() -> dict[str, Any]:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _, components = msgspec.json.schema_components(_types.values(), ref_template=REF)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(components)
        document["components"]["securitySchemes"] = SECURITY
        document["security"] = [{}, {"bearer": []}, {"key": []}]
        _fill(document, examples())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _ref(kind: type) -> dict[str, str]:
    _types[kind.__name__] = kind
    return {"$ref": REF.format(name=kind.__name__)}


def _fill(document: dict[str, Any], examples: Mapping[str, Any]) -> None:
    for name, path in document["paths"].items():
        for operation in path.values():
            if inference_protocol(name):
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if PROBLEM in content:
                        content["application/json"] = content.pop(PROBLEM)
            for parameter in operation.get("parameters", []):
                if parameter["name"] in examples:
                    parameter["example"] = examples[parameter["name"]]
            for media in operation.get("requestBody", {}).get("content", {}).values():
                kind = media["schema"].get("$ref", "").rpartition("/")[2]
                if kind in examples:
                    media["example"] = examples[kind]
