"""What one checkout makes of given bars; run as a file, with the checkout's own package imported.

``python side.py REQUEST`` reads a JSON file and writes ``facts.json`` and walk-forward rows into
the folder that it names. The other checkout may be older than this file, so it imports little, and
nothing of this folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fx_assets import models
from fx_assets.evaluation.folds import feature_columns
from fx_assets.evaluation.recipe import Recipe, no_trials
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.settings import Settings
from fx_assets.specs import CandidateSpec, FeedSpec, ForecastSpec
from fx_assets.specs.files import Declared, load_declared
from fx_assets.specs.series import series_of

PAIRED = ("event_time", "label_available_at", "target", "baseline", "prediction")
KEYS = ("fold_key", "row_key")


def main(path: str) -> None:
    """Answer a request.

    It has ``bars`` (by feed, the Parquet file of its bars as known), ``members`` (by universe the
    instruments that stand for all), ``known`` (a folder with walk-forward rows that need not be
    computed again), ``out`` (a folder), ``walk`` (by forecast the candidates to walk forward, empty
    for the facts alone) and ``probe`` (whether leaks are looked for).
    """
    request = json.loads(Path(path).read_text())
    out = Path(request["out"])
    out.mkdir(parents=True, exist_ok=True)
    declared = load_declared(Settings().declared_folder)
    facts = {}
    for name, spec, feed in _forecasts(declared, request["members"]):
        if name in request["walk"] or not request["walk"]:
            facts[name] = _forecast(name, spec, feed, request)
    (out / "facts.json").write_text(json.dumps(facts, default=str))


def _forecasts(
    declared: Declared, members: dict[str, list[str]]
) -> Iterator[tuple[str, ForecastSpec, FeedSpec]]:
    """Every forecast, also those of a universe's members, by a name of its own."""
    for name, spec in sorted(declared.forecasts.items()):
        yield name, spec, declared.feeds[spec.feed]
    for name, universe in sorted(declared.universes.items()):
        for target in universe.targets:
            for instrument in members.get(name, []):
                if not universe.is_named(instrument):
                    continue
                told = f"{name}/{instrument}/{target.label}"
                yield told, universe.forecast(instrument, target), universe.feed(instrument)


def _forecast(
    name: str, spec: ForecastSpec, feed: FeedSpec, request: dict[str, Any]
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "feed": feed.name,
        "frequency": feed.frequency,
        "series": series_of(spec, feed).model_dump(),
        "target": spec.target.model_dump(),
        "baseline": spec.target.baseline,
        "walk_forward": spec.walk_forward.model_dump(mode="json"),
        "features": spec.features,
        "candidates": {
            candidate.name: {
                "recipe": spec.recipe_hash(candidate),
                "declared": candidate.model_dump(mode="json", exclude_defaults=True),
                "code": _code(spec, candidate),
                "installed": candidate.installed,
            }
            for candidate in spec.all_candidates
        },
    }
    if feed.name not in request["bars"]:
        return facts
    known = pd.read_parquet(request["bars"][feed.name])
    frame = labelled_frame(known, spec, feed.market)
    stored = Path(request["known"], f"{name}.parquet")
    study = Study(spec, frame, stored=pd.read_parquet(stored) if stored.exists() else None)
    # A base from before knows no hours of a day.
    study.bars_a_day = getattr(feed.market, "bars_a_day", 1)
    facts["columns"] = {c: _digest(frame[c]) for c in study.columns}
    facts["labels"] = _digest(frame[["event_time", "target_time", "target"]])
    for candidate in spec.all_candidates:
        if not candidate.installed:
            continue
        recipes = [Recipe(study, member, no_trials()) for member in _made_of(spec, candidate)]
        parts = [recipe.rows(fold)[list(KEYS)] for recipe in recipes for fold in study.folds]
        found = facts["candidates"][candidate.name]
        # What a pool makes of its members' rows is in its recipe and code.
        own = [found["recipe"], found["code"]] if len(recipes) > 1 else []
        found["rows"] = "-".join([_digest(pd.concat(parts)), *own])
    wanted = request["walk"].get(name, [])
    out = Path(request["out"], name)
    out.mkdir(parents=True, exist_ok=True)
    early = _known_early(spec, feed, known) if wanted and request["probe"] else []
    for candidate in (c for c in spec.all_candidates if c.name in wanted):
        print(f"{name}/{candidate.name}", flush=True)
        walked = study.walk_forward(candidate)
        walked.predictions[[*PAIRED, *KEYS]].to_parquet(out / f"{candidate.name}.parquet")
        if request["probe"]:
            found = _suspicion(study, candidate, walked.predictions, known, feed, early)
            facts["candidates"][candidate.name]["suspicion"] = found
    if wanted and request["probe"]:
        reference = _reference(study)
        if reference is not None:
            reference[list(PAIRED)].to_parquet(out / "_reference.parquet")
    return facts


def _code(spec: ForecastSpec, candidate: CandidateSpec) -> str:
    # A base from before pools identifies a family's code alone.
    if hasattr(models, "candidate_code"):
        return models.candidate_code(spec, candidate)
    return models.code_version(candidate.family, spec.target.kind)


def _made_of(spec: ForecastSpec, candidate: CandidateSpec) -> list[CandidateSpec]:
    ways = [getattr(spec, name) for name in ("fitted_of", "made_of") if hasattr(spec, name)]
    return ways[0](candidate) if ways else [candidate]


def _known_early(spec: ForecastSpec, feed: FeedSpec, bars: pd.DataFrame) -> list[str]:
    """The columns whose values of old rows are others where later bars are not known yet."""
    whole = labelled_frame(bars, spec, feed.market)
    columns = feature_columns(whole)
    found = set()
    for share in (0.4, 0.7):
        part = labelled_frame(bars.iloc[: int(share * len(bars))], spec, feed.market)
        then = whole[columns].iloc[: len(part)].to_numpy(float)
        other = (part[columns].to_numpy(float) != then) & ~(part[columns].isna() & np.isnan(then))
        found |= set(np.array(columns)[other.to_numpy().any(axis=0)])
    return sorted(found)


def _suspicion(
    study: Study,
    candidate: CandidateSpec,
    rows: pd.DataFrame,
    bars: pd.DataFrame,
    feed: FeedSpec,
    early: list[str],
) -> dict[str, Any] | None:
    """Figures beyond what is plausible and columns that look ahead, with the probes' causes."""
    from fx_assets.evaluation.plausible import excesses, plausible_limits
    from fx_assets.evaluation.probes import likely_causes

    spec = study.spec
    horizon = spec.target.horizon
    limits = plausible_limits(spec.suspicion, spec.target.kind, horizon, feed.frequency)
    known = rows[rows["target"].notna()]
    arrays = [known[column].to_numpy(float) for column in ("target", "baseline", "prediction")]
    found = excesses(limits, horizon, *arrays) if len(known) else ()
    families = [models.model_class(member.family) for member in _made_of(spec, candidate)]
    read = early if any(family.reads_features() for family in families) else []
    if not found and not read:
        return None
    own = bars[bars["event_time"].isin(study.frame["event_time"])].reset_index(drop=True)
    whole = len(own) == len(study.frame)
    causes = likely_causes(study, candidate, own, feed.market) if whole and found else ()
    return {
        "figures": ", ".join(excess.text for excess in found),
        "early": read,
        "causes": [cause.text for cause in causes],
    }


def _reference(study: Study) -> pd.DataFrame | None:
    from fx_assets.evaluation.compare import reference_predictions

    return reference_predictions(study)


def _digest(values: pd.DataFrame | pd.Series[Any]) -> str:
    hashed = pd.util.hash_pandas_object(values, index=False).to_numpy()
    return hashlib.sha256(hashed.tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    main(sys.argv[1])
