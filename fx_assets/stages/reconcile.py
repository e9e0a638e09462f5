"""Brings what follows from a forecast's ledger of decisions to agree with it.

A run writes one store after the other: the bundle, the ledger, the copies of the bundle, the
pointer, MLflow's aliases, the background of explanations. The ledger is what counts; a run that was
killed leaves the others behind it, and disks damage files. Looking costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from fx_assets.bundles.bundle import champion_ref, load, point_to
from fx_assets.bundles.copies import (
    copies_of,
    damage,
    keep_copies,
    keep_copy,
    restore,
    without_copies,
)
from fx_assets.bundles.records import (
    BACKGROUND_FILE,
    MANIFEST_FILE,
    Manifest,
    folder,
    manifest_path,
    pointer_path,
    sha256,
)
from fx_assets.bundles.signing import signed_by_all
from fx_assets.errors import FxAssetsError, RegistryError, SignatureError
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.folds import labelled_rows
from fx_assets.explaining.explain import (
    background_path,
    load_background,
    make_background,
    store_background,
)
from fx_assets.series.tables import SeriesTables
from fx_assets.stages.aliases import disagreement, name_aliases
from fx_assets.tables import DECISIONS, FEATURES

if TYPE_CHECKING:
    from fx_assets.lake import Lake
    from fx_assets.registry.runs import ModelRegistry


@dataclass
class Reconciled:
    """What was not as the ledger says."""

    mended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What could not be mended: why, and what to do."""


def differences(own: SeriesTables, registry: ModelRegistry) -> list[str]:
    """What does not agree with the ledger, in words; nothing is changed and MLflow not imported."""
    store, forecast, ledger = own.store, own.forecast, _in_force(own)
    if not ledger:
        return []
    latest, version = ledger[-1], ledger[-1].bundle
    wrong = damage(store, forecast, version)
    found = [f"{folder(forecast, version)}/{name}: {what}" for name, what in wrong.items()]
    if MANIFEST_FILE in wrong:
        return found
    found += filter(None, [_pointer(store, latest)])
    if BACKGROUND_FILE not in copies_of(store, forecast, version):
        found.append(f"v{version} has no background for explanations, or no copy of it")
    manifest = _manifest(store, forecast, version)
    uris = registry.tracking_uri, registry.shown_uri
    return found + list(filter(None, [disagreement(store, *uris, latest, manifest)]))


def reconcile(own: SeriesTables, registry: ModelRegistry) -> Reconciled:
    """Make bundle, copies, pointer, background and aliases agree with the ledger.

    What cannot be mended is told, and keeps nothing else from being mended.
    """
    done, store, forecast = Reconciled(), own.store, own.forecast
    with store.lock(f"decisions-{forecast}"):
        ledger = _in_force(own)
        if not ledger:
            return done
        latest = ledger[-1]
        version = latest.bundle
        _make_whole(store, forecast, version, done)
        versions = {decision.bundle for decision in ledger}
        for uncopied in without_copies(store, forecast, versions):
            keep_copies(store, forecast, uncopied)
        if done.left:
            return done
        _move_pointer(store, latest, done)
        _keep_background(own, version, done)
        _name_aliases(own, registry, latest, done)
    return done


def keep_background(store: Lake, forecast: str, version: int, frame: pd.DataFrame) -> None:
    """Store the training rows that explanations of a bundle are measured against, and a copy.

    Parameters
    ----------
    frame
        A labelled frame that has the bundle's training rows.
    """
    manifest = load(store, forecast, version).manifest
    seen = frame[frame["event_time"] <= pd.Timestamp(manifest.trained_through)]
    matrix = manifest.reads.matrix(seen)
    store_background(store, make_background(manifest, matrix[labelled_rows(seen)]))
    _copy_background(store, forecast, version)


def _copy_background(store: Lake, forecast: str, version: int) -> None:
    data = store.read_blob(background_path(forecast, version))
    keep_copy(store, forecast, version, BACKGROUND_FILE, data)


def _in_force(own: SeriesTables) -> list[Decision]:
    """The ledger of the declared series; empty while the last decision was about another one.

    A retrain is due then, and will decide.
    """
    ledger = own.ledger()
    if not ledger:
        return []
    every = own.store.read(DECISIONS.name, own.forecast, columns=["decided_at"])["decided_at"]
    return ledger if every.max() <= pd.Timestamp(ledger[-1].decided_at) else []


def _make_whole(store: Lake, forecast: str, version: int, done: Reconciled) -> None:
    where = folder(forecast, version)
    restored, wrong = restore(store, forecast, version)
    done.mended += [f"{where}/{name} was damaged; its copy is in its place" for name in restored]
    wrong.pop(BACKGROUND_FILE, None)
    if wrong:
        found = ", ".join(f"{name}: {what}" for name, what in wrong.items())
        remedy = (
            f"Put {where} back from a backup, or run: fx-assets run {forecast} --retrain. It "
            "publishes the next version; days that only the lost one could predict stay without."
        )
        done.left.append(
            str(
                RegistryError(f"The champion's bundle {where} is damaged ({found}).", remedy=remedy)
            )
        )


def _move_pointer(store: Lake, latest: Decision, done: Reconciled) -> None:
    wrong = _pointer(store, latest)
    if wrong:
        try:
            point_to(store, latest.forecast, latest.bundle, latest.put_back)
        except SignatureError as error:
            done.left.append(str(error))
            return
        done.mended.append(f"{wrong}; it points at v{latest.version} again")


def _pointer(store: Lake, latest: Decision) -> str | None:
    forecast, version = latest.forecast, latest.bundle
    try:
        present = champion_ref(store, forecast)
    except FxAssetsError as error:
        return error.message.rstrip(".")
    if present.version != version:
        return f"the pointer to the champion said v{present.version}, the ledger v{version}"
    raw = store.read_blob(manifest_path(forecast, version))
    if present.manifest_sha256 != sha256(raw):
        return "the pointer to the champion named another manifest"
    if present.put_back != latest.put_back:
        return "the pointer to the champion did not say whether it was put back"
    return signed_by_all(store, pointer_path(forecast))


def _keep_background(own: SeriesTables, version: int, done: Reconciled) -> None:
    store, forecast = own.store, own.forecast
    if BACKGROUND_FILE in copies_of(store, forecast, version):
        return
    path = background_path(forecast, version)
    try:
        load_background(store, forecast, version).array()
        _copy_background(store, forecast, version)
    except FxAssetsError:
        try:
            frame = _trained_on(own, _manifest(store, forecast, version))
            keep_background(store, forecast, version, frame)
            done.mended.append(f"{path} was missing or damaged; it was made again")
        except FxAssetsError as error:
            done.left.append(f"Explanations of {forecast} v{version} cannot be made: {error}")


def _trained_on(own: SeriesTables, manifest: Manifest) -> pd.DataFrame:
    """The labelled frame of a bundle; a lake of 0.1 holds it with its labels."""
    known, table = manifest.table_versions, FEATURES.name
    name, old = manifest.features_names
    if f"{table}/{old}" in known:
        frame = own.store.read(table, old, version=known[f"{table}/{old}"])
        return frame.sort_values("event_time", kind="stable", ignore_index=True)
    return own.frame(own.store.read(table, name, version=known.get(f"{table}/{name}")))


def _name_aliases(
    own: SeriesTables, registry: ModelRegistry, latest: Decision, done: Reconciled
) -> None:
    store = own.store
    manifest = _manifest(store, latest.forecast, latest.bundle)
    uris = registry.tracking_uri, registry.shown_uri
    wrong = disagreement(store, *uris, latest, manifest)
    if wrong is None:
        return
    try:
        name_aliases(own, registry, latest)
    except FxAssetsError as error:
        done.left.append(f"{wrong}: {error}")
    else:
        done.mended.append(f"{wrong}; they are set to v{latest.version}")


def _manifest(store: Lake, forecast: str, version: int) -> Manifest:
    path = manifest_path(forecast, version)
    return Manifest.model_validate_json(store.read_blob(path))
