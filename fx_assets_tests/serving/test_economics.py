"""What the champion's strategy would have earned, as answers have it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from fx_assets.bundles.bundle import load
from fx_assets.lake import Lake
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader
from serving.queries.measures import economics


def test_the_newest_figures_of_the_champion_are_given_and_no_other_recipes(
    lake_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    shutil.copytree(lake_root, root)
    lake, reader = Lake(str(root)), Reader(Location(str(root)))
    manifest = load(lake, "direction").manifest
    assert economics(reader, manifest, None) is None

    def figures(recipe: str, day: str, said: str, value: float) -> pd.DataFrame:
        names = ["net_return", "sharpe", "var_exceedances"]
        return pd.DataFrame(
            {
                "series": manifest.series,
                "candidate": "c",
                "recipe": recipe,
                "strategy": "s",
                "evidence": "backtest",
                "figure": names,
                "value": value,
                "lower": [value - 1, value - 1, float("nan")],
                "upper": [value + 1, value + 1, float("nan")],
                "n": 1000,
                "sentence": said,
                "data_as_of": pd.Timestamp(day, tz="UTC").as_unit("us"),
                "measured_at": pd.Timestamp(day, tz="UTC").as_unit("us"),
            }
        )

    rows = [
        figures(manifest.recipe, "2025-01-04", "older", 1.0),
        figures(manifest.recipe, "2025-01-11", "newer", 2.0),
        figures("another", "2025-01-18", "another's", 3.0),
    ]
    lake.append("economics", "direction", pd.concat(rows, ignore_index=True))
    found = economics(reader, manifest, None)
    assert found is not None
    assert found.sentence == "newer"
    assert [row.figure for row in found.backtest] == ["net_return", "sharpe", "var_exceedances"]
    assert [row.value for row in found.backtest] == [2.0, 2.0, 2.0]
    assert [row.unit for row in found.backtest] == ["share a year", "", "share"]
    assert found.backtest[0].lower == 1.0
    assert found.backtest[2].lower is None
    assert found.live == []

    as_declared = economics(reader, manifest, "s")
    assert as_declared == found
    # Its strategy was taken out of the declaration, or has other costs there.
    assert economics(reader, manifest, "another") is None
