"""What the newest look at live predictions found; runs in the child."""

from __future__ import annotations

import numpy as np

from fx_assets.bundles.records import Manifest
from fx_assets.lake.reader import Reader
from fx_assets.tables import LIVE_EVIDENCE, PERFORMANCE, SHADOW_PREDICTIONS
from serving.queries.columns import finite, instant, instants, numbers, texts
from serving.queries.context import Live
from serving.queries.own_rows import own_rows
from serving.schemas import LiveCandidate

COLUMNS = ["measured_at", "skill", "skill_lower", "skill_upper", "rows", "alarm"]


def candidates(reader: Reader, manifest: Manifest) -> list[LiveCandidate]:
    """The newest row of each recipe in ``live_evidence``, the best skill first."""
    table = own_rows(reader, manifest, LIVE_EVIDENCE)
    if table is None:
        return []
    order = np.lexsort((numbers(table, "rows"), instants(table, "as_of"))).tolist()
    recipes, names = texts(table, "recipe"), texts(table, "candidate")
    newest = {recipes[i]: i for i in order}
    said = _newest_shadows(reader, manifest)
    since = instants(table, "since")

    def value(name: str, row: int) -> float | None:
        return finite(numbers(table, name)[row])

    found = [
        LiveCandidate(
            candidate=names[i],
            recipe=recipe,
            since=instant(since[i]),
            rows=int(numbers(table, "rows")[i]),
            loss=float(numbers(table, "loss")[i]),
            baseline_loss=float(numbers(table, "baseline_loss")[i]),
            champion_loss=value("champion_loss", i),
            skill=value("skill", i),
            lower=value("skill_lower", i),
            upper=value("skill_upper", i),
            e_better=value("e_better", i),
            e_worse=value("e_worse", i),
            newest=said.get(recipe),
            champion=recipe == manifest.recipe,
        )
        for recipe, i in newest.items()
    ]
    return sorted(found, key=lambda one: -np.inf if one.skill is None else -one.skill)


def _newest_shadows(reader: Reader, manifest: Manifest) -> dict[str, float]:
    """What each recipe says of the newest bar that any spoke at."""
    table = own_rows(reader, manifest, SHADOW_PREDICTIONS, ["recipe", "event_time", "prediction"])
    if table is None:
        return {}
    times = instants(table, "event_time")
    last, recipes = times.max(), texts(table, "recipe")
    values = numbers(table, "prediction").tolist()
    return {recipes[i]: values[i] for i in np.flatnonzero(times == last).tolist()}


def live(reader: Reader, manifest: Manifest) -> Live | None:
    """The newest row of the ``performance`` table."""
    table = own_rows(reader, manifest, PERFORMANCE, COLUMNS)
    if table is None:
        return None
    newest = int(np.argmax(instants(table, "measured_at")))
    skill, lower, upper = (
        finite(numbers(table, name)[newest]) for name in ("skill", "skill_lower", "skill_upper")
    )
    return Live(
        skill, lower, upper, int(numbers(table, "rows")[newest]), table["alarm"][newest].as_py()
    )
