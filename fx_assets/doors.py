"""Where ideas come in: families, feature sets and targets of ours, of packages, of a project.

A door is a group of entry points. A package offers a class by naming it in its own
``pyproject.toml``, as this one does; a project offers those in the modules of its plug-in folder,
where its ``pyproject.toml`` or ``FX_ASSETS_PLUGINS`` names one. Code in that folder is run, so it
is trusted like any code of the project.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from fx_assets.errors import SpecError
from fx_assets.settings import Settings


class Door(Mapping[str, Any]):
    """The plug-ins of one kind, by name; each is imported when it is asked for.

    Parameters
    ----------
    group
        The group of entry points. A class or function in a plug-in folder belongs to it if it has a
        ``name`` of its own and its attribute ``door`` is the group.
    what
        What its plug-ins are called in messages.
    """

    def __init__(self, group: str, what: str) -> None:
        self.group, self.what = group, what

    def __getitem__(self, name: str) -> Any:
        """The plug-in of that name.

        Raises
        ------
        SpecError
            There is none, two offer the name, or its module cannot be imported.
        """
        offers = self._offers()
        if name not in offers:
            broken = "".join(f" {plugin.why}" for plugin in broken_plugins())
            raise SpecError(
                f"There is no {self.what} {name!r}.{broken}",
                remedy=f"Choose one of {self.choices}.",
            )
        offer = offers[name]
        try:
            found = offer.load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            raise SpecError(
                f"The {self.what} {name!r} cannot be loaded from {offer.place} ({offer.origin}): "
                f"{type(error).__name__}: {error}.",
                remedy=f"Mend or remove {offer.origin}.",
            ) from error
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(found.__abstractmethods__))
            raise SpecError(
                f"The {self.what} {name!r} is not whole: {offer.place} ({offer.origin}) lacks "
                f"{lacking}.",
                remedy=f"Define {lacking} as docs/plugins.md does.",
            )
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._offers()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._offers()))

    def __len__(self) -> int:
        return len(self._offers())

    @property
    def choices(self) -> str:
        """The names for a message; none of them means that our own metadata is of older code."""
        return ", ".join(self) or "none: install fx-assets again, as make run does"

    def origin(self, name: str) -> str:
        """The package, or the file of the plug-in folder, that offers a name."""
        return self._offers()[name].origin

    def place(self, name: str) -> str:
        """Where a name is defined, ``module:class``; the module is not imported."""
        return self._offers()[name].place

    def _offers(self) -> dict[str, _Offer]:
        return _offers(self.group, self.what, _folder())


FAMILIES = Door("fx_assets.families", "model family")
FEATURE_SETS = Door("fx_assets.feature_sets", "feature set")
TARGETS = Door("fx_assets.targets", "kind of target")
SOURCES = Door("fx_assets.sources", "source")
CALENDARS = Door("fx_assets.calendars", "calendar")
CHECKS = Door("fx_assets.checks", "check of the gate")


GROUPS = tuple(d.group for d in (FAMILIES, FEATURE_SETS, TARGETS, SOURCES, CALENDARS, CHECKS))


@dataclass(frozen=True)
class Broken:
    """What nobody can find: a module that cannot be imported, a name in a group without a door."""

    origin: str
    """A package or a file."""
    why: str
    """A sentence."""


def broken_plugins() -> list[Broken]:
    """What the plug-in folder and packages offer that comes through no door."""
    folder = _folder()
    return [*(_modules(folder)[1] if folder else ()), *_strays()]


def _strays() -> tuple[Broken, ...]:
    points = {
        (distribution.name, point.group, point.name)
        for distribution in distributions()
        for point in distribution.entry_points
        if point.group.startswith("fx_assets.") and point.group not in GROUPS
    }
    return tuple(
        Broken(
            package,
            f"{package} names {name} in the group of entry points {group!r}, which does not exist: "
            f"choose one of {', '.join(GROUPS)}.",
        )
        for package, group, name in sorted(points)
    )


def _folder() -> str:
    """The plug-in folder, or '': asked for each name of a declaration, so it is looked up once."""
    return _folder_by(*map(os.environ.get, ("FX_ASSETS_PLUGINS", "FX_ASSETS_HOME")), os.getcwd())


@lru_cache(maxsize=16)
def _folder_by(plugins: str | None, home: str | None, here: str) -> str:  # noqa: ARG001
    return str(Settings().plugins_folder or "")


@dataclass(frozen=True)
class _Offer:
    origin: str
    """A package or a file."""
    place: str
    load: Callable[[], Any]


@lru_cache(maxsize=64)
def _offers(group: str, what: str, folder: str) -> dict[str, _Offer]:
    offers: dict[str, _Offer] = {}
    for name, offer in _offered(group, folder):
        known = offers.setdefault(name, offer)
        if (known.origin, known.place) != (offer.origin, offer.place):
            raise SpecError(
                f"Two plug-ins offer the {what} {name!r}: {known.origin} and {offer.origin}.",
                remedy="Rename one of them, or uninstall its package.",
            )
    return offers


def _offered(group: str, folder: str) -> Iterator[tuple[str, _Offer]]:
    for point in _points(group):
        package = point.module if point.dist is None else point.dist.name
        yield point.name, _Offer(package, point.value, point.load)
    for module in _modules(folder)[0] if folder else ():
        for plugin in vars(module).values():
            if _is_plugin(plugin, group, module):
                place = f"{module.__name__}:{plugin.__name__}"
                yield plugin.name, _Offer(str(module.__file__), place, partial(_itself, plugin))


def _points(group: str) -> Iterable[EntryPoint]:
    """Of every package; a checkout may keep facts of an older build beside those installed."""
    found: dict[tuple[str, str], EntryPoint] = {}
    for distribution in distributions():
        points = [point for point in distribution.entry_points if point.group == group]
        package = distribution.name if points else ""
        for point in points:
            found.setdefault((package, point.name), point)
    return found.values()


def _itself(plugin: Any) -> Any:
    return plugin


def _is_plugin(value: Any, group: str, module: ModuleType) -> bool:
    return (
        (inspect.isclass(value) or inspect.isfunction(value))
        and getattr(value, "door", None) == group
        and value.__module__ == module.__name__
        and "name" in vars(value)
    )


@lru_cache(maxsize=8)
def _modules(folder: str) -> tuple[list[ModuleType], list[Broken]]:
    """The modules of a plug-in folder, imported as a package of its name, and what went wrong."""
    place = Path(folder)
    if not place.is_dir():
        raise SpecError(
            f"The plug-in folder {folder!r} is not a folder.",
            remedy="Set FX_ASSETS_PLUGINS, or plugins in [tool.fx_assets] of your pyproject.toml, "
            "to the folder of your plug-ins' modules, or unset it.",
        )
    if not place.name.isidentifier():
        raise SpecError(
            f"The plug-in folder {folder!r} has a name that Python cannot import.",
            remedy="Rename it, to plugins for example.",
        )
    _package_of(place)
    found, broken = [], []
    for file in sorted(place.iterdir()):
        module = file.stem if file.suffix == ".py" else file.name
        is_module = file.suffix == ".py" or (file / "__init__.py").is_file()
        if not is_module or not module.isidentifier() or module == "__init__":
            continue
        try:
            found.append(import_module(f"{place.name}.{module}"))
        except Exception as error:
            why = f"{file} cannot be imported: {type(error).__name__}: {error}."
            broken.append(Broken(str(file), why))
    return found, broken


def _package_of(folder: Path) -> None:
    """Make the folder importable as a package, wherever it lies."""
    known = sys.modules.get(folder.name)
    if known is not None and str(folder) in map(str, getattr(known, "__path__", [])):
        return
    if known is not None:
        raise SpecError(
            f"The plug-in folder {folder} has the name of a module that is loaded: {folder.name}.",
            remedy="Rename the folder, to plugins for example.",
        )
    spec = ModuleSpec(folder.name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    package = ModuleType(folder.name)
    package.__spec__, package.__path__ = spec, [str(folder)]
    sys.modules[folder.name] = package
