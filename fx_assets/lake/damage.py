"""Which file of a table is damaged, and what can be made again without it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from fx_assets.tables import CATALOGUE


def damaged_file(folder: Path) -> str | None:
    """The first file of a local table that cannot be read, or is missing, by its relative path."""
    live: set[str] = set()
    for file in sorted((folder / "_delta_log").glob("*.json")):
        try:
            actions = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        except (OSError, ValueError):
            return f"_delta_log/{file.name}"
        if not actions:
            return f"_delta_log/{file.name}"
        for action in actions:
            if "add" in action:
                live.add(unquote(action["add"]["path"]))
            if "remove" in action:
                live.discard(unquote(action["remove"]["path"]))
    for path in sorted(live):
        try:
            pq.read_table(folder / path)
        except (OSError, pa.ArrowException):
            return path
    return None


def remedy(table: str, name: str, folder: Path) -> str:
    """How to go on with a damaged local table, and what that costs."""
    known = next((each for each in CATALOGUE if each.name == table), None)
    if known is not None and known.made_again:
        of_forecast = known.owner == "forecast"
        again = f"fx-assets run{f', or fx-assets run {name} --retrain' if of_forecast else ''}"
        loss = "Nothing is lost: the table is made again from others."
    else:
        again = "fx-assets run"
        loss = known.loss if known else "Its past rows are lost."
    return f"Put {folder} back from a backup; or move that folder away and run: {again}. {loss}"
