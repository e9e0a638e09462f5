"""Which series were forecast under a name, and by which bundles; runs in the child."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from pydantic import ValidationError

from fx_assets.bundles.records import Manifest, manifest_path
from fx_assets.bundles.universes import Member, folder_of, of_member
from fx_assets.errors import FxAssetsError
from fx_assets.lake.below import Below
from fx_assets.lake.reader import Reader
from fx_assets.tables import DECISIONS, SERIES_COLUMN
from serving.blobs import Files
from serving.queries.columns import numbers
from serving.queries.own_rows import about_of, series_of


def bundles_by_series(reader: Reader, present: Manifest) -> dict[str, Manifest]:
    """The newest bundle that can be read of each series, the one in service first.

    Parameters
    ----------
    reader, present
        The lake, and the bundle in service.
    """
    found = {about_of(reader, present).id: present}
    for one, versions in _published(reader, present.forecast).items():
        if one in found:
            continue
        for version in sorted(versions, reverse=True):
            manifest = _manifest(reader, present, version)
            if manifest is None:
                continue
            named = one or about_of(reader, manifest).id
            found.setdefault(named, manifest)
            if one is not None:
                break
    return found


def _published(reader: Reader, forecast: str) -> dict[str | None, set[int]]:
    """The versions that decisions about each series left in production."""
    ledger = reader.read(DECISIONS.name, forecast, [SERIES_COLUMN, "version"])
    out: defaultdict[str | None, set[int]] = defaultdict(set)
    if ledger is not None:
        for one, version in zip(series_of(ledger), numbers(ledger, "version"), strict=True):
            if not np.isnan(version):
                out[one or None].add(int(version))
    return out


def _manifest(reader: Reader, present: Manifest, version: int) -> Manifest | None:
    path = manifest_path(present.forecast, version)
    files = Below(Files(reader.location), folder_of(present))
    try:
        found = Manifest.model_validate_json(files.read_blob(path))
    except (FxAssetsError, ValidationError):
        return None
    return of_member(found) if isinstance(present, Member) else found
