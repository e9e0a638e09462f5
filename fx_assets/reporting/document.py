"""A report as one HTML file that needs nothing else: no script, no font, no network.

Texts are Markdown, whose HTML is escaped, so that no name of a file or a source can add any.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from markdown_it import MarkdownIt

from fx_assets.errors import FxAssetsError
from fx_assets.presentation.markdown import markdown_table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Programs that print a page as PDF; the first that is found does."""
PRINT_SECONDS = 120
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;color:#222;margin:32px auto;max-width:1000px;padding:0 16px}
h1{font-size:24px;margin-bottom:4px}h2{font-size:18px;margin:32px 0 8px;break-after:avoid}
h3{font-size:15px;margin:20px 0 4px;break-after:avoid}
table{border-collapse:collapse;font-size:12px;margin:8px 0}
td,th{padding:3px 10px 3px 0;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
tr,figure{break-inside:avoid}figure{margin:12px 0}svg{max-width:100%;height:auto}
.wide{overflow-x:auto}.made,figcaption{color:#666;font-size:12px}nav a{margin-right:14px}
code{font-size:12px;overflow-wrap:anywhere}a{color:#0072B2}
@page{size:A4;margin:14mm}
@media print{body{margin:0;max-width:none;font-size:11px}table,code{font-size:9px}nav{display:none}
td,th{padding-right:6px;overflow-wrap:anywhere}}
"""


@dataclass(frozen=True)
class Picture:
    """An SVG document, and what it shows for those who cannot see it."""

    svg: str
    caption: str


Part: TypeAlias = str | Picture
"""Markdown, or a picture."""


@dataclass(frozen=True)
class Section:
    """A part of a report with its title; of a ``level`` of 1 a chapter, of 2 a part of one."""

    title: str
    parts: Sequence[Part]
    level: int = 2


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Pairs of a name and a text, without those whose text is empty."""
    return markdown_table(["", ""], [pair for pair in pairs if str(pair[1])])


def page(title: str, sections: Sequence[Section], made_at: datetime) -> str:
    """The report as HTML.

    Parameters
    ----------
    made_at
        When it was made (UTC).
    """
    links = "".join(
        f'<a href="#s{k}">{html.escape(section.title)}</a>' for k, section in enumerate(sections)
    )
    body = "".join(_section(k, section) for k, section in enumerate(sections))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        f'</title><meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>"
        f'<p class="made">Made {made_at:%Y-%m-%d %H:%M} UTC by fx-assets.</p>'
        f"<nav>{links}</nav>{body}</body></html>"
    )


def print_as_pdf(text: str, target: Path) -> None:
    """Print a page by a browser that is installed.

    Raises
    ------
    FxAssetsError
        None is installed, or it fails.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise FxAssetsError(
            f"{target} is to be a PDF, and no browser was found that prints one.",
            remedy=f"Install Chromium, or name {target.with_suffix('.html')} and print that.",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(text)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        command += [f"--user-data-dir={folder}/browser", f"--print-to-pdf={made}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PRINT_SECONDS, check=False)
            failed = done.stderr.decode(errors="replace")[-500:]
        except (OSError, subprocess.TimeoutExpired) as error:
            failed = str(error)
        if not made.is_file():
            raise FxAssetsError(
                f"{browser} did not print {target}: {failed}",
                remedy=f"Name {target.with_suffix('.html')} and print that.",
            )
        shutil.copy(made, target)


def _section(number: int, section: Section) -> str:
    parts = "".join(_part(part) for part in section.parts)
    tag = f"h{section.level}"
    title = f'<{tag} id="s{number}">{html.escape(section.title)}</{tag}>'
    return f"<section>{title}{parts}</section>"


def _part(part: Part) -> str:
    if isinstance(part, Picture):
        caption = html.escape(part.caption)
        drawn = part.svg.replace("<svg ", f'<svg role="img" aria-label="{caption}" ', 1)
        return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"
    made: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(part)
    return made.replace("<table>", '<div class="wide"><table>').replace(
        "</table>", "</table></div>"
    )
