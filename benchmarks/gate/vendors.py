"""Files as each documented vendor writes them, clean and with faults in their cells."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from fx_assets.quality import GateReport, inspect
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.testing.gate.faults import FAULTS
from fx_assets.testing.gate.kinds import Kind
from fx_assets.testing.vendors.exports import EXPORTS, Export
from fx_assets.testing.vendors.files import NOW, bars_of, feed_of

IN_CELLS = frozenset(
    {
        "high x100",
        "low /100",
        "open x100",
        "close x100",
        "one bar x100",
        "the last third x10",
        "25 daily closes the same",
        "100 hours frozen",
        "volume x1,000,000",
        "a month is missing in the newest year",
        "high and low exchanged",
    }
)
"""Faults that a vendor's file can hold."""
ROWS = {"1h": 1500, "1d": 900}


def judge_files(
    took: Callable[[str, str, GateReport], None],
    seeds: int,
    exports: Sequence[Export] = EXPORTS,
) -> None:
    """Write, read and judge files of every vendor.

    Parameters
    ----------
    took
        Called with the vendor, the fault or an empty text, and what the gate said.
    """
    for export in exports:
        kind = _kind(export)
        for seed in range(seeds):
            feed = feed_of(Path(), **export.feed)
            bars = bars_of(feed, date(2021, 1, 4), ROWS[feed.frequency], seed=seed)
            took(export.name, "", _read(export, bars))
            for fault in FAULTS:
                if fault.name in IN_CELLS and fault.suits(kind):
                    planted = fault.plant(bars, kind, np.random.default_rng(seed))
                    took(export.name, fault.name, _read(export, planted))


def _kind(export: Export) -> Kind:
    source = {"kind": "simulated", "instrument": "ANY"}
    settings = {name: export.feed[name] for name in ("frequency", "calendar")}
    fx = {"calendar": "24x5"} if settings["calendar"] == "US" else {}
    feed = {"source": source, **settings, **fx}
    return Kind(export.name, feed, 5, False, "2021-01-04", "2024-12-31", export.columns)


def _read(export: Export, bars: Any) -> GateReport:
    with tempfile.TemporaryDirectory() as folder:
        feed = feed_of(Path(folder), **{**export.feed, **_said(export.flags)})
        (Path(folder) / "bars.csv").write_text(export.write(bars, feed))
        batch = fetch_bars(feed, Settings(), NOW)
    return inspect(batch.bars.iloc[:0], batch.bars, batch.rejected, feed, feed.market, NOW)


def _said(flags: list[str]) -> dict[str, Any]:
    """The settings of a source that flags of ``fx-assets import`` stand for."""
    said = dict(zip(flags[::2], flags[1::2], strict=True))
    settings: dict[str, Any] = {
        name: said[f"--{name}"]
        for name in ("format", "timezone", "stamp", "decimal")
        if f"--{name}" in said
    }
    if said.get("--volume") == "ticks":
        settings["columns"] = {"volume": "<TICKVOL>"}
    if "--column" in said:
        column, _, header = said["--column"].partition("=")
        settings["columns"] = {column: header}
    return settings
