"""What is away, in the way, or full: the lake, the cache, and bundles that do harm."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from onnx import TensorProto, helper

from fx_assets import clock
from fx_assets.bundles.bundle import Bundle, point_to, publish
from fx_assets.bundles.records import (
    FileFacts,
    Manifest,
    Pointer,
    folder,
    pointer_path,
    sha256,
    to_json,
)
from fx_assets.bundles.universes import (
    PanelInstrument,
    PanelTarget,
    UniverseFacts,
    universe_path,
)
from fx_assets.lake import Lake
from fx_assets.lake.below import Below, member_folder
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until
from serving.settings import Settings
from serving.state.store import Store

if TYPE_CHECKING:
    from serving.processes.child import Child
    from serving.queries.reader import Tables

FORECAST = "/v1/forecasts/direction"
FROM_TABLES = (
    "/history", "/history?mode=backtest", "/prices", "/champions", "/issued?date=2026-10-30",
    "/issued?date=2020-01-01", "/performance", "/live", "/model", "/status", "/latest/explanation",
    "/issued/explanation?date=2026-10-30",
)  # fmt: skip


@pytest.mark.parametrize(
    "how",
    [
        "removed",
        pytest.param("emptied", marks=pytest.mark.slow),
        pytest.param("another", marks=pytest.mark.slow),
    ],
)
def test_storage_that_is_gone_is_never_an_empty_table(tmp_path: Path, how: str) -> None:
    root = tmp_path / "lake"
    small_lake.make(root)
    with serving(root, tmp_path / "home", poll_seconds="60") as running:
        client = running.client
        until(lambda: client.get(f"{FORECAST}/latest").status_code == 200)
        assert client.get(f"{FORECAST}/history").status_code == 200
        assert client.get(f"{FORECAST}/latest/explanation").status_code == 404
        shutil.rmtree(root)
        if how != "removed":
            root.mkdir()
        if how == "another":
            Lake(str(root)).append("prices", "eurusd", small_lake.bars())
            publish(Lake(str(root)), of_forecast("other"))
        for path in FROM_TABLES:
            answer = client.get(f"{FORECAST}{path}")
            assert answer.status_code == 503, (path, answer.text)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.json()["remedy"]
        assert client.get(f"{FORECAST}/latest").status_code == 200
        small_lake.make(tmp_path / "again")
        shutil.rmtree(root, ignore_errors=True)
        shutil.move(tmp_path / "again", root)
        until(lambda: client.get(f"{FORECAST}/history").status_code == 200)


UNIVERSE = UniverseFacts(
    forecast="desk",
    description="",
    calendar="24x7",
    feature_set="ohlc",
    coverage=0.9,
    targets=(
        PanelTarget(kind="volatility", horizon=1, unit="variance", baseline="expanding_mean"),
    ),
    instruments=(PanelInstrument(instrument="AAAUSD", feed="aaa", state="member", series=("s",)),),
)


def test_nobody_is_sent_to_a_server_that_has_found_a_universe_and_still_loads_champions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FX_ASSETS_LAKE", str(tmp_path))
    store = Store(Settings(), cast("Tables", None), cast("Child", None))
    store.universes = {"desk": UNIVERSE}  # as the first look does before it tries bundles
    assert store.starting
    store.looks = 1
    assert not store.starting


@pytest.mark.slow
def test_a_universe_does_not_vanish_with_the_storage(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    Lake(str(root)).write_blob(universe_path("desk"), UNIVERSE.model_dump_json().encode())
    with serving(root, tmp_path / "home") as running:
        client = running.client

        def listed() -> list[str]:
            return [one["forecast"] for one in client.get("/v1/forecasts").json()["universes"]]

        until(lambda: client.get("/health/ready").json()["status"] == "ready")
        assert listed() == ["desk"]
        root.rename(tmp_path / "away")
        until(lambda: client.get("/health/ready").json()["status"] == "degraded")
        assert listed() == ["desk"]
        answer = client.get("/v1/forecasts/desk/latest?instrument=AAAUSD")
        assert answer.status_code == 503, answer.text
        (tmp_path / "away").rename(root)
        until(lambda: client.get("/health/ready").json()["status"] == "ready")


def ruin(lake: Path, how: str) -> None:
    """Something that no writer does, of the kind that the operating system names with its path."""
    pointer = lake / pointer_path("direction")
    if how == "pointer":
        pointer.unlink()
        pointer.mkdir()
    elif how == "loop":
        shutil.move(lake / "bundles", lake / "kept")
        (lake / "bundles").symlink_to(lake / "bundles")
    elif how == "files":
        for file in lake.rglob("*.parquet"):
            file.unlink()
    elif how == "logs":
        for file in lake.rglob("*_delta_log/*.json"):
            file.write_text("no JSON")
    else:
        shutil.rmtree(lake)
        lake.write_text("no folder")


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        "loop",
        *(pytest.param(h, marks=pytest.mark.slow) for h in ("files", "pointer", "logs", "file")),
    ],
)
def test_no_answer_names_the_folder_of_a_lake(tmp_path: Path, how: str) -> None:
    root = tmp_path / "canary folder" / "lake"
    small_lake.make(root)
    with serving(root, tmp_path / "canary home", poll_seconds="0.1") as running:
        client = running.client
        until(lambda: client.get(f"{FORECAST}/latest").status_code == 200)
        seen = [client.get(path) for path in ("/health/ready", "/v1/forecasts", "/v1/forecasts/x")]
        ruin(root, how)
        for _ in range(3):
            asked = ("/health/ready", "/v1/forecasts", "/v1/forecasts/other/latest", "/metrics")
            seen += [client.get(path) for path in asked]
            seen += [client.get(f"{FORECAST}{path}") for path in (*FROM_TABLES, "/latest")]
            seen.append(client.post("/invocations", json={"bars": "canary"}))
            time.sleep(0.2)
        assert any(answer.status_code == 503 for answer in seen)
        for answer in seen:
            assert answer.status_code != 500
            for secret in ("canary", str(tmp_path)):
                assert secret not in answer.text, (answer.url, answer.text)
    with serving(root, tmp_path / "canary other") as running:
        for path in ("/health/ready", "/v1/forecasts", f"{FORECAST}/latest", f"{FORECAST}/history"):
            assert "canary" not in running.client.get(path).text
        assert "canary folder" in running.log.read_text()


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_no_condition(lake_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = str(tmp_path / "file" / "cache")
    with serving(lake_root, tmp_path, cache=cache) as running:
        client = running.client
        until(lambda: client.get(f"{FORECAST}/latest").status_code == 200)
        assert client.get("/health/ready").json()["status"] == "ready"
        assert client.get(f"{FORECAST}/latest").json()["stale"] is None
        log = running.log.read_text()
    assert log.count("No last good copy") == 1


def of_forecast(name: str, version: int = 1, bias: float = 0.45) -> Bundle:
    made = small_lake.bundle(version, bias)
    return replace(made, facts=made.facts.model_copy(update={"forecast": name}))


def endless_graph() -> bytes:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Identity", ["carried"], ["passed"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.DOUBLE, [None]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("passed", TensorProto.DOUBLE, [None]),
        ],
    )
    return _graph(
        [
            helper.make_node("ReduceSum", ["inputs", "axes"], ["row"], keepdims=0),
            helper.make_node("Loop", ["", "yes", "row"], ["prediction"], body=body),
        ],
        [
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        ],
    )


def failing_graph() -> bytes:
    """Its shapes do not fit: the runtime finds out when it runs."""
    return _graph(
        [helper.make_node("Reshape", ["inputs", "shape"], ["prediction"])],
        [helper.make_tensor("shape", TensorProto.INT64, [1], [7])],
    )


def _graph(nodes: list[object], constants: list[object]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "poison",
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, [None, 3])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"family": "linear", "columns": "[]"})
    return bytes(model.SerializeToString())


def poison(lake: Lake | Below, forecast: str, version: int, onnx: bytes) -> None:
    """Publish a graph that no writer would: every hash is right."""
    made = of_forecast(forecast, version)
    golden = to_json(made.golden)
    manifest = Manifest(
        **made.facts.model_dump(),
        created_at=clock.now(),
        files={"model.onnx": FileFacts.of(onnx), "golden.json": FileFacts.of(golden)},
    )
    where = folder(forecast, version)
    for name, content in (
        ("model.onnx", onnx), ("golden.json", golden), ("manifest.json", to_json(manifest)),
    ):  # fmt: skip
        lake.write_blob(f"{where}/{name}", content)
    pointer = Pointer(
        forecast=forecast,
        version=version,
        manifest_sha256=sha256(to_json(manifest)),
        published_at=clock.now(),
    )
    lake.write_blob(pointer_path(forecast), to_json(pointer))


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (endless_graph, "did not compute"),
        pytest.param(failing_graph, "golden rows", marks=pytest.mark.slow),
    ],
)
def test_a_bundle_that_does_harm_is_refused_and_holds_up_no_other(
    tmp_path: Path, graph: object, reason: str
) -> None:
    lake = small_lake.make(tmp_path / "lake")
    publish(lake, of_forecast("before"))

    def health(client: httpx.Client, name: str) -> dict[str, object]:
        rows = client.get("/health/ready").json()["forecasts"]
        return next((row for row in rows if row["forecast"] == name), {})

    with serving(tmp_path / "lake", tmp_path / "home", trial_seconds="1") as running:
        client = running.client
        until(lambda: health(client, "before").get("version") == 1)
        until(lambda: health(client, "direction").get("version") == 1)
        poison(lake, "before", 2, graph())  # type: ignore[operator]
        until(lambda: reason in str(health(client, "before").get("refused")))
        assert health(client, "before")["version"] == 1
        publish(lake, small_lake.bundle(2, 0.3))
        until(lambda: health(client, "direction")["version"] == 2)
        assert health(client, "direction")["refused"] is None
        assert client.get("/health/ready").json()["status"] == "degraded"
        publish(lake, of_forecast("before", 3))
        point_to(lake, "before", 3)
        until(lambda: health(client, "before")["refused"] is None)
        assert health(client, "before")["version"] == 3


@pytest.mark.slow
def test_a_members_bundle_that_does_harm_is_tried_once(tmp_path: Path) -> None:
    lake = small_lake.make(tmp_path / "lake")
    lake.write_blob(universe_path("desk"), UNIVERSE.model_dump_json().encode())
    poison(
        Below(lake, member_folder("desk", "AAAUSD", "volatility", 1)), "desk", 1, endless_graph()
    )
    with serving(tmp_path / "lake", tmp_path / "home", trial_seconds="1") as running:
        client = running.client
        until(lambda: client.get(f"{FORECAST}/latest").status_code == 200)
        for _ in range(4):
            answer = client.get("/v1/forecasts/desk/latest?instrument=AAAUSD")
            assert answer.status_code == 503, answer.text
            assert "did not compute" in answer.text
        assert running.log.read_text().count("was refused") == 1
