"""The templates, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fx_assets_tests.deploy.aws.templates import Templates, written


@pytest.fixture(scope="package")
def templates(once: Callable[[str, Callable[[Path], None]], Path]) -> Templates:
    return Templates(once("templates", written))
