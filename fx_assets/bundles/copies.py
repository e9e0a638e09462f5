"""Second copies of a bundle's files, by which damage is found and made good.

A copy is named by its content: ``copies/<forecast>/<version>/<sha256>.<file>``. So it vouches for
itself, and for the manifest of a version that no pointer vouches for. The graph needs none: that of
the candidate's draft stays where it was, named by its content as well. Copies are made once a
version is in the ledger of decisions.
"""

from __future__ import annotations

from pydantic import ValidationError

from fx_assets.bundles.records import (
    BACKGROUND_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Blobs,
    Manifest,
    Pointer,
    folder,
    manifest_path,
    pointer_path,
    sha256,
)
from fx_assets.errors import FxAssetsError

DIGITS = 16
"""Of the SHA-256 of a graph, in the name of a candidate's file."""


def graph_path(forecast: str, candidate: str, onnx_sha256: str) -> str:
    """Where the graph of a candidate's draft is kept; drafts that follow leave it there."""
    return f"candidates/{forecast}/{candidate}/{onnx_sha256[:DIGITS]}.onnx"


def keep_copy(blobs: Blobs, forecast: str, version: int, name: str, data: bytes) -> None:
    """Keep a file's content; the same content again changes nothing."""
    path = f"{_folder(forecast, version)}{sha256(data)}.{name}"
    if not blobs.blob_exists(path):
        blobs.write_blob(path, data)


def keep_copies(blobs: Blobs, forecast: str, version: int) -> None:
    """Keep manifest and golden rows of a version that has no copies; damaged ones are left out."""
    kept = copies_of(blobs, forecast, version)
    if MANIFEST_FILE in kept and GOLDEN_FILE in kept:
        return
    wrong = damage(blobs, forecast, version)
    if MANIFEST_FILE in wrong:
        return
    for name in (MANIFEST_FILE, GOLDEN_FILE):
        if name not in kept and name not in wrong:
            data = blobs.read_blob(f"{folder(forecast, version)}/{name}")
            keep_copy(blobs, forecast, version, name, data)


def without_copies(blobs: Blobs, forecast: str, versions: set[int]) -> list[int]:
    """Those of the versions whose manifest or golden rows have no copy, in ascending order."""
    start = f"copies/{forecast}/"
    kept = {
        (parts[0], parts[1].partition(".")[2])
        for parts in (path.removeprefix(start).split("/", 1) for path in blobs.list_blobs(start))
        if len(parts) == 2
    }
    wanted = (MANIFEST_FILE, GOLDEN_FILE)
    return sorted(v for v in versions if any((str(v), name) not in kept for name in wanted))


def copies_of(blobs: Blobs, forecast: str, version: int) -> dict[str, str]:
    """The SHA-256 of each file of a version that a copy was kept of, by the file's name."""
    start = _folder(forecast, version)
    names = (path.removeprefix(start).split(".", 1) for path in blobs.list_blobs(start))
    return {name[1]: name[0] for name in names if len(name) == 2}


def damage(blobs: Blobs, forecast: str, version: int) -> dict[str, str]:
    """What is wrong with each damaged or missing file of a version, by the file's name.

    Contents are compared with their hashes; nothing is evaluated. A background is judged only where
    a copy of it was kept.
    """
    kept = copies_of(blobs, forecast, version)
    wrong: dict[str, str] = {}
    raw = _content(blobs, manifest_path(forecast, version))
    known = kept.get(MANIFEST_FILE) or _pointed(blobs, forecast, version)
    manifest = _manifest(raw, forecast, version)
    if raw is None:
        wrong[MANIFEST_FILE] = "it is missing"
    elif manifest is None or (known and sha256(raw) != known):
        wrong[MANIFEST_FILE] = "its content is not the one that was published"
    if MANIFEST_FILE in wrong and MANIFEST_FILE in kept:
        copy = _copy(blobs, forecast, version, MANIFEST_FILE, kept[MANIFEST_FILE])
        manifest = _manifest(copy, forecast, version)
    expected = {} if manifest is None else {n: f.sha256 for n, f in manifest.files.items()}
    if BACKGROUND_FILE in kept:
        expected[BACKGROUND_FILE] = kept[BACKGROUND_FILE]
    for name, digest in expected.items():
        data = _content(blobs, f"{folder(forecast, version)}/{name}")
        if data is None:
            wrong[name] = "it is missing"
        elif sha256(data) != digest:
            wrong[name] = "its content is not the one that was published"
    return wrong


def restore(blobs: Blobs, forecast: str, version: int) -> tuple[list[str], dict[str, str]]:
    """Put whole copies in the place of damaged files.

    Returns
    -------
    tuple
        The names of the files that were made whole, and what stays wrong with the others.
    """
    wrong = damage(blobs, forecast, version)
    if not wrong:
        return [], {}
    kept = copies_of(blobs, forecast, version)
    restored = []
    manifest: Manifest | None = None
    for name in (MANIFEST_FILE, MODEL_FILE, GOLDEN_FILE, BACKGROUND_FILE):
        path = f"{folder(forecast, version)}/{name}"
        if name in wrong:
            data = _copy(blobs, forecast, version, name, kept.get(name))
            if name == MODEL_FILE and manifest is not None:
                data = _graph(blobs, manifest)
            if data is None:
                continue
            blobs.write_blob(path, data)
            restored.append(name)
            del wrong[name]
        if name == MANIFEST_FILE:
            manifest = _manifest(_content(blobs, path), forecast, version)
    return restored, wrong


def restored(blobs: Blobs, forecast: str, version: int) -> bool:
    """Whether a version can predict, once copies are in the place of damaged files."""
    _, wrong = restore(blobs, forecast, version)
    return not set(wrong) - {BACKGROUND_FILE}


def _folder(forecast: str, version: int) -> str:
    return f"copies/{forecast}/{version}/"


def _content(blobs: Blobs, path: str) -> bytes | None:
    try:
        return blobs.read_blob(path) if blobs.blob_exists(path) else None
    except FxAssetsError:
        return None


def _copy(blobs: Blobs, forecast: str, version: int, name: str, digest: str | None) -> bytes | None:
    if digest is None:
        return None
    return _whole(blobs, f"{_folder(forecast, version)}{digest}.{name}", digest)


def _graph(blobs: Blobs, manifest: Manifest) -> bytes | None:
    expected = manifest.files.get(MODEL_FILE)
    if expected is None:
        return None
    path = graph_path(manifest.forecast, manifest.candidate, expected.sha256)
    return _whole(blobs, path, expected.sha256)


def _whole(blobs: Blobs, path: str, digest: str) -> bytes | None:
    """The content of a file that is what its hash says."""
    data = _content(blobs, path)
    return data if data is not None and sha256(data) == digest else None


def _pointed(blobs: Blobs, forecast: str, version: int) -> str | None:
    raw = _content(blobs, pointer_path(forecast))
    try:
        pointer = Pointer.model_validate_json(raw or b"")
    except ValidationError:
        return None
    return pointer.manifest_sha256 if pointer.version == version else None


def _manifest(raw: bytes | None, forecast: str, version: int) -> Manifest | None:
    try:
        manifest = Manifest.model_validate_json(raw or b"")
    except ValidationError:
        return None
    return manifest if (manifest.forecast, manifest.version) == (forecast, version) else None
