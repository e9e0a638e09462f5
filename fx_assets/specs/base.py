"""What every spec shares."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

Name = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60, description="Lower case, digits and _."),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, such as USD.")]


class Spec(BaseModel):
    """Frozen, and unknown keys are errors. Its JSON schema says what the fields' docstrings say."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        made = handler(schema)
        properties = handler.resolve_ref_schema(made)["properties"]
        for name, meaning in meanings(cls).items():
            if name in properties:
                properties[name].setdefault("description", meaning)
        return made


@dataclass(frozen=True)
class Shape:
    """Lets editors and ``dg check`` know of a setting what its type does not say."""

    told: Callable[[JsonSchemaValue], JsonSchemaValue]
    """From the JSON schema of the type to that of the setting."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.told(handler(schema))


class Record(BaseModel):
    """Frozen, and unknown keys are legal: older code reads what newer code has written."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, protected_namespaces=()
    )


def digest(value: Any) -> str:
    """A short stable hash of anything that JSON can hold (16 hex digits)."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def complaint(detail: ErrorDetails) -> str:
    """What is wrong with a value, without what pydantic puts before our own words."""
    return detail["msg"].removeprefix("Value error, ")


def meanings(spec: type[Spec]) -> dict[str, str]:
    """What each documented field says of itself: its description, or its docstring.

    Pydantic would read the source of every class at the start of every process.
    """
    found: dict[str, str] = {}
    for each in reversed(spec.__mro__):
        if issubclass(each, Spec):
            found |= _docstrings(each)
    stated = {name: field.description for name, field in spec.model_fields.items()}
    return found | {name: text for name, text in stated.items() if text}


@cache
def _docstrings(spec: type[Spec]) -> dict[str, str]:
    """The strings below the fields of a class; none where its source is nowhere."""
    try:
        source = inspect.getsource(spec)
    except (OSError, TypeError):
        return {}
    found = {}
    (stated,) = ast.parse(dedent(source)).body
    for field, text in pairwise(stated.body):  # type: ignore[attr-defined]
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[name] = inspect.cleandoc(said)
    return found
