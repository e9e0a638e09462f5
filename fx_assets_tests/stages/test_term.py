"""The terminal and Dagster show all horizons of a forecast after the same bar."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from fx_assets.assets.predictions import term_metadata
from fx_assets.run import print_terms
from fx_assets.specs.files import Declared
from fx_assets.stages.issue import Issued
from fx_assets.stages.term import newest_term
from fx_assets.testing.lakes.hourly_lake import FEED, SPECS
from fx_assets_tests.serving.test_terms import RISK, SAID, make


def test_all_horizons_are_shown_together_and_say_what_was_issued(tmp_path: Path) -> None:
    lake, members = make(tmp_path / "lake"), RISK.members
    rows = newest_term(lake, members, FEED)
    assert [row.value for row in rows] == [3e-5, 2e-4, 2e-4]
    assert [row.row["prediction"] for row in rows] == list(SAID.values())

    issued = Issued(new_rows=pd.DataFrame(), latest=rows[1].row)
    told = term_metadata(issued, lake, members, FEED)
    assert told["term_structure"].count("issued") == 1
    assert told["term_structure_plot"].value.startswith("![plot](data:image/svg+xml")
    assert term_metadata(issued, lake, (), FEED) == {}

    console = Console(record=True, width=400)
    alone = SPECS["volatility"]
    forecasts = {spec.name: spec for spec in [alone, *members]}
    print_terms(console, lake, Declared(feeds={FEED.name: FEED}, forecasts=forecasts))
    (line,) = console.export_text().strip().splitlines()
    assert line.startswith("risk, as of 2026-10-30 18:00: 1 bar: ")
    assert told["term_structure"] in line
