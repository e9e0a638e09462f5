"""MLflow's names for who is champion and who is the best of the others, and whether they are right.

MLflow is imported by who names, not by who looks: an SQLite store is looked at directly, and any
other by a note, ``bundles/<forecast>/aliases.json``, of the last decision that was named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ValidationError

from fx_assets.bundles.bundle import LoadedBundle, load
from fx_assets.bundles.records import MODEL_FILE, Blobs, Manifest
from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision
from fx_assets.registry.records import CandidateRun, RegisteredVersion
from fx_assets.series.tables import SeriesTables
from fx_assets.stages.candidate import load_draft

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.registry.runs import ModelRegistry

BUNDLE_TAG = "bundle"
RESTORED_TAG = "restored"
CHAMPION, CHALLENGER = "champion", "challenger"
_SQLITE = "sqlite:///"
_SECONDS = 5.0


class Named(BaseModel):
    """The decision whose champion and challenger have their aliases."""

    sequence: int
    registry: str


def name_aliases(own: SeriesTables, registry: ModelRegistry, latest: Decision) -> None:
    """Point the aliases at the champion and at the best of the others.

    A champion that MLflow does not know, because its database is a new one or the version was
    deleted, is logged and registered again from its bundle.

    Raises
    ------
    RegistryError
        MLflow or the bundle cannot be used.
    """
    store, name = own.store, own.forecast
    bundle = load(store, name, latest.bundle)
    known = registered(registry.versions(name), bundle.manifest)
    registry.set_champion(name, known or _register_again(store, registry, bundle), latest.sentence)
    challenger = latest.challenger if latest.challenger != latest.champion else None
    if challenger is None:
        registry.set_challenger(name, None)
    else:
        draft, _ = load_draft(own, challenger)
        tags = {"candidate": draft.facts.candidate, "recipe": draft.facts.recipe}
        version = registry.register(name, draft.logged, tags) if draft.logged else None
        registry.set_challenger(name, version)
    note = Named(sequence=latest.sequence, registry=_place(registry.shown_uri))
    store.write_blob(_note_path(name), note.model_dump_json().encode())


def registered(versions: list[RegisteredVersion], manifest: Manifest) -> int | None:
    """The registered version of a bundle's model, or ``None``."""
    of_run = [entry for entry in versions if entry.run_id == manifest.mlflow_run_id]
    again = [entry for entry in versions if _is_restored(entry.tags, manifest)]
    found = of_run or again
    return found[-1].version if found else None


def disagreement(
    blobs: Blobs, tracking_uri: str, shown_uri: str, latest: Decision, manifest: Manifest
) -> str | None:
    """What is wrong with the aliases, in words, or ``None``; costs a millisecond.

    Parameters
    ----------
    shown_uri
        The tracking URI without credentials.
    latest
        The last decision, and ``manifest`` that of the bundle which it left in production.
    """
    note = _note(blobs, latest.forecast)
    if note is not None and (note.sequence, note.registry) != (latest.sequence, _place(shown_uri)):
        return f"MLflow's aliases are not yet those of decision {latest.sequence}"
    if tracking_uri.startswith(_SQLITE):
        return _looked_up(Path(tracking_uri.removeprefix(_SQLITE)), latest, manifest)
    return None if note else "nothing says that MLflow's aliases were set"


def _looked_up(file: Path, latest: Decision, manifest: Manifest) -> str | None:
    if not file.exists():
        return f"MLflow has no database {file}"
    try:
        with closing(sqlite3.connect(file, timeout=_SECONDS)) as database:
            found = _aliased(database, latest.forecast)
            tags = _tags(database, latest.forecast, found.get(CHAMPION, ("", ""))[0])
    except sqlite3.Error as error:
        return f"MLflow's database {file} cannot be read: {error}"
    if CHAMPION not in found:
        return "MLflow's alias champion is missing"
    if found[CHAMPION][1] != manifest.mlflow_run_id and not _is_restored(tags, manifest):
        return f"MLflow's alias champion is not v{manifest.version}"
    wants = latest.challenger not in (None, latest.champion)
    return None if wants == (CHALLENGER in found) else "MLflow's alias challenger is not right"


def _aliased(database: sqlite3.Connection, forecast: str) -> dict[str, tuple[str, str]]:
    rows = database.execute(
        "SELECT a.alias, v.version, v.run_id FROM registered_model_aliases a JOIN model_versions v"
        " ON v.name = a.name AND v.version = a.version WHERE a.name = ?",
        [forecast],
    )
    return {str(alias): (str(version), str(run)) for alias, version, run in rows}


def _tags(database: sqlite3.Connection, forecast: str, version: str) -> dict[str, str]:
    query = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
    return {str(key): str(value) for key, value in database.execute(query, [forecast, version])}


def _is_restored(tags: Mapping[str, str], manifest: Manifest) -> bool:
    marks = (tags.get(BUNDLE_TAG), tags.get(RESTORED_TAG))
    return marks == (str(manifest.version), manifest.mlflow_run_id)


def _register_again(store: Lake, registry: ModelRegistry, bundle: LoadedBundle) -> int:
    """Log a bundle's graph as a new run, and register that."""
    facts = bundle.manifest
    inputs, _ = bundle.golden.arrays()
    logged = registry.log_candidate(
        CandidateRun(
            facts=facts,
            params={**facts.params, "family": facts.family, "seed": facts.seed},
            metrics=pd.DataFrame([facts.skill.loss.model_dump(), facts.skill.skill.model_dump()]),
            onnx=store.read_blob(f"{bundle.ref.folder}/{MODEL_FILE}"),
            example=inputs,
            root=store.root,
            first_event=facts.trained_through,
            tags={"dagster_run_id": facts.dagster_run_id, "instrument": facts.instrument},
        )
    )
    tags = {
        "candidate": facts.candidate,
        "recipe": facts.recipe,
        BUNDLE_TAG: str(facts.version),
        RESTORED_TAG: facts.mlflow_run_id,
    }
    return registry.register(facts.forecast, logged, tags)


def _place(shown_uri: str) -> str:
    """A file may be moved together with the lake; a server is where it is."""
    return "sqlite" if shown_uri.startswith(_SQLITE) else shown_uri


def _note(blobs: Blobs, forecast: str) -> Named | None:
    path = _note_path(forecast)
    try:
        return Named.model_validate_json(blobs.read_blob(path)) if blobs.blob_exists(path) else None
    except (ValidationError, RegistryError):
        return None


def _note_path(forecast: str) -> str:
    return f"bundles/{forecast}/aliases.json"
