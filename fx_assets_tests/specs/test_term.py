"""A declaration of several horizons is one forecast of each; one of a single horizon is as ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets.components.declared import candidate_mistakes
from fx_assets.specs import ForecastSpec
from fx_assets.specs.files import load_declared
from fx_assets.specs.series import series_of
from fx_assets.specs.term import DeclaredForecast
from fx_assets_tests.specs.test_files import FEED, FORECAST, UNIVERSE, mistakes, write

RISK = """\
type: fx_assets.components.Forecast
attributes:
  name: risk
  feed: eurusd
  target: {kind: volatility, horizon: [1, 5, 20, 60]}
  candidates: [ewma]
  quantiles: [0.1, 0.9]
"""


def test_each_horizon_is_a_forecast_with_all_that_is_declared(tmp_path: Path) -> None:
    found = load_declared(write(tmp_path, feed=FEED, forecast=RISK), candidate_mistakes)
    assert list(found.forecasts) == ["risk_h1", "risk_h5", "risk_h20", "risk_h60"]
    assert found.named("risk") == list(found.forecasts)
    assert found.named("risk_h5") == ["risk_h5"]
    assert found.named("nobody") == []
    feed = found.feeds["eurusd"]
    assert len({series_of(spec, feed).id for spec in found.forecasts.values()}) == 4
    for spec in found.forecasts.values():
        assert type(spec) is ForecastSpec
        assert spec.name == f"risk_h{spec.target.horizon}"
        assert (spec.term, spec.quantiles) == ("risk", (0.1, 0.9))
        assert spec.purge == spec.target.horizon


@pytest.mark.parametrize("horizon", [1, 20])
def test_a_single_horizon_is_declared_as_ever(horizon: int) -> None:
    values = {
        "name": "risk",
        "feed": "eurusd",
        "target": {"kind": "volatility", "horizon": horizon},
        "candidates": ["ewma", {"family": "garch"}],
    }
    (member,) = DeclaredForecast.model_validate(values).members
    before = ForecastSpec.model_validate(values)
    assert member == before
    assert member.model_dump_json() == before.model_dump_json()
    hashes = [member.recipe_hash(candidate) for candidate in member.all_candidates]
    assert hashes == [before.recipe_hash(candidate) for candidate in before.all_candidates]


def test_a_recipe_is_the_one_that_a_single_horizon_has() -> None:
    values = {"name": "risk", "feed": "eurusd", "candidates": ["ewma"]}
    several = {**values, "target": {"kind": "volatility", "horizon": [5, 20]}}
    alone = {**values, "target": {"kind": "volatility", "horizon": 20}}
    member, one = DeclaredForecast.model_validate(several).members[1], alone
    single = ForecastSpec.model_validate(one)
    assert member.recipe_hash(member.candidates[0]) == single.recipe_hash(single.candidates[0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[1, 5, 20, 60]", "[5, 1]", "ascending"),
        ("[1, 5, 20, 60]", "[5, 5]", "ascending"),
        ("[1, 5, 20, 60]", "[5]", "give the number alone"),
        ("[1, 5, 20, 60]", "[0, 5]", "ascending"),
        ("[1, 5, 20, 60]", "[1, two]", "ascending"),
        ("  quantiles", "  horizons: [1, 5]\n  quantiles", "no setting 'horizons'"),
        ("  quantiles", "  term: mine\n  quantiles", "no setting 'term'"),
        ("  quantiles", "  walk_forward: {purge: 20}\n  quantiles", "below the horizon of 60"),
        ("  quantiles", "  quantile", "Did you mean 'quantiles'?"),
    ],
)
def test_a_wrong_list_of_horizons_is_a_mistake_with_what_is_right(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    found = mistakes(write(tmp_path, feed=FEED, forecast=RISK.replace(old, new)))
    assert any(said in one for one in found), found
    assert all("horizons, " not in one.partition("Allowed:")[2] for one in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: direction", "kind: direction, horizon: [1, 5]", "is a target of its own"),
        ("  targets", "  quantiles: [0.5]\n  targets", "state it of a target"),
        ("  targets", "  distribution: true\n  targets", "state it of a target"),
        ("kind: direction", "kind: direction, distribution: true", "is a probability"),
    ],
)
def test_a_universe_says_what_it_has_instead(tmp_path: Path, old: str, new: str, said: str) -> None:
    (named,) = mistakes(write(tmp_path, universe=UNIVERSE.replace(old, new)))
    assert said in named


@pytest.mark.parametrize("name", ["risk", "risk_h5"])
def test_names_of_the_whole_and_of_each_horizon_are_taken(tmp_path: Path, name: str) -> None:
    other = FORECAST.replace("name: direction", f"name: {name}")
    (named,) = mistakes(write(tmp_path, feed=FEED, one=RISK, two=other))
    assert f"{name!r} is already declared" in named


def test_dagster_has_the_assets_and_jobs_of_each_horizon_and_the_features_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(write(tmp_path, feed=FEED, forecast=RISK)))
    from fx_assets.definitions import defs

    found = defs()
    keys = {key.to_user_string() for key in found.resolve_asset_graph().get_all_asset_keys()}
    assert {f"risk_h{n}/predictions" for n in (1, 5, 20, 60)} <= keys
    assert [key for key in keys if "/features/" in key] == ["eurusd/features/fx_close"]
    assert found.resolve_job_def("risk_h20_retrain")
