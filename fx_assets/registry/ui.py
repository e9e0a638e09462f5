"""MLflow's server in one process: its own command would wait beside it, in 180 MB.

Run as ``python -m fx_assets.registry.ui`` with what ``mlflow server`` takes.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from mlflow import cli, server


def _become(command: list[str], extra_env: dict[str, str], **_: object) -> NoReturn:
    os.execvpe(command[0], command, {**os.environ, **extra_env})  # noqa: S606


if __name__ == "__main__":
    vars(server)["_exec_cmd"] = _become
    cli.cli(["server", *sys.argv[1:]])
