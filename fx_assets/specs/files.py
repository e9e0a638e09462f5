"""Reads every ``defs.yaml`` below a folder, and reports every mistake in all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

import yaml
from pydantic import ValidationError

from fx_assets.errors import SpecError
from fx_assets.specs.base import Spec
from fx_assets.specs.feed import FeedSpec
from fx_assets.specs.forecast import ForecastSpec
from fx_assets.specs.universe import UniverseSpec

AnySpec: TypeAlias = FeedSpec | ForecastSpec | UniverseSpec
SPEC_TYPES: dict[str, type[AnySpec]] = {
    "fx_assets.components.PriceFeed": FeedSpec,
    "fx_assets.components.Forecast": ForecastSpec,
    "fx_assets.components.Universe": UniverseSpec,
}


@dataclass(frozen=True)
class Declared:
    """What a deployment runs: its feeds, forecasts and universes by name."""

    feeds: dict[str, FeedSpec]
    forecasts: dict[str, ForecastSpec]
    universes: dict[str, UniverseSpec] = field(default_factory=dict)

    def feed_of(self, forecast: str) -> FeedSpec:
        return self.feeds[self.forecasts[forecast].feed]


@dataclass(frozen=True)
class Mistake:
    """Something wrong with a declared value: where in its attributes, and what."""

    loc: tuple[str | int, ...]
    message: str


Judge: TypeAlias = Callable[[ForecastSpec], Iterable[Mistake]]
"""Finds the mistakes in a forecast that only the code which it names can see."""


@dataclass(frozen=True)
class _Located:
    spec: Spec
    where: str


def _no_mistakes(_: ForecastSpec) -> Iterable[Mistake]:
    return ()


@cache
def load_declared(folder: Path, judge: Judge = _no_mistakes) -> Declared:
    """Parse every ``defs.yaml`` below ``folder``, once a process.

    Parameters
    ----------
    folder
        The deployment's is ``Settings().declared_folder``.
    judge
        Asked about each forecast that is well-formed; its mistakes are reported with the others.

    Raises
    ------
    SpecError
        At least one file is wrong. The message has a line for each mistake: file, line, what was
        found, and the values that are allowed.
    """
    if not folder.is_dir():
        raise SpecError(
            f"There is no folder {folder} of declared feeds and forecasts.",
            remedy="Set FX_ASSETS_DECLARED to a folder of defs.yaml files, or unset it.",
        )
    problems: list[str] = []
    found: dict[type[AnySpec], dict[str, _Located]] = {kind: {} for kind in SPEC_TYPES.values()}
    for path in sorted(folder.rglob("defs.y*ml")):
        shown = _shown(path)
        if path.name != "defs.yaml":
            problems.append(f"{shown}: is ignored by Dagster; rename it to defs.yaml")
            continue
        for spec, where in _parse_file(path, shown, judge, problems):
            known, name = found[type(spec)], spec.name
            if name in known:
                problems.append(f"{where}: {name!r} is already declared at {known[name].where}")
            known[name] = _Located(spec, where)
    feeds, forecasts, universes = (found[k] for k in (FeedSpec, ForecastSpec, UniverseSpec))
    for name, located in universes.items():
        other = feeds.get(name) or forecasts.get(name)
        if other:
            problems.append(f"{located.where}: {name!r} is already declared at {other.where}")
    for located in forecasts.values():
        feed = getattr(located.spec, "feed", "")
        if feed not in feeds:
            problems.append(f"{located.where}: feed: {_unknown('feed', feed, sorted(feeds))}")
    if problems:
        raise SpecError(
            f"{len(problems)} mistake(s) in the declared feeds and forecasts:\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    return Declared(
        feeds={n: x.spec for n, x in feeds.items() if isinstance(x.spec, FeedSpec)},
        forecasts={n: x.spec for n, x in forecasts.items() if isinstance(x.spec, ForecastSpec)},
        universes={n: x.spec for n, x in universes.items() if isinstance(x.spec, UniverseSpec)},
    )


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _parse_file(
    path: Path, shown: str, judge: Judge, problems: list[str]
) -> Iterator[tuple[AnySpec, str]]:
    text = path.read_text(encoding="utf-8")
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node]
        values = [value for value in yaml.safe_load_all(text) if value is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problems.append(f"{shown}{line}: not valid YAML: {getattr(error, 'problem', error)}")
        return
    for node, value in zip(nodes, values, strict=True):
        where = f"{shown}:{node.start_mark.line + 1}"
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in SPEC_TYPES:
            problems.append(f"{where}: type: {_unknown('component type', kind, list(SPEC_TYPES))}")
            continue
        try:
            spec = SPEC_TYPES[kind].model_validate(value.get("attributes") or {})
        except ValidationError as error:
            problems.extend(_describe(error, node, shown, SPEC_TYPES[kind]))
            continue
        for mistake in _judged(spec, judge):
            spot = f"{shown}:{_line_of(node, ('attributes', *mistake.loc))}"
            problems.append(f"{spot}: {_dotted(mistake.loc)}: {mistake.message}")
        yield spec, where


def _judged(spec: AnySpec, judge: Judge) -> Iterator[Mistake]:
    """The judge's mistakes in a forecast, or in what a universe predicts of every instrument."""
    if isinstance(spec, ForecastSpec):
        yield from judge(spec)
    if isinstance(spec, UniverseSpec):
        for position, target in enumerate(spec.targets):
            for mistake in judge(spec.forecast("any", target)):
                yield Mistake(("targets", position, *mistake.loc), mistake.message)


def _describe(
    error: ValidationError, node: yaml.Node, shown: str, spec_type: type[Spec]
) -> Iterator[str]:
    for detail in error.errors():
        tagged = detail["loc"]
        loc = _without_tags(node, tagged)
        line = _line_of(node, ("attributes", *loc))
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = _unknown("setting", loc[-1], _settings_at(spec_type, tagged[:-1]))
        elif not isinstance(detail["input"], dict | list):
            message += f" (found {detail['input']!r})"
        yield f"{shown}:{line}: {_dotted(loc)}: {message}"


def _dotted(loc: Sequence[int | str]) -> str:
    return ".".join(map(str, loc)) or "attributes"


def _unknown(what: str, value: object, allowed: Sequence[str]) -> str:
    close = get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"no {what} {value!r}.{hint} Allowed: {', '.join(allowed) or 'none is declared'}."


def _settings_at(spec_type: type[Spec], loc: Sequence[int | str]) -> list[str]:
    fields = spec_type.model_fields
    kinds: dict[str, type[Spec]] = {}
    for key in loc:
        if key in kinds:
            fields, kinds = kinds[str(key)].model_fields, {}
        elif key in fields:
            nested = list(_specs_in(fields[str(key)].annotation))
            kinds = {
                get_args(s.model_fields["kind"].annotation)[0]: s for s in nested if _tagged(s)
            }
            fields = nested[0].model_fields if nested else fields
    return sorted(fields)


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs_in(part)


def _tagged(spec: type[Spec]) -> bool:
    kind = spec.model_fields.get("kind")
    return kind is not None and get_origin(kind.annotation) is Literal


def _without_tags(node: yaml.Node, loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """A place in the file: pydantic also names the ``kind`` of what it tried to read there."""
    value = yaml.SafeLoader("").construct_document(node).get("attributes")
    found: list[int | str] = []
    for key in loc:
        if isinstance(value, dict) and key not in value and value.get("kind") == key:
            continue
        found.append(key)
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(found)


def _line_of(node: yaml.Node, loc: Sequence[Any]) -> int:
    line = node.start_mark.line
    for key in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(key)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            if key >= len(node.value):
                break
            node = node.value[key]
            line = node.start_mark.line
    return int(line) + 1
