"""What one checkout makes of given bars; run as a file, with the checkout's own package imported.

``python side.py REQUEST`` reads a JSON file and writes ``facts.json`` and walk-forward rows into
the folder that it names. The other checkout may be older than this file, so it imports little, and
nothing of this folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets import models
from fx_assets.evaluation.recipe import Recipe, no_trials
from fx_assets.evaluation.study import Study
from fx_assets.features import labelled_frame
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.files import load_declared
from fx_assets.specs.series import series_of

PAIRED = ("event_time", "label_available_at", "target", "baseline", "prediction")
KEYS = ("fold_key", "row_key")


def main(path: str) -> None:
    """Answer a request.

    It has ``bars`` (by feed, the Parquet file of its bars as known), ``known`` (a folder with
    walk-forward rows that need not be computed again), ``out`` (a folder) and ``walk`` (by forecast
    the candidates to walk forward, empty for the facts alone).
    """
    request = json.loads(Path(path).read_text())
    out = Path(request["out"])
    out.mkdir(parents=True, exist_ok=True)
    declared = load_declared(Settings().declared_folder)
    facts = {}
    for name, spec in sorted(declared.forecasts.items()):
        wanted = request["walk"].get(name, [])
        if request["walk"] and not wanted:
            continue
        bars = request["bars"].get(spec.feed)
        facts[name] = _forecast(spec, declared.feeds[spec.feed], bars, request, wanted)
    (out / "facts.json").write_text(json.dumps(facts, default=str))


def _forecast(
    spec: ForecastSpec, feed: FeedSpec, bars: str | None, request: dict[str, Any], wanted: list[str]
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
                "code": models.code_version(candidate.family, spec.target.kind),
                "installed": candidate.installed,
            }
            for candidate in spec.all_candidates
        },
    }
    if bars is None:
        return facts
    known = pd.read_parquet(bars)
    frame = labelled_frame(known, spec, feed.market)
    stored = Path(request["known"], f"{spec.name}.parquet")
    study = Study(spec, frame, stored=pd.read_parquet(stored) if stored.exists() else None)
    facts["columns"] = {c: _digest(frame[c]) for c in study.columns}
    facts["labels"] = _digest(frame[["event_time", "target_time", "target"]])
    for candidate in spec.all_candidates:
        if not candidate.installed:
            continue
        recipe = Recipe(study, candidate, no_trials())
        rows = pd.concat([recipe.rows(fold)[list(KEYS)] for fold in study.folds])
        facts["candidates"][candidate.name]["rows"] = _digest(rows)
    for name in wanted:
        _walk(study, name, known, feed, request, facts)
    return facts


def _walk(
    study: Study,
    name: str,
    bars: pd.DataFrame,
    feed: FeedSpec,
    request: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    out = Path(request["out"], study.spec.name)
    out.mkdir(parents=True, exist_ok=True)
    candidate = next(c for c in study.spec.all_candidates if c.name == name)
    print(f"{study.spec.name}/{name}", flush=True)
    walked = study.walk_forward(candidate)
    walked.predictions[[*PAIRED, *KEYS]].to_parquet(out / f"{name}.parquet")
    found = facts["candidates"][name]
    found["fits"] = walked.fits
    if request["probe"]:
        found["suspicion"] = _suspicion(study, name, walked.predictions, bars, feed)
        reference = _reference(study)
        if reference is not None:
            reference[list(PAIRED)].to_parquet(out / "_reference.parquet")


def _suspicion(
    study: Study, name: str, rows: pd.DataFrame, bars: pd.DataFrame, feed: FeedSpec
) -> dict[str, Any] | None:
    """Figures beyond what is plausible, with what the probes say of their cause."""
    from fx_assets.evaluation.plausible import excesses, plausible_limits
    from fx_assets.evaluation.probes import likely_causes

    spec = study.spec
    horizon = spec.target.horizon
    limits = plausible_limits(spec.suspicion, spec.target.kind, horizon, feed.frequency)
    told = rows[rows["target"].notna()]
    arrays = [told[column].to_numpy(float) for column in ("target", "baseline", "prediction")]
    found = excesses(limits, horizon, *arrays) if len(told) else ()
    if not found:
        return None
    candidate = next(c for c in spec.all_candidates if c.name == name)
    own = bars[bars["event_time"].isin(study.frame["event_time"])].reset_index(drop=True)
    whole = len(own) == len(study.frame)
    causes = likely_causes(study, candidate, own, feed.market) if whole else ()
    return {
        "figures": ", ".join(excess.text for excess in found),
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
