"""A report says what is stored of a forecast, as one file that needs nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fx_assets.cli import main
from fx_assets.lake import Lake
from fx_assets.presentation.chart import Chart
from fx_assets.presentation.markdown import markdown_table
from fx_assets.reporting.document import Picture, Section, page
from fx_assets.reporting.forecast import forecast_sections
from fx_assets.series.tables import SeriesTables
from fx_assets.testing.lakes import hourly_lake

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return hourly_lake.make(tmp_path_factory.mktemp("hourly"))


def test_a_page_needs_no_network_and_takes_no_markup_from_what_it_tells() -> None:
    told = markdown_table(["na|me", "value"], [["<script>alert(1)</script>", "a\nb"]])
    drawn = Picture(Chart("title", (0, 1), (0, 1)).svg(), 'so "quoted"')
    made = page("<b>", [Section("A & B", [told, drawn, "[link](javascript:alert(1))"])], NOW)
    assert "<script" not in made
    assert "<b>" not in made
    assert 'href="javascript' not in made
    assert not re.search(r"""(src|href)=["'](https?:)?//""", made)
    assert "<td>&lt;script&gt;" in made
    assert "<th>na/me</th>" in made
    assert "<td>a b</td>" in made
    assert 'aria-label="so &quot;quoted&quot;"' in made
    assert "Made 2026-11-02 12:00 UTC" in made


@pytest.mark.parametrize("kind", ["volatility", "return"])
def test_an_hourly_forecast_is_told_with_its_hours(hourly: Lake, kind: str) -> None:
    own = SeriesTables(hourly, hourly_lake.SPECS[kind], hourly_lake.FEED)
    sections = {each.title: each for each in forecast_sections(own, hourly_lake.NOW, None)}
    made = page("report", list(sections.values()), NOW)
    (said,) = sections["In short"].parts
    assert isinstance(said, str)
    assert "as of 2026-10-30 18:00, for 2026-10-30 19:00 UTC" in said
    assert "calendar 24x7" in made
    assert "1h of BTCUSD" in made
    pictures = [p for each in sections.values() for p in each.parts if isinstance(p, Picture)]
    captions = [picture.caption for picture in pictures]
    assert ("Predicted and realised volatility, out of sample." in captions) is (
        kind == "volatility"
    )
    (live,) = (part for part in sections["Live, and drift"].parts if "have their outcome" in part)
    outcomes = own.newest(hourly_lake.OUTCOMES)
    count = int((outcomes["mode"] == "live").sum())
    assert count > 24
    assert live.startswith(f"{count} predictions")


def test_what_has_not_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["report", "eurusd_volatility"]) == 0
    assert "Nothing has been predicted yet" in (tmp_path / "eurusd_volatility.html").read_text()
    assert main(["report", "ecb_universe", "--to", "universe.html"]) == 0
    assert "fx-assets universe ecb_universe" in (tmp_path / "universe.html").read_text()
    assert str(tmp_path / "universe.html") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "Declared are btcusd"),
        (["eurusd_return", "--to", "report.docx"], "Name report.html"),
        (["eurusd_return", "--to", "absent/report.html"], "a folder that exists"),
        (["eurusd_return", "--to", "report.pdf"], "report.html and print that"),
    ],
)
def test_what_cannot_be_written_has_a_remedy(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.setattr("fx_assets.reporting.document.BROWSERS", ())
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("report.*"))


@pytest.mark.browser
def test_a_browser_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    if not shutil.which("chromium"):
        pytest.skip("no Chromium is installed")
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["report", "eurusd_return", "--to", "report.pdf"]) == 0
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
