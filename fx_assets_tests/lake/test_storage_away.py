"""S3 that refuses, hangs or asks to slow down for a while: writers wait, readers of runs too."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from fx_assets.errors import LakeError
from fx_assets.lake import Lake, patience
from fx_assets_tests.lake.conftest import CREDENTIALS
from fx_assets_tests.production.relay import FAULTS, Fault, Relay, relayed
from fx_assets_tests.production.servers import new_bucket


@pytest.fixture
def relay(s3_endpoint: str) -> Iterator[Relay]:
    with relayed(int(s3_endpoint.rpartition(":")[2])) as made:
        yield made


@pytest.fixture
def options(relay: Relay) -> dict[str, str]:
    return CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    return new_bucket(s3_endpoint, f"away-{uuid.uuid4().hex}")


def at_once(fault: Fault) -> list[Any]:
    """All faults, of which each run tries one and CI the others."""
    slow = pytest.mark.slow
    return [each if each == fault else pytest.param(each, marks=slow) for each in FAULTS]


def survives(relay: Relay, lake: Lake, fault: Fault, seconds: float) -> None:
    """Everything that a run does with the lake, while it is away."""
    lake.append("t", "x", pd.DataFrame({"n": [1]}))
    relay.breaks(fault)
    threading.Timer(seconds, relay.mends).start()
    began = time.monotonic()
    lake.write_blob("a/note.json", b"{}")
    assert time.monotonic() - began > 0.9 * seconds
    assert lake.read_blob("a/note.json") == b"{}"
    relay.breaks(fault)
    threading.Timer(seconds, relay.mends).start()
    lake.append("t", "x", pd.DataFrame({"n": [2]}))
    assert list(
        Lake(lake.root, storage_options=lake._location.storage_options).read("t", "x")["n"]
    ) == [1, 2]


@pytest.mark.parametrize("fault", at_once("refuses"))
def test_storage_that_is_away_for_a_moment_is_waited_for(
    relay: Relay, options: dict[str, str], bucket: str, fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.5)
    survives(relay, Lake(f"s3://{bucket}/lake", storage_options=options), fault, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_storage_that_is_away_for_45_s_is_waited_for(
    relay: Relay, options: dict[str, str], bucket: str, fault: Fault
) -> None:
    survives(relay, Lake(f"s3://{bucket}/lake", storage_options=options), fault, 45.0)


@pytest.mark.parametrize("fault", at_once("hangs"))
def test_storage_that_stays_away_is_told_within_the_patience(
    relay: Relay, options: dict[str, str], bucket: str, fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr("fx_assets.lake.location.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 1.0)
    lake = Lake(f"s3://{bucket}/lake", storage_options=options)
    lake.append("t", "x", pd.DataFrame({"n": [1]}))
    relay.breaks(fault)
    for call in (lambda: lake.write_blob("a", b""), lambda: lake.version("t", "x")):
        began = time.monotonic()
        with pytest.raises(LakeError) as caught:
            call()
        assert time.monotonic() - began < 60
        assert "can be reached" in caught.value.remedy


def test_what_does_not_pass_by_itself_is_told_at_once(options: dict[str, str]) -> None:
    lake = Lake("s3://no-such-bucket/lake", storage_options=options)
    began = time.monotonic()
    with pytest.raises(LakeError, match="cannot be written to"):
        lake.append("t", "x", pd.DataFrame({"n": [1]}))
    assert time.monotonic() - began < patience.PATIENCE_SECONDS / 2
