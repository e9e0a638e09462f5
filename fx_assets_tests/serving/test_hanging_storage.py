"""S3 that hangs: answers come in time, say what is wrong, and name neither bucket nor endpoint."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import boto3
import httpx
import pytest

from fx_assets.lake import Lake
from fx_assets.lake.location import Location
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.production.relay import relayed
from fx_assets_tests.production.servers import object_store
from serving.processes.ending import END_SECONDS

FORECAST = "/v1/forecasts/direction"
BUCKET = "a-bucket-of-ours"


@pytest.mark.slow
def test_storage_that_hangs_is_told_in_time_and_then_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with object_store() as port, relayed(port) as relay:
        options = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}",
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_REGION": "us-east-1",
        }
        for name, value in options.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=options["AWS_ENDPOINT_URL"]).create_bucket(Bucket=BUCKET)
        root = f"s3://{BUCKET}/lake"
        small_lake.make_in(Lake(root))
        with serving(root, tmp_path, read_seconds="3") as running:
            client = running.client
            until(lambda: client.get(f"{FORECAST}/latest").status_code == 200)
            until(lambda: client.get(f"{FORECAST}/history").status_code == 200)
            assert client.get("/health/ready").json()["status"] == "ready"

            relay.breaks("hangs")
            began = time.monotonic()
            answers = [client.get(f"{FORECAST}{path}") for path in ("/history", "/prices?limit=3")]
            answers.append(client.get(f"{FORECAST}/latest/explanation"))
            assert [answer.status_code for answer in answers] == [503] * 3
            assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
            # Three reads, each with three seconds at most, on a machine that may be busy.
            assert time.monotonic() - began < 40
            until(lambda: client.get("/health/ready").json()["status"] == "degraded")
            answers += [client.get("/health/ready"), client.get(f"{FORECAST}/latest")]
            assert answers[-1].status_code == 200
            assert answers[-1].json()["stale"]
            for answer in answers:
                for secret in (BUCKET, f":{relay.port}", "test-secret"):
                    assert secret not in answer.text

            relay.mends()
            until(lambda: client.get("/health/ready").json()["status"] == "ready")
            assert client.get(f"{FORECAST}/history").status_code == 200

            relay.breaks("hangs")
            with socket.create_connection(("127.0.0.1", running.port)) as waiting:
                waiting.sendall(f"GET {FORECAST}/history HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                # Unlike SIGTERM it ends the interpreter in order, which waits for its threads.
                running.process.send_signal(signal.SIGINT)
                running.process.wait(END_SECONDS + 40)


def test_a_discreet_location_names_neither_bucket_nor_endpoint_nor_folder(tmp_path: Path) -> None:
    root = tmp_path / "a folder"
    local = Location(str(root), discreet=True)
    for name in (f"[Errno 13] '{root}/prices'", f"refused: {root.as_uri()}"):
        assert str(tmp_path) not in local.redact(name) + local.label
        assert "a%20folder" not in local.redact(name)
    options = {"AWS_ENDPOINT_URL": "https://storage.internal:9000"}
    told = Location("s3://ours/lake", options, discreet=True)
    text = told.redact(httpx.ConnectError("https://storage.internal:9000/ours/lake/x refused"))
    assert "ours" not in text + told.label
    assert "internal" not in text
    assert "refused" in text
