"""The packaged prices, judged from nothing, give the numbers that were pinned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fx_assets.lake import Lake
from fx_assets_tests.golden.numbers import summary
from fx_assets_tests.golden.readme import (
    DOCS,
    README,
    about_money,
    on_pages,
    pooled,
    sentences,
)

PINNED = Path(__file__).with_name("packaged.json")
NOW = "2026-11-02T12:00:00+00:00"
UNIVERSE = "ecb_universe"


@pytest.mark.slow
@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="the numbers are those of XGBoost and NumPy on Python 3.11"
)
@pytest.mark.timeout(900)
def test_the_packaged_forecasts_and_universe_come_out_as_they_were_pinned(tmp_path: Path) -> None:
    for command in ("run", "universe"):
        _run(tmp_path, command)
    pinned = json.loads(PINNED.read_text())
    found = summary(
        Lake(str(tmp_path / "data/lake")), [n for n in pinned if n != UNIVERSE], UNIVERSE
    )
    assert _differences(pinned, json.loads(json.dumps(found))) == []


def test_the_readme_says_what_the_pinned_run_found() -> None:
    pinned, text = json.loads(PINNED.read_text()), README.read_text()
    one_line = " ".join(text.split())
    for sentence in sentences(pinned):
        assert sentence in one_line
    (row,) = pinned["eurusd_volatility"]["predictions"][-1:]
    skill = "{:+.2f} % ({:+.2f} to {:+.2f}".format(
        *(100 * row[name] for name in ("skill", "skill_lower", "skill_upper"))
    )
    assert f"qlike {row['score']:.4f} against {row['baseline_score']:.4f}, skill {skill}" in text
    assert f"prediction: variance {row['prediction']:.6f}" in text
    assert f"interval: {row['lower']:.3g} " in text
    assert f" to {row['upper']:.6f} " in text
    assert f"economics: {pinned['eurusd_volatility']['economics']['pool']}" in text


def test_tables_of_readme_and_pages_are_those_of_the_pinned_run() -> None:
    for page, tables in on_pages(json.loads(PINNED.read_text())).items():
        text = page.read_text()
        for _, made in tables:
            assert made in text, f"python -m fx_assets_tests.golden.readme writes {page} anew"


def test_pages_say_of_money_and_pools_what_the_pinned_run_found() -> None:
    pinned = json.loads(PINNED.read_text())
    said = [README, DOCS / "economics.md"]
    one_line = " ".join(word for page in said for word in page.read_text().split())
    for sentence in about_money(pinned):
        assert sentence in one_line
    models = (DOCS / "models.md").read_text()
    for row in pooled(pinned):
        assert row in models


def _run(home: Path, command: str) -> None:
    environment = {
        **os.environ,
        "FX_ASSETS_HOME": str(home),
        "DAGSTER_HOME": str(home),
        "FX_ASSETS_NOW": NOW,
        "FX_ASSETS_ECB_HISTORY_URL": "http://127.0.0.1:9/history.zip",
        "FX_ASSETS_ECB_DAILY_URL": "http://127.0.0.1:9/daily.xml",
        "FX_ASSETS_HTTP_ATTEMPTS": "1",
    }
    (home / "dagster.yaml").write_text(Path("dagster.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "fx_assets.cli", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _differences(pinned: Any, found: Any, where: str = "") -> list[str]:
    """Each place where two summaries differ by more than other processors' rounding."""
    if isinstance(pinned, dict) and isinstance(found, dict):
        names = sorted(set(pinned) | set(found))
        return [
            text
            for name in names
            for text in _differences(pinned.get(name), found.get(name), f"{where}/{name}")
        ]
    if isinstance(pinned, list) and isinstance(found, list) and len(pinned) == len(found):
        pairs = enumerate(zip(pinned, found, strict=True))
        return [t for i, (a, b) in pairs for t in _differences(a, b, f"{where}/{i}")]
    if isinstance(pinned, float) and isinstance(found, float):
        same = found == pytest.approx(pinned, rel=1e-8, abs=1e-14)
        return [] if same else [f"{where}: {found!r} instead of {pinned!r}"]
    return [] if pinned == found else [f"{where}: {found!r} instead of {pinned!r}"]
