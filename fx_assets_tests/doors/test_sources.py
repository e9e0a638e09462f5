"""A source of a stranger is declared, proved and read; one that is wrong is told why."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

from fx_assets.cli import main
from fx_assets.doors import SOURCES
from fx_assets.errors import SourceError, SpecError
from fx_assets.settings import Settings
from fx_assets.sources import fetch_bars
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import load_declared
from fx_assets.testing import prove, verdicts_of

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
(CODE,) = (
    text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "SourcePlugin" in text
)
FEED = {"name": "ours", "source": {"kind": "house", "file": "bars.csv"}, "calendar": "24x5"}


def broken(found: str) -> list[str]:
    return [verdict.check for verdict in prove(found) if not verdict.holds]


@pytest.mark.slow
def test_the_documentations_source_is_proved(
    plugin: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin(CODE)
    assert main(["prove", "house"]) == 0
    said = capsys.readouterr().out
    assert "source house" in said
    assert "Proved" in said


def test_it_is_declared_with_its_own_settings_and_read(
    plugin: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(CODE)
    monkeypatch.setenv("HOUSE_KEY", "k-1")
    (tmp_path / "bars.csv").write_text("time,close\n2024-01-02T22:00Z,1.1\n2024-01-03T22:00Z,1.2\n")
    feed = FeedSpec.model_validate({**FEED, "start": "2024-01-01"})
    assert feed.source.model_dump() == {"kind": "house", "file": "bars.csv", "instrument": "HOUSE"}
    assert feed.reading == FeedSpec.model_validate(feed.model_dump()).reading
    now = datetime(2024, 1, 3, 12, tzinfo=UTC)
    batch = fetch_bars(feed, Settings(home=tmp_path), now)
    assert batch.bars["close"].tolist() == [1.1]
    assert set(batch.bars["source"]) == {"house"}


def test_a_setting_that_it_does_not_have_is_told_with_those_that_it_has(
    plugin: Callable[[str], Path], tmp_path: Path
) -> None:
    plugin(CODE)
    (tmp_path / "defs").mkdir()
    (tmp_path / "defs" / "defs.yaml").write_text(
        "type: fx_assets.components.PriceFeed\nattributes:\n  name: ours\n  calendar: 24x5\n"
        "  source: {kind: house, flie: bars.csv}\n"
    )
    with pytest.raises(SpecError, match=r"no setting 'flie'\. Did you mean 'file'"):
        load_declared(tmp_path / "defs")


def test_a_kind_that_nobody_offers_and_a_frequency_that_it_lacks_are_refused(
    plugin: Callable[[str], Path],
) -> None:
    plugin(CODE)
    with pytest.raises(ValidationError, match=r"no source 'houze'.*'house'"):
        FeedSpec.model_validate({**FEED, "source": {"kind": "houze"}})
    with pytest.raises(ValidationError, match="house has no bars of 1min; it has 1h, 1d"):
        FeedSpec.model_validate({**FEED, "frequency": "1min"})


@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("return table", "return table.iloc[:1000]", "every bar comes once and as it was"),
        pytest.param(
            "return table",
            "return table.iloc[::-1].tail(900)",
            "every bar comes once and as it was",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "return table",
            'return table.assign(close=table["high"])',
            "every bar comes once",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "utc=True)",
            "utc=True) - pd.Timedelta(1, 'h')",
            "every bar comes once and as it was",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            '"close"})', '"close", "turnover"})', "it says what it is", marks=pytest.mark.slow
        ),
    ],
)
def test_a_fault_in_a_source_is_found(
    right: str, wrong: str, check: str, plugin: Callable[[str], Path]
) -> None:
    assert right in CODE
    plugin(CODE.replace(right, wrong))
    assert any(check in each for each in broken("house"))


def test_a_key_in_an_error_is_blanked_out(
    plugin: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(CODE.replace("table = pd", 'raise RuntimeError(f"no {key}")\n        table = pd'))
    monkeypatch.setenv("HOUSE_KEY", "sesame")
    feed = FeedSpec.model_validate({**FEED, "start": "2024-01-01"})
    with pytest.raises(SourceError, match=r"house failed: RuntimeError: no \(HOUSE_KEY\)") as told:
        fetch_bars(feed, Settings(home=tmp_path), datetime(2024, 1, 3, tzinfo=UTC))
    assert told.value.__cause__ is None
    monkeypatch.delenv("HOUSE_KEY")
    with pytest.raises(SourceError, match="HOUSE_KEY is not set"):
        fetch_bars(feed, Settings(home=tmp_path), datetime(2024, 1, 3, tzinfo=UTC))


def test_a_key_is_blanked_out_as_addresses_and_headers_spell_it(
    plugin: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = 'f"{quote(key)} {quote_plus(key)} {b64encode(key.encode()).decode()}"'
    names = "from base64 import b64encode\nfrom urllib.parse import quote, quote_plus\n"
    failing = CODE.replace("table = pd", f"raise RuntimeError({said})\n        table = pd")
    plugin(names + failing)
    monkeypatch.setenv("HOUSE_KEY", "open sesame&")
    feed = FeedSpec.model_validate({**FEED, "start": "2024-01-01"})
    hidden = r"RuntimeError: \(HOUSE_KEY\) \(HOUSE_KEY\) \(HOUSE_KEY\)"
    with pytest.raises(SourceError, match=hidden):
        fetch_bars(feed, Settings(home=tmp_path), datetime(2024, 1, 3, tzinfo=UTC))


IMPORTS = """\
import random
from datetime import timedelta

from fx_assets.errors import SourceError
"""
LEAKS = """
    def fetch(self, feed, settings, now, cache_dir, wanted):
        try:
            return super().fetch(feed, settings, now, cache_dir, wanted)
        except Exception:
            key = self.secret("HOUSE_KEY")
            raise SourceError(f"bars?key={key} failed", remedy="Try again.") from None
"""
UNFINISHED = """
    def fetch(self, feed, settings, now, cache_dir, wanted):
        later = now + timedelta(days=9)
        return super().fetch(feed, settings, later, cache_dir, Wanted(((wanted.first, later),)))
"""
SHUFFLED = """
    def fetch(self, feed, settings, now, cache_dir, wanted):
        batch = super().fetch(feed, settings, now, cache_dir, wanted)
        batch.bars["close"] += random.random()
        return batch
"""


@pytest.mark.parametrize(
    ("fetch", "check"),
    [
        pytest.param(LEAKS, "a failure is told with what to do", marks=pytest.mark.slow),
        (UNFINISHED, "no unfinished bar is returned"),
        pytest.param(SHUFFLED, "two fetches agree to the last bit", marks=pytest.mark.slow),
    ],
)
def test_a_source_with_a_fetch_of_its_own_is_held_to_the_same(
    fetch: str, check: str, plugin: Callable[[str], Path]
) -> None:
    plugin(f"{IMPORTS}{CODE}{fetch}")
    assert check in broken("house")


AT_ONCE = {"ecb", "files"}
"""Sources that each run proves; CI proves all of ours."""


@pytest.mark.parametrize(
    "name",
    [name if name in AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in SOURCES],
)
def test_ours_are_proved_against_who_speaks_like_their_vendor(name: str) -> None:
    assert [v for v in verdicts_of("source", name) if not v.holds] == []


def test_what_the_page_says_tests_are_made_of_can_be_imported() -> None:
    table = PAGE.partition("## What tests are made of")[2]
    rows = re.findall(r"^\| (`.+?) \|", table, re.M)
    names = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    assert {"worlds", "vendors.apis", "lakes"} <= set(names)
    for name in names:
        import_module(f"fx_assets.testing.{name}")
