"""``fx-assets keys``: a deployment begins to sign, and changes its key while it is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fx_assets.bundles.signing import PublicKey
from fx_assets.testing.lakes.server_process import Running, serving, until
from fx_assets_tests.homes import Home
from fx_assets_tests.states.stores import lake_of
from fx_assets_tests.states.test_rollback import back, three_versions

__all__ = ["three_versions"]

POINTER = "bundles/up/champion.json"
PUBLIC = re.compile(r"FX_SERVING_PUBLIC_KEYS\): (\S+)")


def public_key(said: str) -> str:
    found = PUBLIC.search(said)
    assert found, said
    return found.group(1)


def key_id(text: str) -> str:
    return PublicKey.parse(text, "test").id


@contextmanager
def server(home: Home, file: Path) -> Iterator[Running]:
    lake, now = home.folder / "data" / "lake", home.variables["FX_ASSETS_NOW"]
    folder = home.folder / "server"
    with serving(lake, folder, now=now, public_keys_file=str(file)) as running:
        yield running


def row(running: Running) -> dict[str, object]:
    found: list[dict[str, object]] = running.client.get("/health/ready").json()["forecasts"]
    return found[0] if found else {"version": None}


def signing(home: Home, tmp_path: Path) -> tuple[Path, str]:
    """The home signs; the file of its private key, and its public key."""
    file = tmp_path / "secrets" / "signing.key"
    said = home.run("keys", "new", str(file)).succeeded().out
    assert file.stat().st_mode & 0o777 == 0o600
    assert "is in" in said
    home.environment["FX_ASSETS_SIGNING_KEY_FILE"] = str(file)
    return file, public_key(said)


@pytest.mark.slow
def test_a_deployment_begins_to_sign_and_changes_its_key_without_a_refusal(
    three_versions: Home, tmp_path: Path
) -> None:
    home = three_versions.copy_to(tmp_path / "home")
    private, first = signing(home, tmp_path)
    assert "NOT SIGNED" in home.run("keys", "show").failed().out
    unsigned = home.run("keys", "sign").failed().out
    assert "bundles/up/3/signature.json does not exist" in unsigned
    assert "fx-assets keys sign --adopt" in unsigned
    assert "may not become champion" in home.run(*back(home, "--to", "1")).failed().said
    assert "4 files signed" in home.run("keys", "sign", "--adopt").succeeded().out
    assert "4 files of 4 signed" in home.run("keys", "show").succeeded().out
    public = tmp_path / "public"
    public.write_text(first)
    with server(home, public) as running:
        until(lambda: row(running)["version"] == 3)
        assert row(running)["signed_by"] == [key_id(first)]
        said = home.run("keys", "rotate").succeeded().out
        second = public_key(said)
        until(lambda: row(running)["refused"] is None)
        public.write_text(f"{first}\n{second}\n")
        until(lambda: row(running)["signed_by"] == [key_id(first), key_id(second)])
        public.write_text(f"{second}\n")
        until(lambda: row(running)["signed_by"] == [key_id(second)])
        assert row(running)["refused"] is None
        private.write_text(private.read_text().splitlines()[1])
        home.run("keys", "show").succeeded()
        # A way back is signed and followed, and so is a backup of before.
        home.run("backup", str(tmp_path / "backup")).succeeded()
        home.run(*back(home, "--to", "1")).succeeded()
        until(lambda: row(running)["version"] == 1)
        assert "was refused" not in running.log.read_text()
        home.run("restore", str(tmp_path / "backup"), "--force").succeeded()
        until(lambda: (row(running)["version"], row(running)["refused"]) == (3, None))
        # A pointer that was altered is refused until a run has signed what the ledger says.
        lake, sound = lake_of(home), lake_of(home).read_blob(POINTER)
        lake.write_blob(POINTER, sound.replace(b'"version": 3', b'"version": 2'))
        until(lambda: "it was altered" in str(row(running)["refused"]))
        assert "altered" in home.run("keys", "show").failed().out
        home.run("run").succeeded()
        until(lambda: row(running)["refused"] is None)
        home.run("keys", "show").succeeded()
    secret = private.read_text().split()[0]
    leaks = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path != private and secret.encode() in path.read_bytes()
    ]
    assert leaks == []


def test_what_cannot_be_done_with_keys_is_said_with_what_to_do(home: Home, tmp_path: Path) -> None:
    for words in (("sign",), ("show",), ("rotate",)):
        assert "fx-assets keys new FILE" in home.run("keys", *words).failed().err
    file = tmp_path / "key"
    home.run("keys", "new", str(file)).succeeded()
    assert "fx-assets keys rotate" in home.run("keys", "new", str(file)).failed().err
    home.environment["FX_ASSETS_SIGNING_KEY"] = file.read_text().split()[0]
    assert "not in a file" in home.run("keys", "rotate").failed().err
    home.environment["FX_ASSETS_SIGNING_KEY"] = "no-key-but-a-secret"
    said = home.run("keys", "show").failed().err
    assert "is no private key" in said.replace("holds something that ", "")
    assert "no-key-but-a-secret" not in said
    home.environment = {"FX_ASSETS_SIGNING_KEY_FILE": str(tmp_path / "nowhere")}
    assert "cannot be read: No such file" in home.run("keys", "show").failed().err
    (tmp_path / "empty").write_text("# nothing\n")
    home.environment = {"FX_ASSETS_SIGNING_KEY_FILE": str(tmp_path / "empty")}
    assert "holds no key" in home.run("run").failed().said
