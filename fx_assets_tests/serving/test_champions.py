"""Champions are swapped whole or not at all, and the last good one keeps answering."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import httpx
import pytest

from fx_assets.bundles.bundle import point_to, publish, store_bundle
from fx_assets.lake import Lake
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving, until

URL = "/v1/forecasts/direction/predict/features"
BODY = {"features": {"return_1": 0.0, "rsi_14": 0.0, "volatility_21": 0.0}}


def health(client: httpx.Client) -> dict[str, str | int | None]:
    found: dict[str, str | int | None] = client.get("/health/ready").json()["forecasts"][0]
    return found


def version(client: httpx.Client) -> int:
    answered: int = client.post(URL, json=BODY).json()["champion"]["version"]
    return answered


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_swaps_under_load_lose_and_mix_nothing(tmp_path: Path, workers: int) -> None:
    lake = small_lake.make(tmp_path / "lake")
    last = 6
    bias = {v: 0.40 + v / 100 for v in range(2, last + 1)} | {1: 0.45}
    answers: list[tuple[int, int, float]] = []
    failures: list[str] = []
    stop = threading.Event()

    def ask(port: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            while not stop.is_set():
                answer = client.post(URL, json=BODY)
                if answer.status_code != 200:
                    failures.append(answer.text)
                    continue
                made = answer.json()
                answers.append((answer.status_code, made["champion"]["version"], made["value"]))

    with serving(tmp_path / "lake", tmp_path / "home", workers) as running:
        until(lambda: running.client.post(URL, json=BODY).status_code == 200)
        threads = [threading.Thread(target=ask, args=(running.port,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(2, last + 1):
            publish(lake, small_lake.bundle(number, bias[number]))
            # The next one overtakes an even one as soon as it may; odd ones have time to answer.
            until(lambda number=number: number % 2 == 0 or number in {v for _, v, _ in answers})
        until(lambda: all(version(running.client) == last for _ in range(8)))
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert all(value == pytest.approx(bias[v], abs=1e-12) for _, v, value in answers)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("truncated", marks=pytest.mark.slow),
        "tampered",
        pytest.param("of another forecast", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_bundle_is_refused_with_the_reason_and_a_good_one_follows(
    tmp_path: Path, damage: str
) -> None:
    lake = small_lake.make(tmp_path / "lake")
    with serving(tmp_path / "lake", tmp_path / "home") as running:
        client = running.client
        until(lambda: version(client) == 1)
        folder = tmp_path / "lake" / "bundles" / "direction"
        store_bundle(lake, small_lake.bundle(2, 0.3))
        pointer = folder / "champion.json"
        # The pointer is moved in a copy: the server would follow it here.
        shutil.copytree(tmp_path / "lake", tmp_path / "copy")
        point_to(Lake(str(tmp_path / "copy")), "direction", 2)
        moved = (tmp_path / "copy/bundles/direction/champion.json").read_text()
        model = folder / "2" / "model.onnx"
        content = model.read_bytes()
        if damage == "truncated":
            model.write_bytes(content[: len(content) // 2])
        elif damage == "tampered":
            model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            moved = moved.replace('"direction"', '"other"')
        pointer.write_text(moved)
        expected = "belongs to other" if damage == "of another forecast" else "sha256"
        until(lambda: expected in str(health(client)["refused"]))
        assert client.get("/health/ready").json()["status"] == "degraded"
        assert version(client) == 1
        publish(lake, small_lake.bundle(3, 0.35))
        until(lambda: version(client) == 3)
        assert health(client)["refused"] is None


@pytest.mark.slow
def test_without_the_lake_a_restarted_server_still_answers_and_says_so(tmp_path: Path) -> None:
    root, home = tmp_path / "lake", tmp_path / "home"
    small_lake.make(root)
    latest = "/v1/forecasts/direction/latest"
    with serving(root, home) as running:
        until(lambda: running.client.get(latest).status_code == 200)
        issued = running.client.get(latest).json()["value"]
        shutil.move(root, tmp_path / "away")
        until(lambda: health(running.client)["stale"] is not None)
    with serving(root, home) as again:
        client = again.client
        until(lambda: client.get(latest).status_code == 200)
        answer = client.get(latest)
        assert answer.json()["value"] == issued
        assert answer.json()["stale"]
        assert "max-age=5" in answer.headers["cache-control"]
        assert client.post(URL, json=BODY).json()["stale"]
        assert client.get("/health/ready").json()["lake"]
        shutil.move(tmp_path / "away", root)
        until(lambda: health(client)["stale"] is None)
        until(lambda: client.get(latest).json()["stale"] is None)


def test_an_empty_lake_is_503_with_a_remedy_until_something_is_published(tmp_path: Path) -> None:
    with serving(tmp_path / "lake", tmp_path / "home") as running:
        assert running.client.get("/v1/forecasts").json()["forecasts"] == []
        for path in ("/v1/forecasts/direction/latest", "/v2/models/direction"):
            answer = running.client.get(path)
            assert answer.status_code == 503
            assert "make run" in answer.json()["remedy"]
        assert running.client.get("/health/ready").status_code == 503
        small_lake.make(tmp_path / "lake")
        until(lambda: running.client.get("/v1/forecasts/direction/latest").status_code == 200)


@pytest.mark.slow
def test_metrics_of_two_workers_are_sums(tmp_path: Path) -> None:
    Lake(str(tmp_path / "lake"))
    small_lake.make(tmp_path / "lake")
    with serving(tmp_path / "lake", tmp_path / "home", 2) as running:
        until(lambda: running.client.post(URL, json=BODY).status_code == 200)
        before = _predictions(running)
        for _ in range(40):
            with httpx.Client(base_url=str(running.client.base_url)) as client:
                assert client.post(URL, json=BODY).status_code == 200
        assert _predictions(running) - before == 40


def _predictions(running: Running) -> float:
    text = running.client.get("/metrics").text
    name = 'fx_predictions_total{forecast="direction",version="1"} '
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])


@pytest.mark.slow
def test_a_server_that_is_ready_predicts(lake_root: Path, tmp_path: Path) -> None:
    with serving(lake_root, tmp_path, patience_seconds="0.001") as running:
        until(lambda: running.client.get("/health/ready").status_code == 200)
        assert running.client.post(URL, json=BODY).status_code == 200
