"""The templates that ``make aws`` writes, read as one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
STACKS = ROOT / "deploy" / "aws"
PYTHON = ROOT / ".venv-aws" / "bin" / "python"
NAMES = ("network", "storage", "database", "tasks", "services", "schedule", "alarms")
"""In the order in which they are deployed."""


@dataclass(frozen=True)
class Templates:
    """The templates by stack; names of resources differ among them."""

    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / f"fx-{name}.template.json").read_text()

    def stack(self, name: str) -> dict[str, Any]:
        return json.loads(self.text(name))

    def resources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in NAMES:
            yield from self.stack(name)["Resources"].items()

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type by logical name."""
        return {name: each for name, each in self.resources() if each["Type"] == kind}

    def properties(self, kind: str) -> list[dict[str, Any]]:
        return [each.get("Properties", {}) for each in self.of(kind).values()]

    def only(self, kind: str) -> dict[str, Any]:
        """The properties of the one resource of a type."""
        (found,) = self.properties(kind)
        return found

    def task(self, name: str) -> dict[str, Any]:
        """The properties of a process's task definition."""
        tasks = self.properties("AWS::ECS::TaskDefinition")
        return next(task for task in tasks if task["Family"] == f"fx-assets-{name}")

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What roles may do, by the logical name of the policy; not the policies of resources."""
        for name, each in self.of("AWS::IAM::Policy").items():
            for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                yield name, statement

    def statements_of(self, role: str) -> list[dict[str, Any]]:
        return [statement for name, statement in self.statements() if name.startswith(role)]


def written(folder: Path) -> None:
    """The templates of the code as it is; skips where what makes them is not installed."""
    if not PYTHON.exists() or shutil.which("node") is None:
        pytest.skip("make aws installs what makes the templates, and takes Node")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))
    }
    subprocess.run(
        [PYTHON, "app.py"], cwd=STACKS, env={**environment, "CDK_OUTDIR": str(folder)},
        check=True, capture_output=True,
    )  # fmt: skip
