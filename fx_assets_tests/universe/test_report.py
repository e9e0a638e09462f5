"""A report of a universe that has run: its members, its tests, what it says."""

from __future__ import annotations

from datetime import UTC, datetime

from fx_assets.reporting.document import Picture
from fx_assets.reporting.universe import universe_sections
from fx_assets.tables import PREDICTIONS, SKILL
from fx_assets_tests.universe.conftest import SPEC, Started


def test_a_report_tells_of_every_member(first_evening: Started) -> None:
    lake = first_evening.platform.lake
    issued = lake.read(PREDICTIONS.name, SPEC.name)
    now = issued["issued_at"].max().to_pydatetime().astimezone(UTC)
    sections = {each.title: each for each in universe_sections(lake, SPEC, now)}
    assert f"{issued['instrument'].nunique()} instruments are members" in str(
        sections["In short"].parts[0]
    )
    says = "\n".join(map(str, sections["What it says"].parts))
    for instrument in issued["instrument"].unique():
        assert f"| {instrument} |" in says
    data = str(sections["Data"].parts[0])
    assert "| EURPEG | pegged |" in data
    assert "| EUROLD | left " in data
    tests = int(lake.read(SKILL.name, SPEC.name)["tests"].max())
    assert f"{tests} tests (Holm)" in str(sections["In short"].parts[0])
    assert any(isinstance(part, Picture) for part in sections["How it was judged"].parts)


def test_a_report_of_before_the_first_run_says_what_to_do(first_evening: Started) -> None:
    other = SPEC.model_copy(update={"name": "another"})
    sections = universe_sections(first_evening.platform.lake, other, datetime.now(UTC))
    assert "fx-assets universe another" in str(sections[0].parts[0])
