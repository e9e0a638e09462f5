"""Which file of a table is damaged, and what can be made again without it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

_MADE_AGAIN = "Nothing is lost: the table is made again from others."
_LOSSES = {
    "raw_prices": "Its bars are fetched again; when each was first known, and what was corrected "
    "since, is lost.",
    "predictions": "They are made again, as issued after the fact; what was said at the time is "
    "lost.",
    "decisions": "The ledger starts anew with the baseline; past decisions are lost.",
}
_DERIVED = frozenset({"prices", "features", "splits", "train_set", "test_set", "backtest",
                      "scores", "outcomes", "universe", "instruments", "skill"})  # fmt: skip


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
    loss = _MADE_AGAIN if table in _DERIVED else _LOSSES.get(table, "Its past rows are lost.")
    again = (
        f"fx-assets run, or fx-assets run {name} --retrain"
        if table in _DERIVED
        else ("fx-assets run")
    )
    return f"Put {folder} back from a backup; or move that folder away and run: {again}. {loss}"
