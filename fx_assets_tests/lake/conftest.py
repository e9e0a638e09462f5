"""Real storage for the lake's tests: folders, and an S3 server in a process of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fx_assets.lake import Lake
from fx_assets_tests.production.servers import new_bucket, object_store

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret"}


@pytest.fixture(autouse=True)
def _no_inherited_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "the lake"))


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with object_store() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def s3(s3_endpoint: str) -> tuple[str, dict[str, str]]:
    """The address of a new bucket's prefix, and the options to reach it."""
    bucket = new_bucket(s3_endpoint, f"lake-{uuid.uuid4().hex}")
    return f"s3://{bucket}/some/prefix", CREDENTIALS | {"AWS_ENDPOINT_URL": s3_endpoint}


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str] | None]:
    """Where a lake may live: its root and its storage options."""
    if request.param == "local":
        return str(tmp_path / "the lake"), None
    place: tuple[str, dict[str, str]] = request.getfixturevalue("s3")
    return place
