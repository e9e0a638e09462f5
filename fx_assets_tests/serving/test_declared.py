"""A champion of another series is not served as the forecast that is declared."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fx_assets.bundles.bundle import Bundle, point_to, store_bundle
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.series import series_of
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving
from serving.client.__main__ import main as client

BASE = "/v1/forecasts/direction"
PATHS = ("latest", "history", "performance", "model", "status", "champions", "prices")
FEED = """
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  source: {{kind: ecb, quote: {quote}}}
"""
FORECAST = """
type: fx_assets.components.Forecast
attributes:
  name: direction
  feed: eurusd
  target: {{kind: direction, horizon: {horizon}}}
  candidates: [logistic_regression]
"""


def declare(folder: Path, quote: str = "USD", horizon: int = 1) -> None:
    for name, text in (("feed", FEED), ("forecast", FORECAST)):
        file = folder / name / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(quote=quote, horizon=horizon))


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


def moved(horizon: int) -> Bundle:
    """The champion that is published when the forecast has been judged anew."""
    target = {"kind": "direction", "horizon": horizon}
    spec = ForecastSpec.model_validate(
        small_lake.SPEC.model_dump(exclude_unset=True) | {"target": target}
    )
    made = small_lake.bundle(2, bias=0.6)
    told = {"horizon": horizon, "series": series_of(spec, small_lake.FEED).id}
    return Bundle(made.facts.model_copy(update=told), made.onnx, made.golden)


@pytest.mark.parametrize(
    "said",
    [True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["carried", "of before"],
)
def test_a_forecast_that_is_declared_anew_waits_for_a_champion_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    declared, root = tmp_path / "defs", tmp_path / "lake"
    if not said:
        before = small_lake.bundle(1)
        old = Bundle(before.facts.model_copy(update={"series": ""}), before.onnx, before.golden)
        monkeypatch.setattr(small_lake, "bundle", lambda _version: old)
    lake = small_lake.make(root)
    monkeypatch.undo()
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(declared))
    declare(declared)
    with serving(root, tmp_path / "server") as running:
        api = running.client

        def status() -> int:
            return api.get(f"{BASE}/latest").status_code

        def missing() -> dict[str, Any]:
            found: dict[str, Any] = api.get(f"{BASE}/latest").json()
            return found

        until(lambda: status() == 200)
        first = api.get(f"{BASE}/latest").json()
        for change in ({"horizon": 5}, {"quote": "CHF"}):
            declare(declared, **change)  # type: ignore[arg-type]
            until(lambda: status() == 503)
            problem = missing()
            assert problem["type"].endswith(":champion-of-another-series")
            assert "EURUSD" in problem["detail"]
            assert "fx-assets run direction" in problem["remedy"]
            for path in PATHS:
                assert api.get(f"{BASE}/{path}").status_code == 503
            assert _health(api)["version"] is None
            assert 'fx_model_version{forecast="direction"} NaN' in api.get("/metrics").text
            body = small_lake.supplied(small_lake.bars())
            assert api.post(f"{BASE}/predict/bars", json=body).status_code == 503

            declare(declared)
            until(lambda: status() == 200)
            again = api.get(f"{BASE}/latest").json()
            assert again["value"] == first["value"]

        declare(declared, horizon=5)
        until(lambda: status() == 503)
        store_bundle(lake, moved(5))
        point_to(lake, "direction", 2)
        until(lambda: missing()["type"].endswith(":nothing-issued"))
        assert api.get(f"{BASE}/history").json()["rows"] == []
        assert api.get(f"{BASE}/model").json()["history"] == []
        assert api.get(f"{BASE}/champions").json()["reigns"] == []


@pytest.mark.slow
def test_the_list_says_what_is_paused_and_what_has_nothing_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, root = tmp_path / "defs", tmp_path / "lake"
    small_lake.make(root)
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(declared))
    declare(declared)
    later = declared / "later" / "defs.yaml"
    later.parent.mkdir()
    later.write_text(FORECAST.format(horizon=5).replace("name: direction", "name: later"))
    with serving(root, tmp_path / "server") as running:
        api = running.client

        def listed() -> dict[str, Any]:
            found: dict[str, Any] = api.get("/v1/forecasts").json()
            return found

        until(lambda: bool(listed().get("forecasts") and listed()["forecasts"][0]["newest"]))
        answer, latest = listed(), api.get(f"{BASE}/latest").json()
        (row,), (waiting,) = answer["forecasts"], answer["unpublished"]
        assert row["newest"]["value"] == latest["value"]
        assert row["newest"]["target_time"] == latest["target_time"]
        assert row["published_at"] == api.get(f"{BASE}/model").json()["published_at"]
        assert not row["paused"]
        assert 'fx_paused{forecast="direction"} 0' in api.get("/metrics").text
        assert (waiting["forecast"], waiting["title"], waiting["horizon"], waiting["paused"]) == (
            ("later", "direction", 5, False)
        )
        feed = declared / "feed" / "defs.yaml"
        feed.write_text(feed.read_text() + "  automatic: false\n")
        until(lambda: bool(listed()["forecasts"][0]["paused"]))
        assert listed()["unpublished"][0]["paused"]
        until(lambda: 'fx_paused{forecast="direction"} 1' in api.get("/metrics").text)


UNIVERSE = """
type: fx_assets.components.Universe
attributes:
  name: majors
  source: {kind: ecb, base: EUR}
  automatic: false
  targets: [{kind: volatility, candidates: [ewma]}, {kind: direction, candidates: [persistence]}]
"""


def test_before_anything_is_published_the_list_says_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = tmp_path / "defs"
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(declared))
    declare(declared, horizon=3)
    (declared / "majors").mkdir()
    (declared / "majors" / "defs.yaml").write_text(UNIVERSE)
    with serving(tmp_path / "lake", tmp_path / "server") as running:
        api = running.client
        until(lambda: api.get("/v1/forecasts").status_code == 200)
        answer = api.get("/v1/forecasts").json()
        assert answer["forecasts"] == answer["universes"] == []
        single, universe = answer["unpublished"]
        assert (single["forecast"], single["instrument"], single["horizon"]) == (
            ("direction", "EURUSD", 3)
        )
        assert (universe["forecast"], universe["instrument"], universe["horizon"]) == (
            ("majors", None, None)
        )
        assert universe["title"] == "volatility, direction"
        assert (single["paused"], universe["paused"]) == (False, True)
        assert single["state"] == universe["state"] == "not published"
        assert api.get("/health/ready").status_code == 503
        for name in ("direction", "majors"):
            problem = api.get(f"/v1/forecasts/{name}/latest").json()
            assert problem["type"].endswith(":nothing-published")
            assert problem["detail"].startswith(f"{name} is declared")
            assert "no bars of it have come" in problem["detail"]
            assert f"fx-assets run {name}" in problem["remedy"]
        assert client(["latest", "--url", str(api.base_url)]) == 1
        assert "direction is declared" in capsys.readouterr().err

        def waits_for() -> str:
            return str(api.get("/v1/forecasts").json()["unpublished"][0]["reason"])

        assert waits_for() == "No bars of it have come."
        for table, name, expected in (
            ("prices", "eurusd", "Its bars have come"),
            ("splits", "direction", "The judging of its candidates has begun"),
        ):
            (tmp_path / "lake" / table / name).mkdir(parents=True)
            until(lambda said=expected: waits_for().startswith(said))  # type: ignore[misc]
        shutil.rmtree(tmp_path / "lake")

        store_bundle(small_lake.make(tmp_path / "lake"), small_lake.bundle(1))
        until(lambda: api.get("/v1/forecasts").json()["unpublished"][0]["state"] != single["state"])
        first, second = api.get("/v1/forecasts").json()["unpublished"]
        assert (first["forecast"], first["state"]) == ("direction", "of another series")
        assert "declared as" in first["reason"]
        assert second["state"] == "not published"


@pytest.mark.slow
def test_a_server_that_cannot_look_at_its_lake_says_nothing_of_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path / "defs"))
    declare(tmp_path / "defs")
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "schema.json").write_text("{")
    with serving(lake, tmp_path / "server") as running:
        until(lambda: "damaged" in running.client.get("/health/ready").text)
        assert running.client.get("/v1/forecasts").status_code == 503


def _health(api: httpx.Client) -> dict[str, Any]:
    rows = api.get("/health/ready").json()["forecasts"]
    return next(row for row in rows if row["forecast"] == "direction")


def test_the_declared_feed_is_the_one_of_the_small_lake() -> None:
    feed = FeedSpec.model_validate({"name": "eurusd", "source": {"kind": "ecb", "quote": "USD"}})
    assert feed.reading == small_lake.FEED.reading
