"""A result that is too good, held back, looked at by a person and acknowledged: by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets_tests.assets.test_too_good import honest_bars, stale
from fx_assets_tests.homes import Home
from fx_assets_tests.states.stores import lake_of

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eur
  source: {kind: files, path: in/eur.csv, instrument: EURUSD}
  calendar: 24x5
  start: 2014-01-01
  gate: {stale_close: {severity: warn}}
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: up
  feed: eur
  target: {kind: direction}
  features: ohlc
  candidates: [logistic_regression]
  walk_forward: {first_test: 2015-01-01, min_train: 250, refit_every: 252}
  promotion: {min_rows: 1000}
"""
REASON = "the broker's own ticks say the same"


@pytest.fixture
def home(tmp_path: Path, empty_registry: Path) -> Home:
    made = Home.new(tmp_path / "home", empty_registry)
    (made.folder / "defs/feeds/eur/defs.yaml").write_text(FEED)
    (made.folder / "defs/forecasts/up/defs.yaml").write_text(FORECAST)
    bars = stale(honest_bars()).iloc[:-1]
    bars.to_csv(made.folder / "in/eur.csv", index=False)
    made.environment["FX_ASSETS_NOW"] = f"{bars['date'].iloc[-1]}T23:00:00+00:00"
    return made


def later(home: Home, clock: str) -> None:
    day = home.environment["FX_ASSETS_NOW"].partition("T")[0]
    home.environment["FX_ASSETS_NOW"] = f"{day}{clock}:00+00:00"


@pytest.mark.slow
def test_a_held_result_is_refused_acknowledged_with_a_reason_promoted_and_told_for_good(
    home: Home,
) -> None:
    said = home.run("run").succeeded().said
    assert "champion: base_rate v1" in said
    assert "too good: look for a leak" in said
    lake = lake_of(home)
    held = lake.read("decisions", "up").sort_values("sequence").iloc[-1]
    assert "fx-assets acknowledge up --candidate logistic_regression" in held["sentence"]

    refusals = [
        (("down", "--candidate", "logistic_regression"), REASON, "No forecast is called down."),
        (("up", "--candidate", "base_rate"), REASON, "base_rate"),
        (("up", "--candidate", "logistic_regression"), "ok", "reason"),
    ]
    for arguments, reason, told in refusals:
        answer = home.run("acknowledge", *arguments, "--reason", reason, "--by", "ada").failed()
        assert told in answer.err
        assert "What to do: " in answer.err
    assert not lake.exists("acknowledgements", "up")

    later(home, "T23:10")
    command = ("acknowledge", "up", "--candidate", "logistic_regression", "--reason", REASON)
    answer = home.run(*command, "--by", "ada").succeeded()
    assert "The next decision may promote it: fx-assets run up" in answer.out
    said = home.run("show").succeeded().said
    assert "champion: base_rate v1" in said, "a word alone promotes nothing"

    later(home, "T23:20")
    said = home.run("run").succeeded().said
    assert "logistic_regression was acknowledged" in said
    ledger = lake.read("decisions", "up").sort_values("sequence")
    assert list(ledger["champion"])[-1] == "logistic_regression"
    assert REASON in ledger["record"].iloc[-1]
    assert "acknowledged by ada" in ledger["sentence"].iloc[-1]
    (kept,) = lake.read("acknowledgements", "up").to_dict("records")
    assert REASON in str(kept)

    tomorrow = stale(honest_bars())
    tomorrow.to_csv(home.folder / "in/eur.csv", index=False)
    home.environment["FX_ASSETS_NOW"] = f"{tomorrow['date'].iloc[-1]}T23:00:00+00:00"
    said = home.run("run").succeeded().said
    assert "champion: logistic_regression v2" in said
    shown = next(line for line in said.splitlines() if line.startswith("skill demonstrated: "))
    assert shown.startswith("skill demonstrated: yes, but made from bars that failed stale_close")
    assert REASON in shown
