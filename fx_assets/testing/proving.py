"""Runs the suites on plug-ins and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, get_args

from fx_assets.doors import (
    CALENDARS,
    CHECKS,
    FAMILIES,
    FEATURE_SETS,
    SOURCES,
    TARGETS,
    Door,
    broken_plugins,
)
from fx_assets.errors import SpecError
from fx_assets.specs.distribution import DistributionName
from fx_assets.testing import (
    calendars,
    checks,
    distributions,
    families,
    features,
    sources,
    targets,
)


@dataclass(frozen=True)
class Verdict:
    """One check of one plug-in.

    Parameters
    ----------
    plugin
        Its name.
    case
        What it was tried with, such as ``ridge-return-1``.
    check
        The sentence that the check states.
    found
        What was found instead; empty where the sentence holds.
    """

    plugin: str
    case: str
    check: str
    found: str = ""

    @property
    def holds(self) -> bool:
        """Whether the sentence is true of the plug-in."""
        return not self.found


Suite = tuple[Collection[str], Callable[[str], list[Any]], list[Callable[[Any], None]]]
"""What it is about, by name, what each is tried with, and the checks."""
SUITES: Final[dict[str, Suite]] = {
    "model family": (FAMILIES, families.cases_of, families.CHECKS),
    "feature set": (FEATURE_SETS, features.cases_of, features.CHECKS),
    "kind of target": (TARGETS, targets.cases_of, targets.CHECKS),
    "source": (SOURCES, sources.cases_of, sources.CHECKS),
    "calendar": (CALENDARS, calendars.cases_of, calendars.CHECKS),
    "check of the gate": (CHECKS, checks.cases_of, checks.CHECKS),
    "distribution": (
        get_args(DistributionName),
        distributions.cases_of,
        distributions.CHECKS,
    ),
}


LOST = "plug-in of no kind"


def named(what: str) -> list[tuple[str, str]]:
    """The kinds and names of the plug-ins that a name stands for.

    What comes from a package or folder and through no door is ``LOST``, by its origin.

    Parameters
    ----------
    what
        A plug-in's name, a package that offers plug-ins, or a plug-in folder or a file in it.

    Raises
    ------
    SpecError
        It is none of these.
    """
    by_name = [(kind, what) for kind, (door, _, _) in SUITES.items() if what in door]
    if by_name:
        return by_name
    offered = [
        (kind, name)
        for kind, (door, _, _) in SUITES.items()
        if isinstance(door, Door)
        for name in door
        if _comes_from(what, door.origin(name))
    ]
    lost = dict.fromkeys((LOST, b.origin) for b in broken_plugins() if _comes_from(what, b.origin))
    offered += lost
    if not offered:
        known = [f"{kind}: {', '.join(door)}" for kind, (door, _, _) in SUITES.items()]
        raise SpecError(
            f"There is no plug-in, package or plug-in folder {what!r}.",
            remedy=f"Known are, by kind, {'; '.join(known)}. A folder of plug-ins is named in "
            "FX_ASSETS_PLUGINS, or as plugins in [tool.fx_assets] of pyproject.toml.",
        )
    return offered


def _comes_from(what: str, origin: str) -> bool:
    parts = origin.replace("\\", "/").split("/")
    same_package = what.replace("_", "-").lower() == origin.replace("_", "-").lower()
    return same_package or what.rstrip("/").rpartition("/")[2] in parts


def verdicts_of(kind: str, name: str) -> Iterator[Verdict]:
    """The verdict of each check on each case of a plug-in, one after the other."""
    if kind == LOST:
        for broken in broken_plugins():
            if broken.origin == name:
                yield Verdict(name, name, "it can be found", broken.why)
        return
    door, cases_of, checks = SUITES[kind]
    try:
        if isinstance(door, Door):
            door[name]
        cases = cases_of(name)
    except Exception as error:  # whatever a stranger's class does
        yield Verdict(name, name, "it can be loaded", _said(error))
        return
    for case in cases:
        for check in checks:
            sentence = check.__name__.replace("_", " ")
            yield Verdict(name, str(case), sentence, _tried(partial(check, case)))


def prove(what: str) -> list[Verdict]:
    """Every verdict on the plug-ins that a name stands for, as :func:`named` reads it."""
    return [verdict for kind, name in named(what) for verdict in verdicts_of(kind, name)]


def _tried(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:
        return _said(error)
    return ""


def _said(error: Exception) -> str:
    if isinstance(error, AssertionError):
        return str(error) or "an assertion failed"
    return f"{type(error).__name__}: {error}"
