"""A report of a platform that has run: its figures are those of the tables."""

from __future__ import annotations

from fx_assets.reporting.document import Picture, page
from fx_assets.reporting.forecast import forecast_sections
from fx_assets.series.tables import SeriesTables
from fx_assets.tables import QUALITY
from fx_assets_tests.assets.conftest import Started


def test_a_report_tells_how_a_forecast_was_judged(first_evening: Started) -> None:
    platform = first_evening.platform
    (spec,), (feed,) = platform.forecasts, platform.feeds
    own = SeriesTables(platform.lake, spec, feed)
    decision = own.ledger()[-1]
    sections = {each.title: each for each in forecast_sections(own, decision.decided_at, None)}
    judged = "\n".join(
        part for part in sections["How it was judged"].parts if isinstance(part, str)
    )
    for row in decision.statistics:
        assert f"{row.candidate} | {row.loss:.6g} |" in judged.replace("*", "")
    assert f"the same {decision.rows:,} rows" in judged
    assert decision.row_hash in judged
    assert decision.sentence in "\n".join(map(str, sections["Decisions"].parts))
    bars = platform.lake.read("prices", feed.name)
    (drawn, *_) = (part for part in sections["Data"].parts if isinstance(part, Picture))
    assert f"{len(bars):,} bars" in drawn.caption
    batches = platform.lake.read(QUALITY.name, feed.name)["batch"].nunique()
    assert f"Batches that were checked: {batches:,}." in "\n".join(map(str, sections["Data"].parts))
    made = page("report", list(sections.values()), decision.decided_at)
    assert decision.recipe in made
    assert f"fx-assets verify {spec.name}" in made
