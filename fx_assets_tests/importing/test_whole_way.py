"""From files as people have them to a printed forecast, without editing YAML."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from fx_assets.cli import main
from fx_assets.testing.vendors.exports import EXPORTS, made, soiled
from fx_assets_tests.homes import DAGSTER

BY_NAME = {export.name: export for export in EXPORTS}
WAYS = {
    "fred_1d": ("EURUSD", 1100, "direction", "prediction: P(up) "),
    "mt5_1h": ("GBPUSD", 1500, "volatility", "prediction: variance "),
}
"""Exports that go the whole way: of what, how many bars, and what is predicted of them."""


@pytest.mark.parametrize("name", ["fred_1d", pytest.param("mt5_1h", marks=pytest.mark.slow)])
def test_an_imported_file_ends_in_a_printed_forecast(
    name: str, new_folder: Callable[[], Path]
) -> None:
    """A dirty one."""
    home = new_folder()
    instrument, count, target, predicted = WAYS[name]
    (home / "dagster.yaml").write_text(DAGSTER)
    environment = {
        "FX_ASSETS_HOME": str(home),
        "FX_ASSETS_DECLARED": "declared",
        "FX_ASSETS_NOW": "2026-06-01T00:00:00+00:00",
        "DAGSTER_HOME": str(home),
    }

    out = io.StringIO()

    def command(*arguments: str) -> str:
        out.truncate(0)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
            patch.chdir(home)
            for name, value in environment.items():
                patch.setenv(name, value)
            assert main(arguments) == 0, out.getvalue()
        return out.getvalue()

    export = BY_NAME[name]
    text, bars, _ = made(export, count)
    dirty, _ = soiled(export, text, bars)
    (home / name).mkdir()
    (home / name / f"{instrument}.csv").write_text(dirty)
    flags = [*export.flags, "--feed", f"{name}_feed", "--forecast", name]
    command("import", name, *flags, "--target", target, "--yes")
    said = command("run", name)
    assert "FAILED" not in said
    (block,) = [part for part in said.split("forecast: ") if part.startswith(f"{name}\n")]
    assert f"instrument: {instrument}\n" in block
    assert predicted in block
    assert "issued after the fact" in block
    assert "interval: " in block
    assert "score against the baseline: " in block
    assert "skill demonstrated: no" in block
