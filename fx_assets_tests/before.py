"""A lake as earlier code wrote it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from fx_assets.bundles.records import MANIFEST_FILE, pointer_path, sha256
from fx_assets.lake import Lake
from fx_assets.tables import FEATURES, SERIES, SERIES_COLUMN, tables_of

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
    _rewrite_bundles(lake, forecast, _without_series)
    for path in lake.list_blobs(f"candidates/{forecast}/"):
        if path.endswith("draft.json"):
            lake.write_blob(path, _without(lake.read_blob(path).decode()).encode())
    for path in lake.list_blobs(f"explanations/{forecast}/"):
        name = path.rpartition("/")[2]
        lake.write_blob(f"explanations/{forecast}/{name}", lake.read_blob(path))


def features_once_a_forecast(lake: Lake, forecast: str, frame: pd.DataFrame) -> None:
    """Keep features and labels in a table of the forecast, which bundles and drafts name."""
    for name in lake.names(FEATURES.name):
        shutil.rmtree(Path(lake.root, FEATURES.name, name))
    table = f"{FEATURES.name}/{forecast}"
    lake.replace(FEATURES.name, forecast, frame)

    def renamed(facts: dict[str, Any]) -> None:
        known = facts["table_versions"].items()
        others = {k: v for k, v in known if not k.startswith(f"{FEATURES.name}/")}
        facts["table_versions"] = others | {table: 0}

    _rewrite_bundles(lake, forecast, renamed)
    shutil.rmtree(Path(lake.root, "copies", forecast))
    for path in lake.list_blobs(f"candidates/{forecast}/"):
        if path.endswith("draft.json"):
            draft = json.loads(lake.read_blob(path))
            renamed(draft["facts"])
            lake.write_blob(path, json.dumps(draft).encode())


def _rewrite_bundles(lake: Lake, forecast: str, change: Callable[[dict[str, Any]], None]) -> None:
    pointer = json.loads(lake.read_blob(pointer_path(forecast)))
    for path in lake.list_blobs(f"bundles/{forecast}/"):
        if not path.endswith(MANIFEST_FILE):
            continue
        manifest = json.loads(lake.read_blob(path))
        change(manifest)
        content = json.dumps(manifest, indent=1, sort_keys=True).encode()
        lake.write_blob(path, content)
        if manifest["version"] == pointer["version"]:
            pointer["manifest_sha256"] = sha256(content)
    lake.write_blob(pointer_path(forecast), json.dumps(pointer).encode())


def _without_series(manifest: dict[str, Any]) -> None:
    manifest.pop(SERIES_COLUMN, None)
    manifest["decision"].pop(SERIES_COLUMN, None)


def _without(text: str) -> str:
    found = json.loads(text)
    found.pop(SERIES_COLUMN, None)
    return json.dumps(found)
