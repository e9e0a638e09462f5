"""What a person is told about mistakes in declared files: all of them, with file and line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_schedule, schedule_execution_time_iterator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fx_assets.calendars import calendar
from fx_assets.components.declared import candidate_mistakes, declared
from fx_assets.doors import FEATURE_SETS
from fx_assets.errors import FxAssetsError, SpecError
from fx_assets.features import build_features
from fx_assets.settings import Settings
from fx_assets.specs import FeedSpec
from fx_assets.specs.files import Declared, load_declared
from fx_assets.testing import worlds

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: eurusd
  source: {kind: ecb, quote: USD}
"""
UNIVERSE = """\
type: fx_assets.components.Universe
attributes:
  name: all
  source: {kind: ecb}
  targets: [{kind: direction, candidates: [persistence]}]
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
    noun = "mistake" if len(lines) == 1 else "mistakes"
    assert head == f"{len(lines)} {noun} in the declared feeds and forecasts:"
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
        *("b_forecast", "c_broken", "d_kind"),
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
        ("feed: eurusd", "feed: eurusdd", 4, "no feed 'eurusdd'. Did you mean 'eurusd'?"),
        ("kind: direction", "kind: level", 5, "choose one of direction, return, volatility"),
        ("[persistence]", "[garch]", 6, "garch does not predict direction; choose one of"),
        ("[persistence]", "[persistance]", 6, "no family 'persistance'; choose one of"),
        ("[persistence]", "[persistence, persistence]", 2, "candidates named twice"),
        ("[persistence]", "[]", 6, "at least 1 item"),
        ("feed: eurusd", "feed: eurusd\n  features: fx_open", 5, "choose one of fx_close"),
        ("feed: eurusd", "feed: eurusd\n  promotion: {min_rows: 10}", 5, "at least 1000"),
        ("feed: eurusd", "feed: eurusd\n  walk_forward: {purge: 0}", 2, "below the horizon"),
        ("feed: eurusd", "feed: eurusd\n  quantiles: [0.1]", 5, "is its whole distribution"),
        ("feed: eurusd", "feed: eurusd\n  distribution: true", 5, "is its whole distribution"),
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


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        ("return", "quantiles: [0.9, 0.1]", "ascending"),
        ("return", "quantiles: []", "ascending"),
        ("return", "quantiles: [0.0, 0.5]", "between 0.001 and 0.999"),
        ("return", "distribution: normal", "garch_t"),
        ("volatility", "distribution: garch_t", "choose conformal"),
    ],
)
def test_a_distribution_that_cannot_be_names_its_line_and_what_can(
    tmp_path: Path, kind: str, line: str, said: str
) -> None:
    family = "historical_mean" if kind == "return" else "ewma"
    text = FORECAST.replace("direction}", f"{kind}}}").replace("[persistence]", f"[{family}]")
    found = mistakes(write(tmp_path, feed=FEED, forecast=text.rstrip() + f"\n  {line}\n"))
    assert any(said in one for one in found), found
    last = len(text.rstrip().splitlines()) + 1
    assert all(one.startswith(f"forecast/defs.yaml:{last}: ") for one in found)


def test_a_name_that_is_used_twice_names_both_places(tmp_path: Path) -> None:
    (named,) = mistakes(write(tmp_path, one=FEED, two=FEED))
    assert named.startswith("two/defs.yaml:1: 'eurusd' is already declared at ")
    assert named.endswith("one/defs.yaml:1")


@pytest.mark.parametrize("name", ["defs.yml", "Defs.yaml", "def.yaml", "feed.yaml", "defs.YAML"])
def test_a_declaration_in_a_file_of_another_name_is_a_mistake(tmp_path: Path, name: str) -> None:
    write(tmp_path, feed=FEED, other="")
    (tmp_path / "other" / "defs.yaml").unlink()
    (tmp_path / "other" / name).write_text(FORECAST)
    (named,) = mistakes(tmp_path)
    assert named == f"other/{name}: is not read; rename it to defs.yaml, in a folder of its own"


def test_other_yaml_files_and_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, feed=FEED)
    (tmp_path / "feed" / "notes.yaml").write_text("remember: the milk\n")
    write(tmp_path / ".ipynb_checkpoints", feed=FEED)
    assert set(load_declared(tmp_path).feeds) == {"eurusd"}


def test_a_declaration_below_another_one_is_not_read_by_dagster_and_is_a_mistake(
    tmp_path: Path,
) -> None:
    write(write(tmp_path, feed=FEED) / "feed", forecast=FORECAST)
    (named,) = mistakes(tmp_path)
    assert named.startswith("feed/forecast/defs.yaml: is not read, because ")


def _of(kind: str, name: str) -> str:
    return {"feed": FEED, "forecast": FORECAST, "universe": UNIVERSE}[kind].replace(
        {"feed": "name: eurusd", "forecast": "name: direction", "universe": "name: all"}[kind],
        f"name: {name}",
    )


@pytest.mark.parametrize(
    ("one", "two"), [("feed", "forecast"), ("feed", "universe"), ("forecast", "universe")]
)
def test_a_feed_a_forecast_and_a_universe_cannot_share_a_name(
    tmp_path: Path, one: str, two: str
) -> None:
    texts = {"a": _of(one, "eurusd"), "b": _of(two, "eurusd")}
    if "feed" not in (one, two):
        texts["c"] = FEED.replace("name: eurusd", "name: fixings")
        texts = {k: v.replace("feed: eurusd", "feed: fixings") for k, v in texts.items()}
    (named,) = mistakes(write(tmp_path, **texts))
    assert named.startswith(f"b/defs.yaml:1: 'eurusd' is already a {one}, declared at ")
    assert named.endswith(f"a/defs.yaml:1; give the {two} another name")


@pytest.mark.parametrize(
    ("old", "new", "line", "first", "key"),
    [
        ("  source", "  name: eurgbp\n  source", 4, 3, "name"),
        ("quote: USD", "quote: USD, quote: GBP", 4, 4, "quote"),
        (
            "  source",
            "  gate: {jumps: {limit: 3}}\n  start: 2001-01-01\n  gate: {}\n  source",
            6,
            4,
            "gate",
        ),
        ("attributes", "type: x\nattributes", 2, 1, "type"),
    ],
)
def test_a_key_that_is_given_twice_is_a_mistake_with_both_lines(
    tmp_path: Path, old: str, new: str, line: int, first: int, key: str
) -> None:
    found = mistakes(write(tmp_path, feed=FEED.replace(old, new)))
    assert f"feed/defs.yaml:{line}: {key!r} is given on line {first} already" in found


FIELDS = ["*", "0", "5", "12", "23", "31", "59", "60", "7", "8", "1-5", "*/5", "*/0", "3/4"]
FIELDS += ["mon", "fri-mon", "sat-sun", "feb", "28-31", "L"]
JUNK = {
    "soon": "five fields",
    "* * * *": "this has 4",
    "0 0 0 * * *": "this has 6",
    "60 * * * *": "'60' is no minute; use 0 to 59",
    "0 24 * * *": "'24' is no hour",
    "0 0 31 2 *": "would never come",
    "0 0 31 4,6 *": "would never come",
    "0 0 * * 8": "'8' is no day of the week; use 0 to 7 or sun, mon",
    "0 0 * jam *": "'jam' is no month",
    "*/0 * * * *": "is no range",
    "0 0 5-1 * *": "is no range",
    "@often": "@daily",
    "1,,2 * * * *": "'' is no minute",
}


@pytest.mark.parametrize("cron", sorted(JUNK))
@pytest.mark.parametrize(("kind", "key"), [("feed", "ingest_cron"), ("forecast", "retrain_cron")])
def test_a_schedule_that_never_comes_is_a_mistake(
    tmp_path: Path, cron: str, kind: str, key: str
) -> None:
    texts = {"feed": FEED, "forecast": FORECAST}
    texts[kind] += f"  {key}: '{cron}'\n"
    (named,) = mistakes(write(tmp_path, **texts))
    line = texts[kind].count("\n")
    assert named.startswith(f"{kind}/defs.yaml:{line}: {key}: ")
    assert JUNK[cron] in named
    assert f"(found {cron!r})" in named


@given(
    st.lists(
        st.lists(
            st.sampled_from(FIELDS),
            min_size=1,
            max_size=2,
        ).map(",".join),
        min_size=4,
        max_size=6,
    ).map(" ".join)
)
def test_what_is_accepted_as_a_schedule_dagster_accepts(cron: str) -> None:
    try:
        FeedSpec.model_validate(
            {"name": "f", "source": {"kind": "ecb", "quote": "USD"}, "ingest_cron": cron}
        )
    except ValidationError:
        return
    assert is_valid_cron_schedule(cron)


@given(
    st.times().map(lambda t: f"{t:%H:%M}"),
    st.sampled_from([0, 35, 90, 60 * 24, 60 * 40]),
    st.sampled_from(["24x5", "24x7"]),
)
def test_every_day_close_has_a_schedule_soon_after_it(
    close: str, delay: int, calendar: str
) -> None:
    feed = FeedSpec.model_validate(
        {
            "name": "f",
            "source": {"kind": "simulated"},
            "calendar": calendar,
            "day_close": f"{close} UTC",
            "delay_minutes": delay,
        }
    )
    assert is_valid_cron_schedule(feed.ingest_cron)
    friday = datetime(2024, 3, 8, tzinfo=UTC)
    closed = feed.market.available_at(friday.date())
    following = schedule_execution_time_iterator(closed.timestamp(), feed.ingest_cron, "UTC", False)
    assert next(following) - closed <= timedelta(minutes=11)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FEED.encode("utf-16"), ": is UTF-16, not UTF-8: save the file as UTF-8"),
        (FEED.encode("utf-16-be"), ":1: has a zero byte"),
        (FEED.encode("utf-32"), ": is UTF-16, not UTF-8"),
        (
            FEED.replace("  source", "  description: Währung\n  source").encode("latin-1"),
            ":4: byte 0xe4 is not UTF-8 (in Latin-1 it is 'ä'): save the file as UTF-8",
        ),
        (FEED.replace("  name", "\tname").encode(), ":3: not valid YAML: found character"),
        (FEED.replace("  name", "\tname").encode(), "; indent with blanks instead of tabs"),
        (FEED.replace("name", "na\x07me").encode(), ":3: not valid YAML: the character U+0007"),
        (FEED.encode() + b"  start: 2021-02-30\n", ":5: '2021-02-30' cannot be read: day is out"),
        (b"", ": declares nothing; fill it or remove it"),
        (b"# nothing\n", ": declares nothing"),
        (b"- a\n- b\n", ":1: type: no component type None"),
        (b"type: [fx]\n", ":1: type: no component type ['fx']"),
        (b"a: &a [*a]\n", ":1: type: no component type None"),
        (FEED.replace("attributes", "atributes").encode(), ":2: atributes: no setting 'atributes'"),
        (b"\xef\xbb\xbf" + FEED.replace("USD", "usd").encode(), ":4: source.quote: String should"),
    ],
)
def test_a_file_that_is_no_yaml_of_ours_is_explained(
    tmp_path: Path, content: bytes, said: str
) -> None:
    write(tmp_path, feed=FEED.replace("name: eurusd", "name: other"), bad="")
    (tmp_path / "bad" / "defs.yaml").write_bytes(content)
    assert any(line.startswith("bad/defs.yaml") and said in line for line in mistakes(tmp_path))


def test_a_file_with_a_byte_order_mark_and_windows_lines_is_read(tmp_path: Path) -> None:
    write(tmp_path, feed="")
    text = FEED.replace("\n", "\r\n").encode("utf-8-sig")
    (tmp_path / "feed" / "defs.yaml").write_bytes(text)
    assert set(load_declared(tmp_path).feeds) == {"eurusd"}


def test_a_file_that_cannot_be_opened_is_a_mistake_and_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path, feed=FEED.replace("quote", "qoute"), gone="")
    (tmp_path / "gone" / "defs.yaml").unlink()
    (tmp_path / "gone" / "defs.yaml").symlink_to(tmp_path / "nowhere")
    found = mistakes(tmp_path)
    assert "gone/defs.yaml: cannot be read: No such file or directory; let this" in found[-1]
    assert any("qoute" in line for line in found)


@pytest.mark.parametrize(
    ("source", "features", "said"),
    [
        ("{kind: ecb, quote: USD}", "ohlc", "ohlc reads open, high and low, and the bars of"),
        (
            "{kind: ecb, quote: USD}",
            "ohlcv",
            "(ecb) have close only; choose one of fx_close",
        ),
        ("{kind: frankfurter, quote: USD}", "price_cap_volume", "reads volume and market_cap"),
        ("{kind: coingecko, coin: btc, instrument: BTCUSD}", "ohlc", "fx_close, price_cap_volume"),
        (
            "{kind: files, path: x, format: coingecko, instrument: BTCUSD}",
            "ohlcv",
            "(files) have close, market_cap and volume only",
        ),
        ("{kind: ccxt, exchange: kraken, symbol: BTC/USD}", "price_cap_volume", "reads market_cap"),
    ],
)
def test_features_of_columns_that_a_feed_cannot_have_are_a_mistake(
    tmp_path: Path, source: str, features: str, said: str
) -> None:
    feed = FEED.replace("{kind: ecb, quote: USD}", source)
    if "ecb" not in source and "frankfurter" not in source:
        feed += "  calendar: 24x7\n"
    (named,) = mistakes(write(tmp_path, feed=feed, forecast=FORECAST + f"  features: {features}\n"))
    assert named.startswith("forecast/defs.yaml:7: features: ")
    assert said in named


def test_daily_features_on_hourly_bars_are_a_mistake(tmp_path: Path) -> None:
    source = "{kind: ccxt, exchange: kraken, symbol: BTC/USD}\n  calendar: 24x7\n  frequency: 1h"
    feed = FEED.replace("{kind: ecb, quote: USD}", source)
    (named,) = mistakes(write(tmp_path, feed=feed, forecast=FORECAST))
    assert named == (
        "forecast/defs.yaml:2: features: fx_close is not for bars of 1h, which eurusd has; "
        "choose one of ohlc, ohlcv"
    )


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_a_feature_set_reads_the_columns_that_it_says_it_reads(name: str) -> None:
    bars = worlds.random_walk(900, 1)
    columns = dict.fromkeys(("open", "high", "low", "volume", "market_cap"), bars["close"])
    whole = bars.assign(**columns)
    needed = [column for column in FEATURE_SETS[name].reads if column != "close"]
    enough = whole.drop(columns=[c for c in columns if c not in needed])
    build_features(enough, name, calendar("target"))
    for column in needed:
        with pytest.raises(FxAssetsError, match=column.replace("_", ".")):
            build_features(enough.drop(columns=column), name, calendar("target"))


def test_a_feed_that_begins_in_the_future_is_a_mistake(tmp_path: Path) -> None:
    (named,) = mistakes(write(tmp_path, feed=FEED + "  start: 2999-01-01\n"))
    assert named.startswith("feed/defs.yaml:5: start: 2999-01-01 lies in the future")


def test_a_folder_without_declarations_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Nothing is declared below") as error:
        load_declared(tmp_path)
    assert "fx-assets import" in error.value.remedy
    assert "FX_ASSETS_DECLARED" in error.value.remedy
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="it is a file, not a folder"):
        load_declared(tmp_path / "file")


def test_several_documents_in_one_file_are_each_read(tmp_path: Path) -> None:
    text = FEED + "---\n" + FORECAST.replace("kind: direction", "kind: level")
    (named,) = mistakes(write(tmp_path, both=text))
    assert named.startswith("both/defs.yaml:10: target.kind")


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"There is no folder .*nowhere"):
        load_declared(tmp_path / "nowhere")
