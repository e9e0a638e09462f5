"""What a field means stands below it in the source, and is read when somebody asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ConfigDict, Field

from fx_assets.specs import FeedSpec
from fx_assets.specs.base import Spec, meanings
from fx_assets.specs.term import DeclaredForecast
from fx_assets.specs.universe import UniverseSpec


class Parent(Spec):
    inherited: int = 1
    """Of the parent."""
    changed: int = 1
    """Before."""


class Child(Parent):
    changed: int = 2
    """After, over
    two lines."""
    stated: int = Field(3, description="In the field.")
    """Not this one."""
    silent: int = 4


def described(schema: Any) -> Iterator[tuple[str, str | None]]:
    """Every property below a schema with its description."""
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield name, field.get("description")
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from described(part)


def test_docstrings_and_descriptions_say_what_fields_mean_also_of_a_parents() -> None:
    assert meanings(Child) == {
        "inherited": "Of the parent.",
        "changed": "After, over\ntwo lines.",
        "stated": "In the field.",
    }


def test_the_schema_of_a_declaration_says_what_pydantic_would_read_from_the_source() -> None:
    class Told(Child):
        model_config = ConfigDict(use_attribute_docstrings=True)
        more: Child = Child()
        """One of the others."""

    properties = Told.model_json_schema()["properties"]
    assert properties["more"]["description"] == Told.model_fields["more"].description
    assert properties["changed"]["description"] == "After, over\ntwo lines."
    assert "description" not in properties["silent"]


@pytest.mark.parametrize("declared", [FeedSpec, DeclaredForecast, UniverseSpec])
def test_editors_are_told_what_fields_mean_at_every_depth(declared: type[Spec]) -> None:
    found = list(described(declared.model_json_schema()))
    told = dict(found)
    assert len([text for _, text in found if text]) > 20
    for name, text in meanings(declared).items():
        assert told.get(name), (name, text)


def test_a_source_at_the_door_describes_its_settings() -> None:
    told = {name for name, text in described(FeedSpec.model_json_schema()) if text}
    assert {"date_format", "offsets", "annual_volatility", "fallback", "market"} <= told


def test_a_start_reads_no_source() -> None:
    program = (
        "import linecache, fx_assets.specs.universe, fx_assets.bundles.bundle, fx_assets.models; "
        "own = fx_assets.__path__[0]; "
        "print([name for name in linecache.cache if name.startswith(own)])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
