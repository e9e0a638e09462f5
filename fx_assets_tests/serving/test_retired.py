"""A forecast that is declared no more is told as such: its history stays, and nobody is alarmed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from prometheus_client import REGISTRY

from fx_assets.assets.automation import declared_sensor
from fx_assets.bundles.declared import DECLARED_PATH, Noted, note_declared
from fx_assets.bundles.universes import PanelTarget
from fx_assets.resources import LakeResource
from fx_assets.specs.files import Declared
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.serving.test_storage import UNIVERSE
from serving.client.__main__ import main as client
from serving.state.metrics import _observe_universes

BASE = "/v1/forecasts/direction"
FEEDS = {"eurusd": small_lake.FEED}
AS_IT_IS = Declared(FEEDS, {"direction": small_lake.SPEC})
RENAMED = Declared(FEEDS, {"renamed": small_lake.SPEC.model_copy(update={"name": "renamed"})})


def test_a_forecast_that_is_declared_no_more_keeps_its_history_and_raises_no_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = small_lake.make(tmp_path / "lake")
    with serving(tmp_path / "lake", tmp_path / "server") as running:
        api = running.client

        def row() -> dict[str, Any]:
            listed = api.get("/v1/forecasts").json().get("forecasts") or [{}]
            found: dict[str, Any] = listed[0]
            return found

        def gauge(name: str) -> str:
            lines = api.get("/metrics").text.splitlines()
            labelled = f'{name}{{forecast="direction"}} '
            return next(line for line in lines if line.startswith(labelled)).split()[-1]

        def ready() -> list[str]:
            return [one["forecast"] for one in api.get("/health/ready").json()["forecasts"]]

        until(lambda: bool(row().get("newest")))
        assert not row()["retired"]
        note_declared(lake, AS_IT_IS)
        until(lambda: gauge("fx_retired") == "0.0")
        assert ready() == ["direction"]
        latest = api.get(f"{BASE}/latest").json()
        assert float(gauge("fx_model_age_seconds")) > 0

        note_declared(lake, RENAMED)
        until(lambda: row()["retired"])
        until(lambda: gauge("fx_retired") == "1.0")
        for alarming in ("fx_missing_bars", "fx_expired", "fx_stale", "fx_model_age_seconds"):
            assert gauge(alarming) == "NaN"
        assert api.get("/health/ready").status_code == 503
        assert ready() == []
        assert api.get(f"{BASE}/latest").json()["value"] == latest["value"]
        assert api.get(f"{BASE}/history").json()["rows"]
        assert client(["latest", "--url", str(api.base_url)]) == 0
        assert "direction is no longer declared" in capsys.readouterr().err

        note_declared(lake, AS_IT_IS)
        until(lambda: not row()["retired"])
        until(lambda: gauge("fx_retired") == "0.0")
        assert float(gauge("fx_model_age_seconds")) > 0
        assert ready() == ["direction"]


def test_the_daemon_tells_the_lake_what_is_declared_and_writes_it_once(tmp_path: Path) -> None:
    sensor = declared_sensor(RENAMED, dg.DefaultSensorStatus.STOPPED)
    lake = LakeResource(root=str(tmp_path / "lake"), duckdb_file=str(tmp_path / "fx.duckdb"))

    def evaluate() -> None:
        with dg.build_sensor_context(resources={"lake": lake}) as context:
            sensor.evaluate_tick(context)

    evaluate()
    written = tmp_path / "lake" / DECLARED_PATH
    noted = Noted.model_validate_json(written.read_bytes())
    assert noted.retired("direction")
    assert not noted.retired("renamed")
    stamp = written.stat().st_mtime_ns
    evaluate()
    assert written.stat().st_mtime_ns == stamp


def test_gauges_of_a_universes_former_targets_end_and_those_of_a_former_universe_too() -> None:
    about = {"unit": "", "horizon": 1}
    kept = PanelTarget(kind="volatility", baseline="expanding_mean", **about)
    gone = PanelTarget(kind="direction", baseline="base_rate", **about)

    def outcomes(kind: str) -> float:
        labels = {"forecast": "former", "target": kind, "horizon": "1"}
        value = REGISTRY.get_sample_value("fx_universe_outcomes", labels)
        assert value is not None
        return value

    def look(*targets: PanelTarget, retired: bool = False) -> None:
        changes = {"forecast": "former", "targets": targets, "instruments": ()}
        facts = UNIVERSE.model_copy(update=changes)
        store: Any = SimpleNamespace(
            universes={"former": facts}, told={}, retired=lambda _name: retired
        )
        _observe_universes(store, datetime(2026, 11, 30, tzinfo=UTC), 200)

    look(kept, gone)
    assert (outcomes("volatility"), outcomes("direction")) == (0, 0)
    look(kept)
    assert outcomes("volatility") == 0
    assert math.isnan(outcomes("direction"))
    look(kept, retired=True)
    assert math.isnan(outcomes("volatility"))
