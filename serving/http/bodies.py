"""Request bodies: JSON to types, with mistakes as problems that name the field."""

from __future__ import annotations

import re
from typing import Generic, TypeVar

import msgspec
from starlette.requests import Request

from serving.http.problems import Problem, shortened

T = TypeVar("T")
_WHERE = re.compile(r"^(.*?)(?: - at `(?:key in )?\$?\.?(.*)`)?$", re.DOTALL)


class Body(Generic[T]):
    """Reads bodies of one type."""

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self.kind = kind

    async def read(self, request: Request) -> T:
        """The body of a request.

        Raises
        ------
        Problem
            415: it is not JSON; 422: it does not parse, or is not of the type.
        """
        return self.decode(request.headers.get("content-type", ""), await request.body())

    def decode(self, content_type: str, content: bytes) -> T:
        """As :meth:`read`, of a body that has been read."""
        if content_type != "application/json":
            require_json(content_type)
        try:
            return self._decode(content)
        except msgspec.ValidationError as error:
            raise _invalid(error, content) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(
                422,
                "not-json",
                f"The body is not JSON: {error}.",
                field="body",
                value=content[:80].decode("utf-8", "replace"),
                remedy="Send one JSON document in UTF-8; it has no NaN and no Infinity.",
            ) from None


def require_json(given: str) -> None:
    """Refuse a body that says it is something else.

    Raises
    ------
    Problem
        415: the content type is another, or missing.
    """
    kind = given.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(
            415,
            "wrong-content-type",
            f"The content type is {shortened(given) or 'missing'}; application/json is accepted.",
            field="content-type",
            value=given,
            remedy="Send JSON with 'Content-Type: application/json'.",
        )


def require_batch(size: int, limit: int, field: str) -> None:
    """Refuse a batch beyond the limit.

    Raises
    ------
    Problem
        413: it has too many entries.
    """
    if size > limit:
        raise Problem(
            413,
            "batch-too-large",
            f"{field} asks for {size} predictions; {limit} are answered at a time.",
            field=field,
            value=size,
            remedy="Split the request, or raise FX_SERVING_MAX_BATCH.",
        )


def _invalid(error: msgspec.ValidationError, content: bytes) -> Problem:
    message, path = _WHERE.match(str(error)).groups()  # type: ignore[union-attr]
    unknown = re.search(r"unknown field `(.*)`|required field `(.*)`", message)
    field = path or "body"
    if unknown:
        name = unknown.group(1) or unknown.group(2)
        field = name if field == "body" else f"{field}.{name}"
    return Problem(
        422,
        "invalid-body",
        f"{field}: {message}.",
        field=field,
        value=_value_at(content, path or ""),
        remedy="See /openapi.json for the fields, their types and limits; all are checked by name.",
    )


def _value_at(content: bytes, path: str) -> object:
    """The offending value; nothing where the path holds a wildcard."""
    try:
        value: object = msgspec.json.decode(content)
        for part in re.findall(r"[^.\[\]]+", path):
            if isinstance(value, list) and part.isdigit():
                value = value[int(part)]
            elif isinstance(value, dict) and part in value:
                value = value[part]
            else:
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
        return None
    return value if isinstance(value, str | int | float | bool) else None
