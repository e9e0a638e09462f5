"""What the site has beside docs/: README, changelog, how to contribute, and the docstrings."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
REFERENCE = {
    "The public face": ["fx_assets"],
    "Declared": ["fx_assets.specs.feed", "fx_assets.specs.forecast", "fx_assets.specs.universe"],
    "Settings and errors": ["fx_assets.settings", "fx_assets.errors", "fx_assets.clock"],
    "Tables": ["fx_assets.lake.lake", "fx_assets.tables"],
    "Sources and the gate": ["fx_assets.sources", "fx_assets.quality"],
    "Features and models": ["fx_assets.features.base", "fx_assets.models.base"],
    "Judging": [
        *("fx_assets.evaluation.walk_forward", "fx_assets.evaluation.metrics"),
        "fx_assets.evaluation.significance",
    ],
    "Doors": ["fx_assets.doors", "fx_assets.testing.families", "fx_assets.testing.features"],
}
LINK = re.compile(r"\[([^\]\[]*)\]\((?!https?:|#)([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie elsewhere, and one for each group of modules."""
    for source, page in PAGES.items():
        if (ROOT / source).is_file():
            text = _moved((ROOT / source).read_text("utf-8"), "", page)
            files.append(File.generated(config, page, content=text))
    for title, modules in REFERENCE.items():
        found = [f"::: {module}" for module in modules if _exists(module)]
        page = f"reference/{title.lower().replace(' ', '-')}.md"
        text = f"# {title}\n\n" + "\n\n".join(found) + "\n"
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to files of the repository lead to pages, or be plain names where there is none."""
    if page.file.generated_by:
        return markdown
    return _moved(markdown, f"docs/{posixpath.dirname(page.file.src_uri)}", page.file.src_uri)


def _moved(text: str, folder: str, page: str) -> str:
    """Links relative to a folder of the repository, as links from a page of the site."""

    def link(match: re.Match[str]) -> str:
        target, _, anchor = match[2].partition("#")
        path = posixpath.normpath(posixpath.join(folder, target))
        if not (ROOT / path).exists():
            return match[0]  # MkDocs reports it
        uri = path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path)
        if uri is None:
            return f"{match[1]} (`{path}`)"
        if (ROOT / path).is_dir():
            uri = posixpath.join(uri, "README.md")
        relative = posixpath.relpath(uri, posixpath.dirname(page) or ".")
        return f"[{match[1]}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
