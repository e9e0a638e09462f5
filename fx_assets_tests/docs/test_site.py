"""The site is whole, and needs no network to be built or read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?([^"'\s>]+)""")
STYLES = re.compile(r"""<link[^>]*rel=["']?(?:stylesheet|preconnect|preload)[^>]*>""")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What ``make docs`` runs, with every network out of reach."""
    away = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--clean", "--site-dir", str(site)],
        cwd=root,
        env={**os.environ, **away, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_site_is_built_without_a_network_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in _pages(tmp_path)}
    written = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert written | {"index.html", "contributing.html", "changelog.html"} <= set(pages)
    for name, text in pages.items():
        loaded = [*LOADED.findall(text), *STYLES.findall(text)]
        assert not [found for found in loaded if "//" in found], name
    assert "Deployment settings" in pages["reference/settings-and-errors.html"]


@pytest.mark.slow
def test_a_broken_link_fails_the_site(tmp_path: Path) -> None:
    root = tmp_path / "project"
    for name in ("docs", ".ci", "fx_assets"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "README.md"):
        shutil.copy(ROOT / name, root / name)
    (root / "docs" / "time.md").write_text(
        "# Time\n\n[There](nowhere.md), [and](tables.md#nowhere)"
    )
    built = build(root, tmp_path / "site")
    assert built.returncode != 0
    assert "nowhere.md" in built.stderr
    assert "tables.md#nowhere" in built.stderr


def _pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))
