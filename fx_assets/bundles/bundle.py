"""Publishes champions as bundles, and loads bundles that are whole and compute what they should.

A bundle is a folder ``bundles/<forecast>/<version>`` with ``model.onnx``, ``golden.json`` and
``manifest.json``; it never changes. One pointer, ``bundles/<forecast>/champion.json``, is replaced
last and atomically, so a reader sees the old champion or the new one. Needs neither MLflow nor
pandas, and runs no code from the bundle: ONNX Runtime evaluates a graph.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fx_assets import clock
from fx_assets.bundles import copies as bundle_copies
from fx_assets.bundles import signing
from fx_assets.bundles.records import (
    FORMAT,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Blobs,
    Bundle,
    BundleRef,
    ChampionFacts,
    FileFacts,
    Golden,
    LoadedBundle,
    Manifest,
    Pointer,
    folder,
    pointer_path,
    sha256,
    to_json,
)
from fx_assets.errors import FxAssetsError, NoChampionError, RegistryError, SpecError
from fx_assets.faults import release
from fx_assets.models.onnx_predict import OnnxModel, difference
from fx_assets.targets import target_definition

__all__ = [
    "Blobs",
    "Bundle",
    "BundleRef",
    "ChampionFacts",
    "Golden",
    "LoadedBundle",
    "Manifest",
    "champion_ref",
    "load",
    "point_to",
    "publish",
    "published_versions",
    "store_bundle",
]

_Read = TypeVar("_Read", bound=BaseModel)


def publish(blobs: Blobs, bundle: Bundle) -> BundleRef:
    """Store the bundle, then make it the champion: :func:`store_bundle` and :func:`point_to`."""
    store_bundle(blobs, bundle)
    return point_to(blobs, bundle.facts.forecast, bundle.facts.version)


def store_bundle(blobs: Blobs, bundle: Bundle, *, overwrite: bool = False) -> None:
    """Write the bundle's files, the manifest last; the champion stays who it is.

    Storing the same content again changes nothing. What a killed process left unfinished is
    written anew.

    Parameters
    ----------
    overwrite : bool
        Whether other content of this version may go: that of a run which died before it recorded
        its decision, so that nobody refers to it.

    Raises
    ------
    RegistryError
        The bundle does not pass the checks of :func:`load`, or this version is already stored
        with other content.
    """
    facts = bundle.facts
    golden = to_json(bundle.golden)
    manifest = Manifest(
        **facts.model_dump(),
        created_at=clock.now(),
        files={MODEL_FILE: FileFacts.of(bundle.onnx), GOLDEN_FILE: FileFacts.of(golden)},
    )
    where = folder(facts.forecast, facts.version)
    _evaluate(manifest, bundle.onnx, bundle.golden, where)
    path = f"{where}/{MANIFEST_FILE}"
    there, raw = blobs.blob_exists(path), to_json(manifest)
    if there and not overwrite:
        raw = _read(blobs, path, "manifest")
        _refuse_other_content(_parse(Manifest, raw, path, "manifest"), manifest, where)
    blobs.write_blob(f"{where}/{MODEL_FILE}", bundle.onnx)
    blobs.write_blob(f"{where}/{GOLDEN_FILE}", golden)
    if overwrite or not there:
        blobs.write_blob(path, raw)
    signing.seal(blobs, facts.forecast, facts.version, sha256(raw))


def point_to(blobs: Blobs, forecast: str, version: int, put_back: str = "") -> BundleRef:
    """Make a stored version the champion, by replacing the pointer; nothing if it is already.

    ``put_back`` says who did so although the rule had demoted it.

    Raises
    ------
    RegistryError
        There is no such version, it does not pass the checks of :func:`load`, or this deployment
        signs and has not signed it.
    """
    stored, path = load(blobs, forecast, version).ref, pointer_path(forecast)
    signing.require_sealed(blobs, forecast, version, stored.manifest_sha256)
    try:
        present = champion_ref(blobs, forecast)
    except FxAssetsError:
        present = None
    wanted = replace(stored, put_back=put_back)
    same = present and replace(present, published_at=stored.published_at) == wanted
    if present and same and signing.signed_by_all(blobs, path) is None:
        return present
    pointer = Pointer(
        forecast=forecast,
        version=version,
        manifest_sha256=stored.manifest_sha256,
        published_at=present.published_at if present and same else clock.now(),
        put_back=put_back,
    )
    blobs.write_blob(path, signing.signed(blobs, path, to_json(pointer)))
    return replace(wanted, published_at=pointer.published_at)


def champion_ref(blobs: Blobs, forecast: str) -> BundleRef:
    """What the pointer says; one small read, to notice that it moved.

    Raises
    ------
    NoChampionError
        Nothing has been published yet.
    RegistryError
        The pointer cannot be read.
    """
    path = pointer_path(forecast)
    if not blobs.blob_exists(path):
        raise NoChampionError(
            f"No champion of {forecast} has been published: there is no {path}.",
            remedy=f"Materialize {forecast}/champion.",
        )
    pointer = _parse(Pointer, _read(blobs, path, "pointer"), path, "pointer")
    if pointer.forecast != forecast:
        raise _refusal(path, "pointer", f"it belongs to {pointer.forecast}, not to {forecast}")
    return BundleRef(
        forecast, pointer.version, pointer.manifest_sha256, pointer.published_at, pointer.put_back
    )


def load(blobs: Blobs, forecast: str, version: int | None = None) -> LoadedBundle:
    """The champion's bundle, or that of a given version, after every check.

    Pointer, manifest, model and golden rows are checked in this order; each vouches for the next
    by its SHA-256, and the graph must compute the golden outputs. The manifest of a given version
    is vouched for by the copy that was kept of it, and taken at its word where there is none.

    Raises
    ------
    NoChampionError
        Nothing has been published yet.
    RegistryError
        A check failed; the message says which, with the values.
    """
    ref = champion_ref(blobs, forecast) if version is None else None
    wanted = ref.version if ref else int(version or 0)
    where = folder(forecast, wanted)
    path = f"{where}/{MANIFEST_FILE}"
    raw = _read(blobs, path, "manifest")
    copied = bundle_copies.copies_of(blobs, forecast, wanted) if ref is None else {}
    expected = ref.manifest_sha256 if ref else copied.get(MANIFEST_FILE)
    if expected and sha256(raw) != expected:
        raise _refusal(
            path,
            "manifest",
            f"its sha256 is {sha256(raw)} ({len(raw)} bytes), the "
            f"{'pointer' if ref else 'copy'} says {expected}",
        )
    manifest = _parse(Manifest, raw, path, "manifest")
    if (manifest.forecast, manifest.version) != (forecast, wanted):
        raise _refusal(
            path, "manifest", f"it belongs to {manifest.forecast} version {manifest.version}"
        )
    onnx = _checked_file(blobs, manifest, where, MODEL_FILE, "model")
    golden_path = f"{where}/{GOLDEN_FILE}"
    golden_raw = _checked_file(blobs, manifest, where, GOLDEN_FILE, "golden rows")
    golden = _parse(Golden, golden_raw, golden_path, "golden rows")
    model = _evaluate(manifest, onnx, golden, where)
    ref = ref or BundleRef(forecast, wanted, sha256(raw), manifest.created_at)
    return LoadedBundle(ref, manifest, model, golden)


def published_versions(blobs: Blobs, forecast: str) -> list[int]:
    """The versions that were stored completely, in ascending order."""
    start, end = f"bundles/{forecast}/", f"/{MANIFEST_FILE}"
    names = (p.removeprefix(start).removesuffix(end) for p in blobs.list_blobs(start))
    return sorted(int(name) for name in names if name.isdecimal())


def _refuse_other_content(stored: Manifest, new: Manifest, where: str) -> None:
    old, wanted = stored.content, new.content
    other = sorted(key for key in old.keys() | wanted.keys() if old.get(key) != wanted.get(key))
    if other:
        key = other[0]
        raise RegistryError(
            f"{where} is already stored with other content ({', '.join(other)}; {key}: "
            f"{str(old.get(key))[:80]} there, {str(wanted.get(key))[:80]} here).",
            remedy="Versions never change; store this content under the next version.",
        )


def _checked_file(blobs: Blobs, manifest: Manifest, where: str, name: str, check: str) -> bytes:
    path = f"{where}/{name}"
    data = _read(blobs, path, check)
    expected = manifest.files.get(name)
    if expected is None:
        raise _refusal(path, check, f"the manifest lists only {', '.join(manifest.files)}")
    found = FileFacts.of(data)
    if found != expected:
        raise _refusal(
            path,
            check,
            f"its sha256 is {found.sha256} ({found.size} bytes), the manifest says "
            f"{expected.sha256} ({expected.size} bytes)",
        )
    return data


def _evaluate(manifest: Manifest, onnx: bytes, golden: Golden, where: str) -> OnnxModel:
    """The graph, which must compute the golden outputs within the manifest's tolerance."""
    try:
        model = OnnxModel(onnx)
        inputs, expected = golden.arrays()
        found = model.predict(inputs)
        if manifest.distribution is not None and manifest.distribution.boosted is not None:
            manifest.distribution.boosted.check()
    except Exception as error:
        # The runtime has exceptions of its own; whatever it says, the bundle is not usable.
        text = error.message if isinstance(error, FxAssetsError) else str(error)
        raise _refusal(where, "golden rows", text) from error
    if model.width != len(manifest.input_names):
        raise _refusal(
            where,
            "model",
            f"it reads {model.width} inputs, the manifest names {len(manifest.input_names)}",
        )
    try:
        target = target_definition(manifest.target)
    except SpecError as error:
        raise _refusal(where, "target", f"{error.message} {error.remedy}") from error
    gaps = [difference(target, expected[i : i + 1], found[i : i + 1]) for i in range(len(expected))]
    worst = max(range(len(gaps)), key=gaps.__getitem__, default=None)
    if worst is None:
        raise _refusal(where, "golden rows", "there is none")
    if not gaps[worst] <= manifest.tolerance:
        raise _refusal(
            where,
            "golden rows",
            f"row {worst} gives {float(found[worst])!r}, expected {float(expected[worst])!r}: a "
            f"difference of {gaps[worst]:.3g}, tolerance {manifest.tolerance:.3g}",
        )
    return model


def _read(blobs: Blobs, path: str, check: str) -> bytes:
    try:
        return blobs.read_blob(path)
    except FxAssetsError as error:
        raise _refusal(path, check, error.message) from error


def _parse(kind: type[_Read], raw: bytes, path: str, check: str) -> _Read:
    _require_format(raw, path)
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _refusal(
            path, check, f"{len(raw)} bytes that do not parse: {place} {first['msg']}"
        ) from error


def _require_format(raw: bytes, path: str) -> None:
    try:
        form = json.loads(raw).get("format", FORMAT)
    except (ValueError, AttributeError):
        return
    if isinstance(form, int) and form > FORMAT:
        raise RegistryError(
            f"{path} is of format {form}, which a newer release of fx-assets wrote; this one, "
            f"{release()}, reads formats up to {FORMAT}.",
            remedy="Use the newer release with this lake, or restore a backup that this one made "
            "into another home: fx-assets restore FROM.",
        )


def _refusal(path: str, check: str, found: str) -> RegistryError:
    forecast = path.split("/")[1]
    return RegistryError(
        f"{path}: the check of the {check} failed: {found}.",
        remedy=f"Run: fx-assets run {forecast}. It puts the copy of a damaged file in its place; "
        f"without a copy, fx-assets run {forecast} --retrain publishes the next version.",
    )
