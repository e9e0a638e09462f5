from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets_tests.lake.conftest import CREDENTIALS


class Careless(BaseHTTPRequestHandler):
    """Stores what it gets, whatever the conditions are, as some S3 servers do."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(204)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Refusing(Careless):
    """Refuses everything and, as S3 does, echoes the key id."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = (
            b"<Error><Code>InvalidAccessKeyId</Code><Message>No such key test-key</Message>"
            b"<AWSAccessKeyId>test-key</AWSAccessKeyId></Error>"
        )
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def lake_at(endpoint: str) -> Lake:
    return Lake("s3://bucket/lake", storage_options=CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint})


@pytest.mark.parametrize("server", [Careless], indirect=True)
def test_a_server_that_ignores_conditions_is_refused_before_the_first_write(server: str) -> None:
    with pytest.raises(LakeError, match="ignores If-None-Match") as caught:
        lake_at(server).append("t", "x", pd.DataFrame({"n": [1]}))
    assert "MinIO" in caught.value.remedy


@pytest.mark.parametrize("server", [Refusing], indirect=True)
def test_a_refusal_does_not_show_credentials(server: str) -> None:
    with pytest.raises(LakeError, match="cannot be written to") as caught:
        lake_at(server).write_blob("a", b"")
    assert "test-key" not in str(caught.value)
    assert "***" in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_server_with_conditional_writes_is_accepted_and_left_clean(
    s3: tuple[str, dict[str, str]],
) -> None:
    root, options = s3
    lake = Lake(root, storage_options=options)
    lake.probe_conditional_writes()
    assert lake.list_blobs("") == []


def test_the_environment_alone_is_enough(
    s3: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, options = s3
    for variable, value in options.items():
        monkeypatch.setenv(variable, value)
    lake = Lake(root)
    lake.append("t", "x", pd.DataFrame({"n": [1]}))
    assert Lake(root).names("t") == ["x"]
    assert list(lake.read("t", "x")["n"]) == [1]


@pytest.mark.parametrize("root", ["s3://key:secret@bucket/lake", "gs://bucket/lake", "s3://"])
def test_an_address_that_cannot_be_a_lake_is_refused_without_echoing_it(root: str) -> None:
    with pytest.raises(LakeError) as caught:
        Lake(root)
    assert "secret" not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_named(s3_endpoint: str) -> None:
    with pytest.raises(LakeError, match="s3://bucket/lake"):
        lake_at(s3_endpoint).append("t", "x", pd.DataFrame({"n": [1]}))
