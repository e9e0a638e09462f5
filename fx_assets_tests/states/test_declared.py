"""The lake knows what is declared, and so what has been put away."""

from __future__ import annotations

from fx_assets.bundles.declared import DECLARED_PATH, Noted
from fx_assets_tests.homes import FEED, FORECAST, Home


def noted(home: Home) -> Noted:
    file = home.folder / "data" / "lake" / DECLARED_PATH
    return Noted.model_validate_json(file.read_bytes())


def test_a_forecast_whose_declaration_is_gone_is_retired_by_the_next_run(home: Home) -> None:
    assert not noted(home).retired("up")
    defs = home.folder / "defs"
    (defs / "feeds/eur/defs.yaml").write_text(f"{FEED}  automatic: false\n")
    (defs / "forecasts/up/defs.yaml").write_text(FORECAST.replace("name: up", "name: renamed"))
    home.run("run").succeeded()
    assert noted(home).retired("up")
    assert not noted(home).retired("renamed")
