"""A universe of hours: what is found, issued, weighed and demoted is as in a forecast."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fx_assets.evaluation.claim import Claim
from fx_assets.evaluation.decision import Decision
from fx_assets.evaluation.evidence import Evidence
from fx_assets.evaluation.family import decide_family
from fx_assets.evaluation.promotion import decide
from fx_assets.evaluation.universe import walk_universe
from fx_assets.evaluation.universe_members import membership
from fx_assets.evaluation.universe_skill import baseline_evidence, judgeable_rows, skill_of
from fx_assets.lake import Lake
from fx_assets.series.tables import SeriesTables
from fx_assets.specs.universe import UniverseTarget
from fx_assets.stages.panel_issue import issue_panel
from fx_assets.stages.score import score_panel
from fx_assets.stages.shadow import weigh_candidates
from fx_assets.tables import BACKTEST, SHADOW_PREDICTIONS
from fx_assets.testing.markets import market
from fx_assets.testing.worlds import ANYTHING_IS_PLAUSIBLE
from fx_assets_tests.universe.helpers import issued, prices_of, universe

KNOWN, COIN = "AAAUSD", "BBBUSD"
HOURS, LIVE = 1900, 3
SPEC = universe(
    name="hours",
    source={"kind": "simulated"},
    instruments=[KNOWN, COIN],
    calendar="24x7",
    frequency="1h",
    features="ohlc",
    start="2021-03-01",
    membership={"min_history": 300, "max_missed": 10, "peg_window": 60},
    targets=[
        {"kind": "direction", "candidates": ["persistence"]},
        {"kind": "volatility", "candidates": ["ewma"]},
    ],
    walk_forward={"first_test": "2021-03-01", "min_train": 200, "refit_every": 504},
    min_rows=250,
    suspicion=ANYTHING_IS_PLAUSIBLE,
    workers=1,
)
KINDS = ("direction", "volatility")


def hourly(returns: np.ndarray) -> pd.DataFrame:
    """Bars of these log returns, hour by hour."""
    hours = market("1h")
    closes = hours.closes(SPEC.start, SPEC.start + timedelta(days=len(returns) // 24 + 2))
    times = pd.DatetimeIndex(closes[: len(returns)]).tz_localize("UTC").as_unit("us")
    close = 100 * np.exp(np.cumsum(returns))
    opens = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "event_time": times,
            "available_at": times,
            "open": opens,
            "high": np.maximum(opens, close) * 1.0001,
            "low": np.minimum(opens, close) / 1.0001,
            "close": close,
            "volume": np.nan,
            "market_cap": np.nan,
            "source": "simulated",
            "ingested_at": times,
            "payload": "",
        }
    )


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """An instrument whose returns and volatility persist, and one of pure chance."""
    rng, n = np.random.default_rng(5), HOURS
    noise = rng.standard_normal((2, n))
    level = np.exp(1.2 * np.sin(2 * np.pi * np.arange(n) / 200))
    persistent = np.zeros(n)
    for i in range(1, n):
        persistent[i] = 0.5 * persistent[i - 1] + np.sqrt(0.75) * noise[0, i]
    return prices_of({KNOWN: hourly(0.002 * level * persistent), COIN: hourly(0.002 * noise[1])})


@pytest.fixture(scope="module")
def rows(prices: pd.DataFrame) -> pd.DataFrame:
    """Walk-forward rows of all bars."""
    known = membership(prices, SPEC.membership, SPEC.market)
    return walk_universe(SPEC, prices, known, pd.DataFrame())


@pytest.fixture(scope="module")
def judged(prices: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return judgeable_rows(SPEC, rows, membership(prices, SPEC.membership, SPEC.market))


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory, prices: pd.DataFrame, rows: pd.DataFrame
) -> Lake:
    """The universe after some hours, of which each but the newest has its outcome."""
    root, times = tmp_path_factory.mktemp("hours"), np.sort(prices["event_time"].unique())
    first = times[-LIVE - 1]
    past = rows[rows["event_time"] <= first]
    past = past.assign(target=past["target"].where(past["label_available_at"] <= first))
    before = prices[prices["event_time"] <= first]
    issued(root, SPEC, before, past, before["available_at"].max().to_pydatetime())
    lake = Lake(str(root))
    readings = {name: SPEC.feed(name).reading for name in (KNOWN, COIN)}
    for hour in times[-LIVE:]:
        bar = prices[prices["event_time"] == hour]
        lake.append("raw_prices", SPEC.name, bar.assign(reading=bar["instrument"].map(readings)))
        lake.append("prices", SPEC.name, bar)
        now = bar["available_at"].max().to_pydatetime() + timedelta(minutes=2)
        assert issue_panel(SPEC, lake, [KNOWN, COIN], now).unshadowed == {}
        assert score_panel(SPEC, lake, [KNOWN, COIN]) == 4
    return lake


def test_planted_signals_are_found_and_none_where_there_is_none(judged: pd.DataFrame) -> None:
    table = skill_of(SPEC, judged).set_index(["instrument", "kind"])
    assert table["may_predict"].to_dict() == {
        (name, kind): name == KNOWN for name in (KNOWN, COIN) for kind in KINDS
    }
    assert table["verdict"][KNOWN, "direction"] == "demonstrated"
    assert table["verdict"][KNOWN, "volatility"] == "not demonstrated", "it is the reference itself"
    assert set(judged["candidate"]) == {"persistence", "ewma", "ewma_reference_2"}
    worse = judged.assign(
        prediction=judged["prediction"].where(judged["candidate"] != "ewma", judged["baseline"])
    )
    told = skill_of(SPEC, worse).set_index(["instrument", "kind"])
    claim = Claim.model_validate_json(told["claim"][KNOWN, "volatility"])
    assert claim.reference.benchmark.endswith("a quarter the same hour's mean)"), "the best of two"


@pytest.mark.slow
def test_every_hour_is_said_and_counted_once(lived: Lake) -> None:
    said = lived.read("predictions", SPEC.name)
    assert (said["mode"] == "live").all()
    assert len(said) == 4 * (LIVE + 1)
    came = lived.read("outcomes", SPEC.name)
    weighed = lived.read("live_evidence", SPEC.name)
    for table in (said, came, lived.read("shadow_predictions", SPEC.name)):
        names = ["instrument", "kind", *({"candidate"} & set(table)), "event_time"]
        recipes = ["recipe"] if "recipe" in table else []
        assert not table.duplicated([*names, *recipes]).any()
    assert (
        weighed.groupby(["instrument", "kind"])["rows"].apply(list).tolist()
        == [list(range(1, LIVE + 1))] * 4
    )
    known = weighed[weighed["scale"].notna()]
    assert len(known)
    assert known["skill"].between(known["skill_lower"], known["skill_upper"]).all()
    now = said["decision_time"].max().to_pydatetime() + timedelta(minutes=3)
    assert issue_panel(SPEC, lived, [KNOWN, COIN], now).new_rows.empty
    assert score_panel(SPEC, lived, [KNOWN, COIN]) == 0
    assert len(lived.read("live_evidence", SPEC.name)) == len(weighed)


@pytest.mark.slow
def test_live_evidence_is_that_of_a_forecast_with_the_same_rows(
    lived: Lake, tmp_path: Path
) -> None:
    weighed = lived.read("live_evidence", SPEC.name)
    for name in (KNOWN, COIN):
        for target in SPEC.targets:
            mine = {"instrument": name, "kind": target.kind}
            own = SeriesTables(
                Lake(str(tmp_path / name / target.kind)),
                SPEC.forecast(name, target),
                SPEC.feed(name),
            )
            own.insert(BACKTEST, _of(lived, "backtest", mine))
            own.insert(SHADOW_PREDICTIONS, _of(lived, "shadow_predictions", mine))
            (alone,) = weigh_candidates(own, _of(lived, "outcomes", mine)).to_dict("records")
            rows = weighed[weighed["instrument"].eq(name) & weighed["kind"].eq(target.kind)]
            member = rows.sort_values("rows").iloc[-1].to_dict()
            assert {key: member[key] for key in alone} == alone


def _of(lake: Lake, table: str, about: dict[str, str]) -> pd.DataFrame:
    found = lake.read(table, SPEC.name)
    for column, value in about.items():
        found = found[found[column] == value]
    return found.drop(columns=["instrument", "kind", "horizon"]).reset_index(drop=True)


def decided(
    judged: pd.DataFrame, target: UniverseTarget, ledger: list[Decision]
) -> Decision | None:
    """What is decided about the instrument that can be forecast."""
    rows = judged[judged["kind"].eq(target.kind)].reset_index(drop=True)
    skill = skill_of(SPEC, rows)
    series = SPEC.series(KNOWN, target).id
    now = rows["label_available_at"].max().to_pydatetime()
    about = {series: (KNOWN, target)}
    return decide_family(SPEC, skill, rows, about, {series: ledger}, (), now).get(series)


@pytest.mark.parametrize("kind", KINDS)
def test_a_champion_falls_as_a_forecasts_does_on_the_same_losses(
    judged: pd.DataFrame, kind: str
) -> None:
    (target,) = (each for each in SPEC.targets if each.kind == kind)
    forecast = SPEC.forecast(KNOWN, target)
    times = np.sort(judged["event_time"].unique())
    early, late = judged["event_time"] <= times[599], judged["event_time"] > times[599]
    first = decided(judged[early], target, [])
    assert first is not None
    assert first.predicts
    assert first.fall is not None
    died = judged.copy()
    wrong = late & died["instrument"].eq(KNOWN) & died["kind"].eq(kind)
    said = died.loc[wrong, "prediction"]
    died.loc[wrong, "prediction"] = 1 - said if kind == "direction" else 50 * said
    member = decided(died, target, [first])
    assert member is not None
    assert (member.verdict, member.ground) == ("demote", "fall")

    mine = died[died["instrument"].eq(KNOWN) & died["kind"].eq(kind)]
    mine = mine[mine["candidate"].eq(first.champion)].reset_index(drop=True)
    evidence = [
        baseline_evidence(forecast, mine),
        Evidence(first.champion, first.recipe, mine),
    ]
    alone = decide(
        forecast, [first], evidence, member.decided_at, member.data_as_of,
        frequency=SPEC.frequency, series=first.series,
    )[-1]  # fmt: skip
    assert (alone.verdict, alone.ground) == ("demote", "fall")
    assert alone.fall == member.fall
    again = decided(died, target, [first.model_copy(update={"fall": None})])
    assert again is not None
    assert again.fall == member.fall, "a limit that is found again is the same"
