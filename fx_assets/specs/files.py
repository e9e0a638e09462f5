"""Reads every ``defs.yaml`` below a folder, and reports every mistake in all of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError

from fx_assets.errors import SpecError
from fx_assets.plural import counted
from fx_assets.specs.base import Spec, complaint
from fx_assets.specs.feed import FeedSpec
from fx_assets.specs.forecast import ForecastSpec
from fx_assets.specs.sources import source_class
from fx_assets.specs.term import DeclaredForecast
from fx_assets.specs.universe import UniverseSpec
from fx_assets.specs.yaml_files import Document, Problem, read_documents

AnySpec: TypeAlias = FeedSpec | ForecastSpec | UniverseSpec
SPEC_TYPES: dict[str, type[AnySpec]] = {
    "fx_assets.components.PriceFeed": FeedSpec,
    "fx_assets.components.Forecast": DeclaredForecast,
    "fx_assets.components.Universe": UniverseSpec,
}


@dataclass(frozen=True)
class Declared:
    """What a deployment runs: its feeds, forecasts and universes by name."""

    feeds: dict[str, FeedSpec]
    forecasts: dict[str, ForecastSpec]
    universes: dict[str, UniverseSpec] = field(default_factory=dict)

    def named(self, forecast: str) -> list[str]:
        """The forecasts of a name: itself, or those of its horizons; empty where there is none."""
        if forecast in self.forecasts:
            return [forecast]
        return [name for name, spec in self.forecasts.items() if spec.term == forecast]

    def feed_of(self, forecast: str) -> FeedSpec:
        return self.feeds[self.forecasts[forecast].feed]

    def forecast(self, name: str) -> ForecastSpec:
        """The forecast of a name.

        Raises
        ------
        SpecError
            There is none.
        """
        if name not in self.forecasts:
            raise undeclared("forecast", [name], [*self.forecasts, *self.universes])
        return self.forecasts[name]


def undeclared(what: str, names: Iterable[str], known: Iterable[str]) -> SpecError:
    """To raise where names are asked for that nothing declared has."""
    return SpecError(
        f"No {what} is called {', '.join(names)}.",
        remedy=f"Declared are: {', '.join(sorted(known)) or 'none'}.",
    )


@dataclass(frozen=True)
class Mistake:
    """Something wrong with a declared value: where in its attributes, and what."""

    loc: tuple[str | int, ...]
    message: str


Judge: TypeAlias = Callable[[AnySpec, Mapping[str, FeedSpec]], Iterable[Mistake]]
"""Finds the mistakes in a spec that only the code which it names can see, given all feeds."""


@dataclass(frozen=True)
class _Located:
    spec: AnySpec
    document: Document

    @property
    def where(self) -> str:
        return f"{self.document.file}:{self.document.line}"

    def problem(self, loc: Sequence[str | int], message: str) -> Problem:
        """A problem with one of the attributes, or with the whole where ``loc`` is empty."""
        if not loc:
            return self.document.problem((), message)
        return self.document.problem(("attributes", *loc), f"{_dotted(loc)}: {message}")


def _no_mistakes(_: AnySpec, __: Mapping[str, FeedSpec]) -> Iterable[Mistake]:
    return ()


@cache
def load_declared(folder: Path, judge: Judge = _no_mistakes) -> Declared:
    """Parse every ``defs.yaml`` below ``folder``, once a process.

    Parameters
    ----------
    folder
        The deployment's is ``Settings().declared_folder``.
    judge
        Asked about each spec that is well-formed; its mistakes are reported with the others.

    Raises
    ------
    SpecError
        There is no declaration, or at least one file is wrong. The message has a line for each
        mistake: file, line, what was found, and the values that are allowed.
    """
    problems: list[Problem] = []
    found: list[_Located] = []
    attempted: set[str] = set()
    for path in _declarations(folder, problems):
        documents, unreadable = read_documents(path, _shown(path))
        problems.extend(unreadable)
        if not documents and not unreadable:
            problems.append(Problem(_shown(path), 0, "declares nothing; fill it or remove it"))
        for document in documents:
            found.extend(_parse(document, problems))
            attempted.add(_name_in(document))
    problems.extend(_clashes(found))
    specs = [located.spec for located in found]
    feeds = {spec.name: spec for spec in specs if isinstance(spec, FeedSpec)}
    for located in found:
        spec = located.spec
        if isinstance(spec, ForecastSpec) and spec.feed not in {*feeds, *attempted}:
            message = _unknown("feed", spec.feed, sorted(feeds))
            problems.append(located.problem(("feed",), message))
        mistakes = judge(spec, feeds)
        problems.extend(located.problem(each.loc, each.message) for each in mistakes)
    if problems:
        ordered = sorted(set(problems), key=lambda problem: (problem.file, problem.line))
        raise SpecError(
            f"{counted(len(ordered), 'mistake')} in the declared feeds and forecasts:\n"
            + "\n".join(f"  {problem}" for problem in ordered)
        )
    return Declared(
        feeds=feeds,
        forecasts={spec.name: spec for spec in specs if isinstance(spec, ForecastSpec)},
        universes={spec.name: spec for spec in specs if isinstance(spec, UniverseSpec)},
    )


def _declarations(folder: Path, problems: list[Problem]) -> list[Path]:
    """Every ``defs.yaml`` that Dagster reads; files that would be declarations are problems."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise SpecError(
            f"There is no folder {folder} of declared feeds and forecasts: it {what}.",
            remedy="Set FX_ASSETS_DECLARED to a folder of defs.yaml files, or unset it.",
        )
    files, found = [], []
    for where, folders, names in os.walk(
        folder, onerror=lambda error: problems.append(_unwalked(error)), followlinks=True
    ):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        files += [Path(where) / name for name in sorted(names) if name.lower().endswith(_YAML)]
    holders: set[Path] = set()
    for path in sorted(files, key=lambda path: (len(path.parts), path)):
        above = holders.intersection(path.parents)
        if path.name != "defs.yaml":
            if path.name.lower() in _NEARLY or _declares(path):
                message = "is not read; rename it to defs.yaml, in a folder of its own"
                problems.append(Problem(_shown(path), 0, message))
            continue
        if above - {path.parent}:
            message = f"is not read, because {_shown(min(above))} has a defs.yaml; move it beside"
            problems.append(Problem(_shown(path), 0, message))
            continue
        holders.add(path.parent)
        found.append(path)
    if not found and not problems:
        raise SpecError(
            f"Nothing is declared below {folder}: there is no defs.yaml.",
            remedy="Write one (docs/declare.md shows how), let fx-assets import write it from "
            "price files, or unset FX_ASSETS_DECLARED to use the packaged forecasts.",
        )
    return sorted(found)


_YAML = (".yaml", ".yml")
_NEARLY = {"defs.yaml", "defs.yml", "def.yaml", "def.yml"}


def _declares(path: Path) -> bool:
    """Whether a file of another name holds declarations."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(f"type: {kind}" in text for kind in SPEC_TYPES)


def _unwalked(error: OSError) -> Problem:
    return Problem(
        str(error.filename), 0, f"cannot be read: {error.strerror}; let this account read it"
    )


def _name_in(document: Document) -> str:
    """The name of a feed, however wrong the rest of its declaration is."""
    value = document.value
    attributes = value.get("attributes") if isinstance(value, dict) else None
    if not isinstance(attributes, dict) or not str(value.get("type")).endswith(".PriceFeed"):
        return ""
    return str(attributes.get("name"))


def _clashes(found: Sequence[_Located]) -> Iterator[Problem]:
    """Names that are used twice: each is the name of a group, of jobs and of sensors."""
    known: dict[str, _Located] = {}
    for name, located in _names(found):
        first = known.setdefault(name, located)
        if first is located or (first.document is located.document and name == _term(first)):
            continue
        kinds = [_KINDS[type(x.spec)] for x in (first, located)]
        what = f"already a {kinds[0]}, declared" if kinds[0] != kinds[1] else "already declared"
        remedy = "" if kinds[0] == kinds[1] else f"; give the {kinds[1]} another name"
        yield located.problem((), f"{name!r} is {what} at {first.where}{remedy}")


def _term(located: _Located) -> str:
    spec = located.spec
    return spec.term if isinstance(spec, ForecastSpec) else ""


def _names(found: Sequence[_Located]) -> Iterator[tuple[str, _Located]]:
    """All names that are taken; a forecast of several horizons takes its own as well."""
    for located in found:
        yield located.spec.name, located
        if _term(located):
            yield _term(located), located


_KINDS: dict[type, str] = {FeedSpec: "feed", ForecastSpec: "forecast", UniverseSpec: "universe"}


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _parse(document: Document, problems: list[Problem]) -> Iterator[_Located]:
    value = document.value
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in SPEC_TYPES:
        message = f"type: {_unknown('component type', kind, list(SPEC_TYPES))}"
        problems.append(document.problem(("type",), message))
        return
    for key in value:
        if key not in _TOP_LEVEL:
            message = f"{key}: {_unknown('setting', key, _TOP_LEVEL[:2])}"
            problems.append(document.problem((key,), message))
    try:
        spec = SPEC_TYPES[kind].model_validate(value.get("attributes") or {})
    except ValidationError as error:
        problems.extend(_describe(error, document, SPEC_TYPES[kind]))
        return
    members = spec.members if isinstance(spec, DeclaredForecast) else [spec]
    yield from (_Located(member, document) for member in members)


_TOP_LEVEL = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What Dagster lets a document of a component have; feeds and forecasts need the first two."""


def _describe(
    error: ValidationError, document: Document, spec_type: type[Spec]
) -> Iterator[Problem]:
    for detail in error.errors():
        loc = detail["loc"]
        message = complaint(detail)
        if detail["type"] == "extra_forbidden":
            theirs = _source_at(document.value, loc[:-1])
            allowed = sorted(theirs) if theirs else _settings_at(spec_type, loc[:-1])
            message = _unknown("setting", loc[-1], allowed)
        elif not isinstance(detail["input"], dict | list):
            message += f" (found {detail['input']!r})"
        yield document.problem(("attributes", *loc), f"{_dotted(loc)}: {message}")


def _dotted(loc: Sequence[int | str]) -> str:
    return ".".join(map(str, loc)) or "attributes"


def _unknown(what: str, value: object, allowed: Sequence[str]) -> str:
    close = get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"no {what} {value!r}.{hint} Allowed: {', '.join(allowed) or 'none is declared'}."


def _source_at(document: Any, loc: Sequence[int | str]) -> list[str]:
    """The settings of the source that is declared at a place; empty where none is."""
    value = document.get("attributes")
    for key in loc:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return []
    found = source_class(value.get("kind")) if isinstance(value, dict) else None
    return [] if found is None else list(found.model_fields)


def _settings_at(spec_type: type[Spec], loc: Sequence[int | str]) -> list[str]:
    fields = spec_type.model_fields
    for key in loc:
        if key in fields:
            nested = next(_specs_in(fields[str(key)].annotation), None)
            fields = nested.model_fields if nested else fields
    return sorted(name for name, field in fields.items() if not field.exclude)


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for part in get_args(annotation):
        yield from _specs_in(part)
