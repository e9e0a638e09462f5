"""A server with public keys follows what they vouch for, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fx_assets.bundles.bundle import point_to, publish, store_bundle
from fx_assets.bundles.records import pointer_path, sha256
from fx_assets.bundles.signing import SigningKey
from fx_assets.lake import Lake
from fx_assets.lake.below import Below
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running, serving, until

PATH = pointer_path("direction")
OURS, NEXT, THEIRS = (SigningKey.new() for _ in range(3))


@contextmanager
def signing(*keys: SigningKey) -> Iterator[None]:
    """The platform signs with these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FX_ASSETS_SIGNING_KEY", " ".join(key.secret for key in keys))
        yield


def signed_lake(root: Path, *keys: SigningKey) -> Lake:
    with signing(*keys):
        return small_lake.make(root)


def health(client: httpx.Client) -> dict[str, object]:
    found: list[dict[str, object]] = client.get("/health/ready").json()["forecasts"]
    return found[0] if found else {"version": None}


def metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith(f'{name}{{forecast="'))


def served(running: Running) -> object:
    """The version that answers."""
    return running.client.get("/v1/forecasts/direction/model").json()["champion"]["version"]


def serves(running: Running, version: int) -> None:
    until(lambda: health(running.client)["version"] == version)
    assert served(running) == version
    assert health(running.client)["refused"] is None


def altered_pointer(lake: Lake, **changes: object) -> None:
    lake.write_blob(PATH, json.dumps(json.loads(lake.read_blob(PATH)) | changes).encode())


def with_altered_model(lake: Lake) -> None:
    """The pointer is signed in a copy, before the server could follow it to the sound model."""
    copy = Lake(f"{lake.root}_copy")
    with signing(OURS):
        store_bundle(lake, small_lake.bundle(2, 0.3))
        publish(copy, small_lake.bundle(2, 0.3))
    for file in ("manifest.json", "model.onnx"):
        path = f"bundles/direction/2/{file}"
        content = copy.read_blob(path)
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        lake.write_blob(path, flipped if file == "model.onnx" else content)
    lake.write_blob(PATH, copy.read_blob(PATH))


def with_altered_manifest(lake: Lake) -> None:
    """Of whom the pointer tells the new hash, as who may write the lake can."""
    path = "bundles/direction/1/manifest.json"
    content = lake.read_blob(path).replace(b'"demonstrated": true', b'"demonstrated": false')
    lake.write_blob(path, content)
    altered_pointer(lake, manifest_sha256=sha256(content))


def unsigned(lake: Lake) -> None:
    publish(lake, small_lake.bundle(2, 0.3))


def signed_by_others(lake: Lake) -> None:
    with signing(THEIRS):
        publish(lake, small_lake.bundle(2, 0.3))


def signed_for_another_place(lake: Lake) -> None:
    with signing(OURS):
        publish(Below(lake, "members/all/EURUSD/"), small_lake.bundle(2, 0.3))
    store_bundle(lake, small_lake.bundle(2, 0.3))
    lake.write_blob(PATH, lake.read_blob(f"members/all/EURUSD/{PATH}"))


def signed_twice(lake: Lake) -> None:
    """Two readers of one text may take different ones of two versions."""
    text = lake.read_blob(PATH).decode()
    lake.write_blob(PATH, text.replace('"version": 1', '"version": 2, "version": 1').encode())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Running]]:
    """A signed lake, and a server that has its public key."""
    folder = tmp_path_factory.mktemp("signed")
    lake = signed_lake(folder / "lake", OURS)
    with serving(folder / "lake", folder / "home", public_keys=OURS.public.text) as running:
        yield lake, running


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (lambda lake: altered_pointer(lake, version=2), "altered"),
        (lambda lake: altered_pointer(lake, signed_at="2099-01-01T00:00:00+00:00"), "altered"),
        (lambda lake: altered_pointer(lake, signatures="none"), "cannot be read"),
        (with_altered_model, "sha256"),
        (with_altered_manifest, "altered"),
        (unsigned, "not signed"),
        (signed_by_others, "none of the public keys"),
        (signed_for_another_place, "of elsewhere"),
        (signed_twice, "cannot be read"),
    ],
)
def test_what_was_tampered_with_is_refused_while_the_last_good_champion_answers(
    guarded: tuple[Lake, Running], tamper: Callable[[Lake], None], reason: str
) -> None:
    (lake, running), path = guarded, "bundles/direction/1/manifest.json"
    client = running.client
    serves(running, 1)
    assert health(client)["signed_by"] == [OURS.public.id]
    before = client.get("/v1/forecasts/direction/model").json()
    sound = {each: lake.read_blob(each) for each in (path, PATH)}
    tamper(lake)
    until(lambda: reason in str(health(client)["refused"]))
    ready = client.get("/health/ready").json()
    assert (ready["status"], ready["forecasts"][0]["version"]) == ("degraded", 1)
    assert client.get("/v1/forecasts/direction/model").json() == before
    assert client.get("/v1/forecasts/direction/latest").status_code == 200
    until(lambda: metric(client, "fx_bundle_refused") == 1)
    assert metric(client, "fx_signature_refused") == (reason != "sha256")
    assert reason in running.log.read_text()
    for each, content in sound.items():
        lake.write_blob(each, content)
    until(lambda: health(client)["refused"] is None)
    until(lambda: metric(client, "fx_signature_refused") == 0)


@pytest.mark.slow
def test_an_earlier_pointer_is_refused_and_a_signed_way_back_is_followed(tmp_path: Path) -> None:
    lake, home = signed_lake(tmp_path / "lake", OURS), tmp_path / "home"
    earlier = lake.read_blob(PATH)
    with signing(OURS):
        publish(lake, small_lake.bundle(2, 0.3))
    later = lake.read_blob(PATH)
    keys = OURS.public.text
    with serving(tmp_path / "lake", home, public_keys=keys) as running:
        serves(running, 2)
        lake.write_blob(PATH, earlier)
        until(lambda: "an earlier one was put back" in str(health(running.client)["refused"]))
        assert served(running) == 2
    # A server that starts again remembers what it served, also without its copies of champions.
    (copies,) = (home / "data" / "cache" / "serving").glob("*/signed.json")
    for file in copies.parent.rglob("champion.json"):
        file.unlink()
    with serving(tmp_path / "lake", home, public_keys=keys) as running:
        until(lambda: "an earlier one was put back" in running.log.read_text())
        answer = running.client.get("/v1/forecasts/direction/latest")
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("champion-refused")
        lake.write_blob(PATH, later)
        serves(running, 2)
        with signing(OURS):
            point_to(lake, "direction", 1)
        serves(running, 1)


@pytest.mark.slow
def test_keys_come_and_go_while_the_server_runs(tmp_path: Path) -> None:
    lake, file = signed_lake(tmp_path / "lake", OURS), tmp_path / "keys"
    file.write_text(f"# of 2026\n{OURS.public.text}\n")
    with serving(tmp_path / "lake", tmp_path / "home", public_keys_file=str(file)) as running:
        serves(running, 1)
        with signing(NEXT):
            publish(lake, small_lake.bundle(2, 0.3))
        until(lambda: "none of the public keys" in str(health(running.client)["refused"]))
        file.write_text(f"{OURS.public.text}\n{NEXT.public.text}\n")
        serves(running, 2)
        file.write_text("")  # as it is for a moment when it is written anew: no reason to trust all
        with signing(THEIRS):
            publish(lake, small_lake.bundle(3, 0.35))
        until(lambda: "none of the public keys" in str(health(running.client)["refused"]))
        assert "The public keys stay as they were" in running.log.read_text()
        file.write_text(f"{NEXT.public.text}@2026-10-29\n")
        with signing(NEXT):
            publish(lake, small_lake.bundle(4, 0.4))
        until(lambda: "until 2026-10-29" in str(health(running.client)["refused"]))
        assert served(running) == 2
        file.write_text(f"{OURS.public.text}\n")
        until(lambda: "none of the public keys" in str(health(running.client)["refused"]))
        assert served(running) == 2
        assert running.client.get("/v1/forecasts/direction/latest").status_code == 200
        file.write_text(f"{NEXT.public.text}@2026-10-30\n")
        serves(running, 4)


@pytest.mark.slow
def test_copies_of_a_key_that_is_gone_are_not_served_after_a_restart(tmp_path: Path) -> None:
    signed_lake(tmp_path / "lake", OURS)
    with serving(tmp_path / "lake", tmp_path / "home", public_keys=OURS.public.text) as running:
        serves(running, 1)
    with serving(tmp_path / "lake", tmp_path / "home", public_keys=NEXT.public.text) as running:
        answer = running.client.get("/v1/forecasts/direction/latest")
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("champion-refused")
        assert "none of the public keys" in answer.json()["detail"]


@pytest.mark.slow
def test_a_server_without_keys_serves_signed_and_unsigned_alike(tmp_path: Path) -> None:
    lake = signed_lake(tmp_path / "lake", OURS)
    with serving(tmp_path / "lake", tmp_path / "home") as running:
        serves(running, 1)
        publish(lake, small_lake.bundle(2, 0.3))
        serves(running, 2)
        assert health(running.client)["signed_by"] == []
