"""A lake as it was written before rows said what they are about."""

from __future__ import annotations

import json

from fx_assets.bundles.records import MANIFEST_FILE, pointer_path, sha256
from fx_assets.lake import Lake
from fx_assets.tables import SERIES, SERIES_COLUMN, tables_of

ADDED = (SERIES_COLUMN, "made_at")


def without_series(lake: Lake, forecast: str) -> None:
    """Take from tables, decisions, bundles, drafts and explanations what they did not say then."""
    for table in tables_of("forecast"):
        carries = SERIES_COLUMN in table.key and table != SERIES
        if not carries or not lake.exists(table.name, forecast):
            continue
        rows = lake.read(table.name, forecast)
        if table.name == "decisions":
            rows["record"] = [_without(record) for record in rows["record"]]
        lake.replace(table.name, forecast, rows.drop(columns=list(ADDED), errors="ignore"))
    lake.replace(SERIES.name, forecast, lake.read(SERIES.name, forecast)[:0])
    _rewrite_bundles(lake, forecast)
    for path in lake.list_blobs(f"candidates/{forecast}/"):
        if path.endswith("draft.json"):
            lake.write_blob(path, _without(lake.read_blob(path).decode()).encode())
    for path in lake.list_blobs(f"explanations/{forecast}/"):
        name = path.rpartition("/")[2]
        lake.write_blob(f"explanations/{forecast}/{name}", lake.read_blob(path))


def _rewrite_bundles(lake: Lake, forecast: str) -> None:
    pointer = json.loads(lake.read_blob(pointer_path(forecast)))
    for path in lake.list_blobs(f"bundles/{forecast}/"):
        if not path.endswith(MANIFEST_FILE):
            continue
        manifest = json.loads(_without(lake.read_blob(path).decode()))
        manifest["decision"].pop(SERIES_COLUMN, None)
        content = json.dumps(manifest, indent=1, sort_keys=True).encode()
        lake.write_blob(path, content)
        if manifest["version"] == pointer["version"]:
            pointer["manifest_sha256"] = sha256(content)
    lake.write_blob(pointer_path(forecast), json.dumps(pointer).encode())


def _without(text: str) -> str:
    found = json.loads(text)
    found.pop(SERIES_COLUMN, None)
    return json.dumps(found)
