"""How the page's files are served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fx_assets_tests.serving_page.conftest import Site
from serving.routes.page import FOLDER, read_assets


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(site: Site) -> None:
    answer = site.get("/")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)
    linked = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert {url for url in linked if ":" in url} == {"https://www.tradingview.com/"}


def test_files_are_kept_for_good_and_the_page_is_asked_for_again(site: Site) -> None:
    page = site.get("/")
    assert page.headers["cache-control"] == "no-cache"
    again = site.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    path = "/" + re.findall(r'src="([^"]+app\.js)"', page.text)[0]
    script = site.get(path)
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-encoding"] == "gzip"
    assert script.content == (FOLDER / "app.js").read_bytes()
    plain = site.get(path, headers={"accept-encoding": "identity"})
    assert plain.content == script.content
    assert "content-encoding" not in plain.headers


def test_the_address_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("{static}")
    (tmp_path / "app.js").write_text("1")
    before, assets = read_assets(tmp_path)
    assert assets["index.html"].plain == f"static/{before}".encode()
    (tmp_path / "app.js").write_text("2")
    assert read_assets(tmp_path)[0] != before


@pytest.mark.parametrize(
    "path", ["nothing.js", "..%2f..%2fpage.py", "%2fetc%2fpasswd", "../../settings.py"]
)
def test_nothing_but_the_files_is_served(site: Site, path: str) -> None:
    release = read_assets()[0]
    answer = site.get(f"/static/{release}/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert site.get("/static/older/app.js").status_code == 404


def test_the_chart_librarys_maker_and_licence_are_named(site: Site) -> None:
    page = site.get("/").text
    notice = (FOLDER / "vendor" / "lightweight-charts.NOTICE").read_text(encoding="utf-8")
    assert all(line.split(" https")[0] in page for line in notice.splitlines())
    licence = re.findall(r'href="([^"]+LICENSE)"', page)[0]
    assert "Apache License" in site.get(f"/{licence}").text
