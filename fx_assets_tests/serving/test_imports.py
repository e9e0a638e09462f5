"""The server's processes start without what training needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "begins",
    [
        "serving.worker:create_app",
        "serving.queries.process:prepare",
        "serving.state.trials:prepare",
    ],
)
def test_a_process_of_the_server_needs_neither_pandas_nor_training_libraries(begins: str) -> None:
    module, _, function = begins.partition(":")
    program = (
        f"import sys; from {module} import {function} as begin; begin(); "
        "heavy = {'pandas', 'sklearn', 'xgboost', 'lightgbm', 'mlflow', 'dagster', 'scipy'}; "
        "print(sorted(heavy & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
