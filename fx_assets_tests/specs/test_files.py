"""What a person is told about mistakes in declared files: all of them, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fx_assets.components.declared import candidate_mistakes, declared
from fx_assets.errors import SpecError
from fx_assets.settings import Settings
from fx_assets.specs.files import Declared, load_declared

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  source: {kind: ecb, quote: USD}
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: direction
  feed: eurusd
  target: {kind: direction}
  candidates: [persistence]
"""


def write(folder: Path, **files: str) -> Path:
    """``defs.yaml`` files in subfolders of these names."""
    for name, text in files.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "defs.yaml").write_text(text)
    return folder


def mistakes(folder: Path) -> list[str]:
    """The reported mistakes, with paths relative to the folder."""
    with pytest.raises(SpecError) as error:
        load_declared(folder, candidate_mistakes)
    head, *lines = str(error.value).splitlines()
    assert head == f"{len(lines)} mistake(s) in the declared feeds and forecasts:"
    return [line.strip().removeprefix(f"{folder}/") for line in lines]


def test_what_is_declared_for_real_is_well_declared() -> None:
    found = load_declared(Settings().declared_folder, candidate_mistakes)
    assert {"ecb_eurusd", "ecb_eurgbp", "ecb_gbpusd"} <= set(found.feeds)
    assert found.feeds["ecb_gbpusd"].instrument == "GBPUSD"
    assert {
        "eurusd_direction",
        "eurusd_return",
        "eurusd_volatility",
        "gbpusd_direction",
    } <= set(found.forecasts)
    assert found.feed_of("gbpusd_direction").instrument == "GBPUSD"


def test_every_declared_file_has_at_most_25_lines() -> None:
    for path in Settings().declared_folder.rglob("*.yaml"):
        assert len(path.read_text().splitlines()) <= 25, path


def test_feeds_and_forecasts_are_found_by_name(tmp_path: Path) -> None:
    found = load_declared(write(tmp_path, feed=FEED, forecast=FORECAST))
    assert isinstance(found, Declared)
    assert found.feed_of("direction").name == "eurusd"


def test_the_folder_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, feed=FEED)
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path))
    assert set(declared().feeds) == {"eurusd"}


def test_all_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_feed=FEED.replace("quote: USD", "qoute: USD"),
        b_forecast=FORECAST.replace("feed: eurusd", "feed: eurusdd"),
        c_broken="type: [unclosed\nattributes:\n",
        d_kind=FEED.replace("PriceFeed", "PriceFed"),
    )
    found = mistakes(tmp_path)
    assert [line.split("/")[0] for line in found] == [
        *("a_feed", "a_feed"),
        *("c_broken", "d_kind", "b_forecast"),
    ]
    assert all(":" in line.split("defs.yaml", 1)[1] for line in found)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("quote: USD", "qoute: USD", 4, "no setting 'qoute'. Did you mean 'quote'?"),
        ("quote: USD", "quote: usd", 4, "'usd'"),
        ("quote: USD", "quote: EUR", 4, "base and quote are both EUR"),
        ("kind: ecb", "kind: yahoo", 4, "'ecb'"),
        ("name: eurusd", "name: EUR-USD", 3, "should match pattern"),
        ("name: eurusd", "nam: eurusd", 3, "no setting 'nam'. Did you mean 'name'?"),
        ("  source", "  gate: {jumps: {severity: loud}}\n  source", 4, "'block', 'warn' or 'off'"),
        ("  source", "  gate: {jmps: {}}\n  source", 4, "no setting 'jmps'. Did you mean 'jumps'?"),
        ("  source", "  calendar: nyse\n  source", 4, "'target'"),
    ],
)
def test_a_mistake_in_a_feed_names_its_line_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    found = mistakes(write(tmp_path, feed=FEED.replace(old, new)))
    (named,) = [text for text in found if said in text]
    assert named.startswith(f"feed/defs.yaml:{line}: ")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("feed: eurusd", "feed: eurusdd", 1, "no feed 'eurusdd'. Did you mean 'eurusd'?"),
        ("kind: direction", "kind: level", 5, "'direction', 'return' or 'volatility'"),
        ("[persistence]", "[garch]", 6, "garch does not predict direction; choose one of"),
        ("[persistence]", "[persistance]", 6, "no family 'persistance'; choose one of"),
        ("[persistence]", "[persistence, persistence]", 2, "candidates named twice"),
        ("[persistence]", "[]", 6, "at least 1 item"),
        ("feed: eurusd", "feed: eurusd\n  features: fx_open", 5, "choose one of fx_close"),
        ("feed: eurusd", "feed: eurusd\n  promotion: {min_rows: 10}", 5, "at least 1000"),
        ("feed: eurusd", "feed: eurusd\n  walk_forward: {purge: 0}", 2, "below the horizon"),
        (
            "[persistence]",
            "\n    - {family: logistic_regression, params: {Q: 1}}",
            7,
            "Q",
        ),
        ("[persistence]", "\n    - {family: xgboost, params: {max_depht: 2}}", 7, "max_depth"),
        ("[persistence]", "\n    - {family: xgboost, params: {max_depth: deep}}", 7, "max_depth"),
        ("[persistence]", "\n    - {family: random_forest, params: {seed: 1}}", 7, "seed"),
    ],
)
def test_a_mistake_in_a_forecast_names_its_line_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    folder = write(tmp_path, feed=FEED, forecast=FORECAST.replace(old, new))
    (named,) = mistakes(folder)
    assert said in named
    assert named.startswith(f"forecast/defs.yaml:{line}: ")


def test_a_name_that_is_used_twice_names_both_places(tmp_path: Path) -> None:
    (named,) = mistakes(write(tmp_path, one=FEED, two=FEED))
    assert named.startswith("two/defs.yaml:1: 'eurusd' is already declared at ")
    assert named.endswith("one/defs.yaml:1")


def test_a_file_that_dagster_would_ignore_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, feed=FEED)
    (tmp_path / "feed" / "defs.yml").write_text(FEED)
    (named,) = mistakes(tmp_path)
    assert named == "feed/defs.yml: is ignored by Dagster; rename it to defs.yaml"


def test_several_documents_in_one_file_are_each_read(tmp_path: Path) -> None:
    text = FEED + "---\n" + FORECAST.replace("kind: direction", "kind: level")
    (named,) = mistakes(write(tmp_path, both=text))
    assert named.startswith("both/defs.yaml:10: target.kind")


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"There is no folder .*nowhere"):
        load_declared(tmp_path / "nowhere")
