"""Which candidates differ between two checkouts, and in what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["unchanged", "changed", "new", "gone", "not comparable"]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What became of one candidate of one forecast."""

    forecast: str
    candidate: str
    kind: Kind
    what: tuple[str, ...] = ()
    """In words: what changed, or why nothing can be compared."""


def changes(before: Mapping[str, Facts], after: Mapping[str, Facts]) -> list[Change]:
    """Every candidate of both sides, by forecast and in the order of the declarations."""
    found = []
    for forecast in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(forecast), after.get(forecast)
        if new is None and old is not None:
            found += [Change(forecast, name, "gone") for name in old["candidates"]]
        elif old is None and new is not None:
            found += [Change(forecast, name, "new") for name in new["candidates"]]
        elif old is not None and new is not None:
            found += _within(forecast, old, new)
    return found


def _within(forecast: str, old: Facts, new: Facts) -> list[Change]:
    about = _about(old, new)
    found = []
    theirs, ours = old["candidates"], new["candidates"]
    for name in ours:
        if name not in theirs:
            found.append(Change(forecast, name, "new"))
            continue
        if about:
            found.append(Change(forecast, name, "not comparable", about))
            continue
        what = _what(old, new, name)
        known = "rows" in theirs[name] and "rows" in ours[name]
        same = theirs[name].get("rows") == ours[name].get("rows") if known else not what
        if same:
            found.append(Change(forecast, name, "unchanged"))
        elif not known:
            found.append(Change(forecast, name, "not comparable", (*what, "there are no bars")))
        else:
            found.append(Change(forecast, name, "changed", what or ("inputs or outcomes",)))
    return found + [Change(forecast, name, "gone") for name in theirs if name not in ours]


def _about(old: Facts, new: Facts) -> tuple[str, ...]:
    """What makes the forecast about something else than before."""
    told = [
        f"{name}: {old['series'].get(name)} -> {value}"
        for name, value in new["series"].items()
        if old["series"].get(name) != value
    ]
    if not told and old.get("labels") != new.get("labels"):
        told.append("the outcomes of the same bars")
    return tuple(told)


def _what(old: Facts, new: Facts, name: str) -> tuple[str, ...]:
    theirs, ours = old["candidates"][name], new["candidates"][name]
    before, after = theirs["declared"], ours["declared"]
    told = [
        f"{field}: {before.get(field)} -> {after.get(field)}"
        for field in sorted({*before, *after})
        if before.get(field) != after.get(field)
    ]
    if theirs["code"] != ours["code"]:
        told.append("code of its family or target")
    if old["features"] != new["features"]:
        told.append(f"feature set: {old['features']} -> {new['features']}")
    told += _columns(old.get("columns", {}), new.get("columns", {}))
    if old["walk_forward"] != new["walk_forward"]:
        told.append("walk_forward")
    return tuple(told)


def _columns(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    parts = {
        "features gained": [c for c in new if c not in old],
        "features lost": [c for c in old if c not in new],
        "features computed otherwise": [c for c in new if c in old and old[c] != new[c]],
    }
    return [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]
