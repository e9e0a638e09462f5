"""Writes declarations as people would: short YAML, never over what somebody else wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from fx_assets.errors import SpecError

FEEDS = ("feeds", "fx_assets.components.PriceFeed")
FORECASTS = ("forecasts", "fx_assets.components.Forecast")
"""Where declarations of a kind lie, and the component that reads them."""
_WIDTH = 100


@dataclass(frozen=True)
class Declaration:
    """One ``defs.yaml`` to be."""

    file: Path
    text: str

    @property
    def there(self) -> str | None:
        """What the file says already."""
        try:
            return self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            return ""


def declaration(kind: tuple[str, str], folder: Path, attributes: Mapping[str, Any]) -> Declaration:
    """The file of a feed or forecast below the folder of declarations."""
    place, component = kind
    body = {"type": component, "attributes": {k: _laid_out(v) for k, v in attributes.items()}}
    text = yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return Declaration(folder / place / attributes["name"] / "defs.yaml", text)


def refuse_to_overwrite(declarations: list[Declaration], replace: bool) -> None:
    """Stop before a file is lost.

    Raises
    ------
    SpecError
        A file exists and says something else.
    """
    others = [d for d in declarations if d.there not in (None, d.text)]
    if others and not replace:
        raise SpecError(
            f"{' and '.join(str(d.file) for d in others)} exist and say something else.",
            remedy="Give --replace to overwrite, or choose another --feed or --forecast name.",
        )


def write(declaration: Declaration) -> str:
    """Write a file whole or not at all; returns ``written``, ``replaced`` or ``as it was``.

    Raises
    ------
    SpecError
        The folder cannot be written to.
    """
    before, file = declaration.there, declaration.file
    if before == declaration.text:
        return "as it was"
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(declaration.text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SpecError(
            f"{file} cannot be written: {error.strerror or error}.",
            remedy="Let this account write there, or set FX_ASSETS_DECLARED to another folder.",
        ) from None
    return "written" if before is None else "replaced"


class _Flow(dict[str, Any]):
    """A mapping on one line."""


class _FlowList(list[Any]):
    """A list on one line."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _represent_flow(dumper: yaml.SafeDumper, value: _Flow) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)


def _represent_list(dumper: yaml.SafeDumper, value: _FlowList) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(_Flow, _represent_flow)
_Dumper.add_representer(_FlowList, _represent_list)


def _laid_out(value: Any) -> Any:
    """Mappings and their lists on one line where that can be read."""
    if isinstance(value, Mapping):
        flow = _Flow({k: _inner(v) for k, v in value.items()})
        return (
            flow if len(str(value)) < _WIDTH - 30 else {k: _laid_out(v) for k, v in value.items()}
        )
    if isinstance(value, list | tuple):
        short = all(isinstance(item, str) for item in value)
        return _FlowList(value) if short else [_laid_out(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    """Days without quotes, as people write them."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Flow({k: _inner(v) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return _FlowList(_inner(item) for item in value)
    return _plain(value)
