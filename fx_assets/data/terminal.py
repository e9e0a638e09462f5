"""``fx-assets data``: the versions of a feed's bars on the terminal."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.table import Table

from fx_assets import clock
from fx_assets.acknowledge import user_name
from fx_assets.data.versions import DataVersions, Version
from fx_assets.lake import Lake
from fx_assets.plural import counted
from fx_assets.runner import say, terminal
from fx_assets.settings import Settings
from fx_assets.tables import INSTRUMENT_COLUMN, RAW_PRICES

ROWS = 10
"""Rows that are printed of a table; all of them go into a file."""


def data_on_terminal(options: argparse.Namespace) -> int:
    """Print what is asked for; the exit code is 1 where two versions differ, as of ``diff``.

    Raises
    ------
    FxAssetsError
        There is no such feed, version or tag.
    """
    lake = Lake.from_settings(Settings())
    versions = DataVersions(lake, options.feed)
    if options.what == "log":
        _log(versions, lake, options.most)
        return 0
    if options.what == "show":
        return _show(versions, options.version, options.csv)
    if options.what == "diff":
        return _diff(versions, options.before, options.after, options.csv)
    made = versions.tag(
        options.tag,
        options.version,
        by=options.by or user_name(),
        note=options.note,
        now=clock.now(),
    )
    say(f"{options.tag} is version {made.number} of {options.feed}, {_when(made)}, for good.")
    return 0


def _log(versions: DataVersions, lake: Lake, most: int) -> None:
    made, notes = _models(lake, versions.name), _notes(versions)
    table = Table(box=None, pad_edge=False)
    for title in ("version", "committed (UTC)", "by", "tags", "models made from it"):
        table.add_column(title, overflow="fold")
    for version in versions.log(most):
        named = [f"{tag} ({notes[tag]})" if notes.get(tag) else tag for tag in version.tags]
        table.add_row(
            str(version.number),
            f"{version.committed_at:%Y-%m-%d %H:%M:%S}",
            version.run_id[:8] or version.operation.lower(),
            ", ".join(named),
            "\n".join(made.get(version.number, [])),
        )
    terminal().print(table)


def _notes(versions: DataVersions) -> dict[str, str]:
    tags = versions.tags()
    return dict(zip(tags["tag"], tags["note"], strict=True))


def _models(lake: Lake, feed: str) -> Mapping[int, list[str]]:
    """Published models by the version of the feed's raw bars that they were made from."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for path in lake.list_blobs("bundles/"):
        if path.endswith("/manifest.json"):
            manifest = json.loads(lake.read_blob(path))
            version = manifest["table_versions"].get(f"{RAW_PRICES.name}/{feed}")
            if version is not None:
                found[version].append(f"{manifest['forecast']}@{manifest['version']}")
    return found


def _show(versions: DataVersions, which: str | None, file: Path | None) -> int:
    version = versions.resolve(which)
    bars = versions.bars(version)
    instruments = bars[INSTRUMENT_COLUMN].nunique() if INSTRUMENT_COLUMN in bars else 1
    of = f" of {counted(instruments, 'instrument')}" if INSTRUMENT_COLUMN in bars else ""
    span = ""
    if len(bars):
        first, last = bars["event_time"].min(), bars["event_time"].max()
        span = f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    tags = f", {', '.join(version.tags)}" if version.tags else ""
    say(
        f"{versions.name}, version {version.number} of {_when(version)}{tags}: "
        f"{counted(len(bars), 'bar')}{of}{span}"
    )
    if file is not None:
        _write(bars, file)
    else:
        _rows(bars.dropna(axis="columns", how="all").tail(ROWS))
    return 0


def _diff(versions: DataVersions, before: str, after: str | None, file: Path | None) -> int:
    old, new = versions.resolve(before), versions.resolve(after)
    found = versions.difference(old, new)
    bars = found.revised.drop_duplicates([c for c in found.revised if c in _KEY])
    say(
        f"{versions.name}, version {old.number} of {_when(old)} to {new.number} of {_when(new)}: "
        f"{counted(len(found.added), 'bar')} added, {len(bars):,} revised, {len(found.gone):,} gone"
    )
    if file is not None:
        parts = [
            found.added.assign(change="added"),
            found.gone.assign(change="gone"),
            found.revised.assign(change="revised"),
        ]
        _write(pd.concat([part for part in parts if len(part)] or parts[:1]), file)
    else:
        for title, rows in (
            ("revised", found.revised), ("gone", found.gone), ("added", found.added)
        ):  # fmt: skip
            if len(rows):
                say(f"\n{title}:")
                _rows(rows.dropna(axis="columns", how="all").tail(ROWS))
    return 0 if found.empty else 1


_KEY = (INSTRUMENT_COLUMN, "event_time")


def _rows(rows: pd.DataFrame) -> None:
    shown = rows.drop(columns=["source", "payload", "ingested_at", "reading"], errors="ignore")
    print(shown.to_string(index=False))


def _write(rows: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(file, index=False)
    say(f"{counted(len(rows), 'row')} in {file}")


def _when(version: Version) -> str:
    return f"{version.committed_at:%Y-%m-%d %H:%M:%S} UTC"
