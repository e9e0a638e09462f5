"""What the pages for people say can be declared, set and run, can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from fx_assets.calendars import FREQUENCIES
from fx_assets.components.declared import candidate_mistakes
from fx_assets.doors import FEATURE_SETS, SOURCES
from fx_assets.settings import PACKAGED_DECLARATIONS, Settings
from fx_assets.specs import (
    CandidateSpec,
    FeedSpec,
    ForecastSpec,
    GateSpec,
    PromotionRule,
    WalkForwardSpec,
    WatchingSpec,
)
from fx_assets.specs.feed import INGEST_CRONS, INTRADAY_CRONS
from fx_assets.specs.files import load_declared
from fx_assets.specs.sources import SourceSpec
from fx_assets.specs.tuning import TuningSpec
from fx_assets.specs.universe import UniverseSpec

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WITH_EXAMPLES = [ROOT / "README.md", *(DOCS / f"{n}.md" for n in ("declare", "models", "universe"))]
MOST_LINES = 25
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text(page), re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def fields(*specs: type[BaseModel]) -> Iterator[str]:
    for spec in specs:
        yield from spec.model_fields


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_every_declaration_on_a_page_is_well_declared(page: Path, tmp_path: Path) -> None:
    """Examples may name a packaged feed, and stand beside what is packaged."""
    declarations = [block for block in blocks(page) if block.startswith("type:")]
    names = {document["attributes"]["name"] for document in _documents(declarations)}
    for packaged in PACKAGED_DECLARATIONS.rglob("defs.yaml"):
        if not names & {d["attributes"]["name"] for d in _documents([text(packaged)])}:
            folder = tmp_path / packaged.parent.relative_to(PACKAGED_DECLARATIONS)
            folder.mkdir(parents=True)
            (folder / "defs.yaml").write_text(text(packaged))
    for number, block in enumerate(declarations):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "defs.yaml").write_text(block)
        assert len(block.splitlines()) <= MOST_LINES, block
    found = load_declared(tmp_path, candidate_mistakes)
    terms = {spec.term for spec in found.forecasts.values()}
    assert names <= {*found.feeds, *found.forecasts, *found.universes, *terms}


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_every_part_of_a_declaration_on_a_page_is_valid(page: Path) -> None:
    for block in blocks(page):
        if block.startswith("type:"):
            continue
        part: dict[str, Any] = yaml.safe_load(block)
        assert set(part) <= {"gate", "candidates"}, f"{name(page)} has an example that is not read"
        GateSpec.model_validate(part.get("gate", {}))
        for candidate in part.get("candidates", []):
            CandidateSpec.model_validate(candidate)


def test_the_page_about_declaring_names_every_setting() -> None:
    page = text(DOCS / "declare.md")
    universe = text(DOCS / "universe.md")
    feeds_and_forecasts = fields(
        FeedSpec, ForecastSpec, GateSpec, WalkForwardSpec, PromotionRule, CandidateSpec
    )
    more = fields(TuningSpec, WatchingSpec, *_rules(WatchingSpec))
    ours = {*feeds_and_forecasts, *more}
    assert [field for field in sorted(ours) if not re.search(rf"\b{field}\b", page)] == []
    missing = [field for field in UniverseSpec.model_fields if field not in page + universe]
    assert missing == []


def test_the_page_about_declaring_has_the_defaults_of_the_code() -> None:
    page = text(DOCS / "declare.md")
    for cron in (*INGEST_CRONS.values(), INTRADAY_CRONS["1h"], INTRADAY_CRONS["4h"]):
        assert f"`{cron}`" in page
    for value in (*FREQUENCIES, *INGEST_CRONS, *FEATURE_SETS):
        assert f"`{value}`" in page


def test_the_table_of_sources_has_every_kind_with_its_bars_and_its_key() -> None:
    page = text(DOCS / "sources" / "README.md").partition("\n## ")[0]
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| `(\w+)` \| (.+?) \| .+? \| (.+?) \|", page, re.M)
    }
    frequencies = {_kind(source): source.frequencies for source in _sources()}
    assert set(rows) == set(frequencies)
    for kind, (bars, key) in rows.items():
        able = frequencies[kind]
        said = "1min to 1d" if able == FREQUENCIES else ", ".join(able)
        assert bars.startswith(said), kind
        assert (f"{kind}_key" in Settings.model_fields) == ("_KEY`" in key), kind
        assert (DOCS / "sources" / f"{kind}.md").is_file()


def test_the_page_about_production_names_every_environment_variable() -> None:
    page = text(DOCS / "production.md")
    absent = [f for f in Settings.model_fields if f"`FX_ASSETS_{f.upper()}`" not in page]
    assert absent == []


def test_every_forecast_that_has_to_be_asked_for_is_among_the_sources() -> None:
    declared = load_declared(PACKAGED_DECLARATIONS)
    asked = [n for n, spec in declared.forecasts.items() if not declared.feeds[spec.feed].automatic]
    assert len(asked) == 5
    for forecast in asked:
        assert f"| `{forecast}` |" in text(DOCS / "sources" / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in (found[0] or found[1] for found in LINK.findall(text(page))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme_or_from_a_table_of_pages() -> None:
    links = {
        (page.parent / (found[0] or found[1]).partition("#")[0]).resolve()
        for page in (ROOT / "README.md", *DOCS.glob("*/README.md"))
        for found in LINK.findall(text(page))
    }
    assert [name(page) for page in PAGES[1:] if page not in links] == []


def _documents(texts: list[str]) -> Iterator[dict[str, Any]]:
    for each in texts:
        yield from (document for document in yaml.safe_load_all(each) if document)


def _rules(spec: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in spec.model_fields.values():
        if isinstance(field.default, BaseModel):
            yield type(field.default)


def _sources() -> tuple[type[SourceSpec], ...]:
    return tuple(SOURCES[name] for name in SOURCES)


def _kind(source: type[BaseModel]) -> str:
    return str(get_args(source.model_fields["kind"].annotation)[0])
