"""The clients of Triton, KServe and MLServer, each as it is published, against this server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.lakes.server_process import Running
from fx_assets_tests.environments import plain_environment
from fx_assets_tests.serving.other_clients import ROWS

pytestmark = pytest.mark.slow
CLIENTS = ("tritonclient[http]==2.73.0", "kserve==0.16.0", "mlserver==1.7.1")
SCRIPT = Path(__file__).with_name("other_clients.py")


@pytest.fixture(scope="module")
def python(new_folder: Callable[[], Path]) -> Path:
    """An environment with the clients, whose pins contradict ours."""
    folder = new_folder()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = folder / "bin" / "python"
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(found), *CLIENTS]
    modules = "import mlserver, tritonclient.http", "import kserve"
    for command in (install, *([str(found), "-c", text] for text in modules)):
        done = subprocess.run(command, env=plain_environment(), capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the clients cannot be installed: {done.stderr[-500:]}")
    return found


@pytest.mark.parametrize("client", ["tritonclient", "kserve", "mlserver"])
def test_another_projects_client_predicts_and_is_told_its_mistake(
    client: str, python: Path, server: Running, api: httpx.Client, tmp_path: Path
) -> None:
    body = {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP64", "data": ROWS.tolist()}]}
    expected = api.post("/v2/models/direction/infer", json=body).json()["outputs"][0]["data"]
    asked = [client, f"127.0.0.1:{server.port}", str(tmp_path / "batch.jsonl")]
    done = subprocess.run(
        [python, SCRIPT, *asked], env=plain_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *answers, refusal = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) >= 4
    for answer in answers:
        assert answer == pytest.approx(expected, abs=1e-4)
    assert "has the shape [2, 2], the model reads [n, 3]" in refusal
