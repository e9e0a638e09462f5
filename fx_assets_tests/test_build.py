"""A model says from which commit and image it comes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fx_assets import build


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=desk", "-c", "user.email=desk@example.org"]
    said = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return said.stdout.decode().strip()


def test_the_commit_of_a_checkout_is_told_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(build.COMMIT, raising=False)
    monkeypatch.setattr(build, "__file__", str(tmp_path / "fx_assets" / "build.py"))
    monkeypatch.chdir(tmp_path)
    build._of_checkout.cache_clear()
    assert build.commit() == ""
    (tmp_path / "defs.yaml").write_text("one")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "One"]):
        git(tmp_path, *words)
    build._of_checkout.cache_clear()
    head = git(tmp_path, "rev-parse", "HEAD")
    assert build.commit() == head
    (tmp_path / "defs.yaml").write_text("two")
    build._of_checkout.cache_clear()
    assert build.commit() == f"{head}-dirty"
    build._of_checkout.cache_clear()


def test_an_image_s_own_commit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.COMMIT, "abc1234")
    monkeypatch.setenv(build.IMAGE, "registry.example/desk@sha256:00")
    assert (build.commit(), build.image()) == ("abc1234", "registry.example/desk@sha256:00")
