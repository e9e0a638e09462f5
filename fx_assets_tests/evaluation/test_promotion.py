from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fx_assets.errors import FxAssetsError, NoChampionError, NotEnoughDataError
from fx_assets.evaluation.decision import Decision, active_champion, ledger_table, read_ledger
from fx_assets.evaluation.evidence import Evidence, pair
from fx_assets.evaluation.promotion import decide
from fx_assets.specs import ForecastSpec
from fx_assets.testing.worlds import ANYTHING_IS_PLAUSIBLE
from fx_assets_tests.evaluation.helpers import forecast

NAMES = ("logistic_regression", "random_forest", "xgboost")
SPEC = forecast(candidates=list(NAMES), suspicion=ANYTHING_IS_PLAUSIBLE)
FIXED = SPEC.model_copy(update={"promotion": SPEC.promotion.model_copy(update={"rule": "fixed"})})
BASELINE = SPEC.baseline.name
START = pd.Timestamp("2010-01-04 14:00", tz="UTC")


class World:
    """Streams of predictions whose skill is known; a week has five rows."""

    def __init__(self, n: int = 3000, seed: int = 0, edge: float = 0.08, stops_at: int = 10**9):
        rng = np.random.default_rng(seed)
        sign = rng.choice([-1.0, 1.0], n)
        lasting = np.arange(n) < stops_at
        times = pd.bdate_range(START, periods=n + 1).as_unit("us")
        self.rows = pd.DataFrame(
            {
                "event_time": times[:-1],
                "label_available_at": times[1:] + pd.Timedelta(hours=2),
                "target": (rng.uniform(size=n) < 0.5 + edge * sign * lasting).astype(float),
                "baseline": 0.5,
            }
        )
        self.says = {
            BASELINE: np.full(n, 0.5),
            "skilled": 0.5 + edge * sign,
            "timid": 0.5 + 0.25 * edge * sign,
            "noise": 0.5 + 0.03 * rng.standard_normal(n),
        }

    def evidence(
        self, streams: dict[str, str], n: int, previous: np.ndarray | None = None
    ) -> list[Evidence]:
        """The baseline and the named streams as candidates, on the first n rows."""
        return [
            Evidence(
                name,
                f"recipe_of_{name}",
                self.rows.head(n).assign(prediction=self.says[stream][:n]),
                previous=None
                if previous is None
                else self.rows[["event_time"]].head(n).assign(prediction=previous[:n]),
            )
            for name, stream in {BASELINE: BASELINE, **streams}.items()
        ]

    def as_of(self, n: int) -> datetime:
        return self.rows["label_available_at"].iloc[n - 1].to_pydatetime()

    def decide(
        self,
        ledger: Sequence[Decision],
        streams: dict[str, str],
        n: int,
        spec: ForecastSpec = SPEC,
        previous: np.ndarray | None = None,
        **arguments: Any,
    ) -> list[Decision]:
        """Decisions a day after the label of the n-th row."""
        as_of = self.as_of(n)
        later = as_of + timedelta(days=1)
        return decide(spec, ledger, self.evidence(streams, n, previous), later, as_of, **arguments)


WORLD = World()
SKILLED = {"logistic_regression": "skilled", "xgboost": "noise"}
NOISE = {"logistic_regression": "noise"}


def with_rule(**rule: Any) -> ForecastSpec:
    return SPEC.model_copy(update={"promotion": SPEC.promotion.model_copy(update=rule)})


def test_the_first_champion_is_the_baseline_and_the_first_look_follows_at_once() -> None:
    first, look = WORLD.decide([], NOISE, 2500)
    assert (first.verdict, first.champion, first.sequence) == ("bootstrap", BASELINE, 0)
    assert not first.looked
    assert (look.verdict, look.champion, look.sequence) == ("keep", BASELINE, 1)
    assert look.looked
    assert "Clark–West p" in look.sentence


def test_planted_skill_is_found_and_promoted_with_its_figures() -> None:
    _, look = WORLD.decide([], SKILLED, 2500)
    assert (look.verdict, look.champion, look.champion_before) == (
        "replace",
        "logistic_regression",
        BASELINE,
    )
    found = look.statistics_of("logistic_regression")
    assert found is not None
    assert found.clark_west_p is not None
    assert found.clark_west_p < found.needed_p == look.thresholds.clark_west_p < 0.025
    assert found.skill == pytest.approx(4 * 0.08**2, abs=0.01)
    assert "logistic_regression: skill +" in look.sentence
    assert look.skill_demonstrated


def test_too_few_rows_never_replace() -> None:
    _, look = WORLD.decide([], SKILLED, 1999)
    assert look.verdict == "keep"
    assert "1,999 rows, needed 2,000" in look.sentence


def test_significance_without_enough_skill_never_replaces() -> None:
    _, look = WORLD.decide([], SKILLED, 2500, with_rule(min_skill=0.2))
    assert look.verdict == "keep"
    assert look.statistics_of("logistic_regression").objections == (
        f"skill {100 * look.statistics_of('logistic_regression').skill:+.2f} %, needed +20.00 %",
    )


def test_looks_come_every_four_weeks_and_count_every_recipe_tried_in_between_once() -> None:
    ledger = WORLD.decide([], NOISE, 2500)
    for n, extra in ((2505, "half"), (2510, "third"), (2515, "half")):
        ledger += WORLD.decide(ledger, {**NOISE, extra: "noise"}, n)
        assert not ledger[-1].looked
        assert ledger[-1].statistics_of(extra).clark_west_p is None
    fixed = [*ledger, *WORLD.decide(ledger, NOISE, 2520, FIXED)]
    assert fixed[-1].looked
    assert fixed[-1].trials == 3
    assert fixed[-1].thresholds.clark_west_p == pytest.approx(0.05 / 3)
    assert WORLD.decide(fixed, NOISE, 2540, FIXED)[-1].trials == 1
    ever = [*ledger, *WORLD.decide(ledger, NOISE, 2520)]
    assert WORLD.decide(ever, NOISE, 2540)[-1].trials == 3


def test_a_tuned_recipe_counts_once_for_each_setting_compared_until_the_next_look() -> None:
    def with_tuned(n: int, tuned: str | None) -> tuple[list[Evidence], datetime]:
        items = WORLD.evidence({**NOISE, "xgboost": "noise"} if tuned else NOISE, n)
        return (
            [replace(item, trials=20) if item.candidate == tuned else item for item in items],
            WORLD.as_of(n),
        )

    ledger: list[Decision] = []
    for n, tuned in ((2500, None), (2505, "xgboost"), (2520, None)):
        items, as_of = with_tuned(n, tuned)
        ledger += decide(FIXED, ledger, items, as_of + timedelta(days=1), as_of)
    assert ledger[-2].tuned == {"recipe_of_xgboost": 20}
    assert ledger[-1].looked
    assert ledger[-1].trials == 21
    assert ledger[-1].thresholds.clark_west_p == pytest.approx(0.05 / 21)
    assert read_ledger(ledger_table(ledger)) == ledger


def test_running_again_on_the_same_data_is_no_new_look() -> None:
    ledger = WORLD.decide([], NOISE, 2500)
    again = WORLD.decide(ledger, NOISE, 2500)
    assert [d.verdict for d in again] == ["keep"]
    assert not again[0].looked
    assert again[0].row_hash == ledger[-1].row_hash


def test_after_a_replacement_no_look_comes_for_thirteen_weeks() -> None:
    ledger = WORLD.decide([], {"xgboost": "timid"}, 2200)
    assert ledger[-1].verdict == "replace"
    both = {"xgboost": "timid", "logistic_regression": "skilled"}
    for n in range(2205, 2265, 5):
        ledger += WORLD.decide(ledger, both, n)
        assert not ledger[-1].looked, n
        assert ledger[-1].champion == "xgboost"
    ledger += WORLD.decide(ledger, both, 2265, FIXED)
    assert ledger[-1].looked
    assert ledger[-1].champion == "logistic_regression"
    assert "Diebold–Mariano p" in ledger[-1].sentence


def test_a_model_is_replaced_by_one_that_beats_it_at_the_level_of_the_look() -> None:
    world = World(edge=0.12)
    both = {"xgboost": "timid", "logistic_regression": "skilled"}
    ledger = world.decide([], {"xgboost": "timid"}, 2200)
    assert ledger[-1].champion == "xgboost"
    look = world.decide(ledger, both, 2265)[-1]
    assert (look.verdict, look.champion) == ("replace", "logistic_regression")
    found = look.statistics_of("logistic_regression")
    assert found.diebold_mariano_p < found.needed_diebold_mariano_p < 0.05
    assert look.boundary_champion.level_of(found.recipe) == found.needed_diebold_mariano_p
    assert any(text.startswith("against the champion, look 1 of 1") for text in look.reasons)


def test_a_model_is_not_replaced_by_one_that_is_not_significantly_better() -> None:
    ledger = WORLD.decide([], {"xgboost": "skilled"}, 2200)
    towards = np.sign(WORLD.rows["target"] - 0.5) * np.random.default_rng(4).choice([-1, 1], 3000)
    WORLD.says["twin"] = WORLD.says["skilled"] + 1e-3 * towards.to_numpy()
    ledger += WORLD.decide(ledger, {"xgboost": "skilled", "random_forest": "twin"}, 2300)
    assert ledger[-1].looked
    assert ledger[-1].champion == "xgboost"
    twin, champion = (ledger[-1].statistics_of(name) for name in ("random_forest", "xgboost"))
    assert twin.loss < champion.loss
    assert any("Diebold–Mariano" in o for o in twin.objections)


@pytest.mark.slow
def test_a_champion_whose_signal_stops_is_demoted_and_stays_away_until_it_proves_itself() -> None:
    world = World(n=3600, seed=1, stops_at=2500)
    ledger = world.decide([], SKILLED, 2500)
    assert ledger[-1].verdict == "replace"
    for n in range(2510, 3500, 10):
        ledger += world.decide(ledger, SKILLED, n)
    demotion = next(d for d in ledger if d.verdict == "demote")
    assert demotion.champion == BASELINE
    assert demotion.starts_cool_down
    assert demotion.statistics_of("logistic_regression").trailing_skill < 0
    assert 0 < demotion.rows - 2500 < 450
    assert all(d.champion == BASELINE for d in ledger[demotion.sequence :])
    last_look = next(d for d in reversed(ledger) if d.looked)
    assert last_look.statistics_of("logistic_regression").clark_west_p < 1e-6
    assert last_look.statistics_of("logistic_regression").return_p > 0.025


def test_a_demoted_recipe_returns_when_it_shows_skill_on_the_rows_after() -> None:
    ledger = champion_ledger()
    fall = ledger[-1].model_copy(
        update={
            "verdict": "demote",
            "champion": BASELINE,
            "recipe": f"recipe_of_{BASELINE}",
            "recipe_before": "recipe_of_logistic_regression",
            "sequence": 2,
        }
    )
    ledger.append(fall)
    early = WORLD.decide(ledger, SKILLED, 2565)[0]
    assert early.looked
    assert early.statistics_of("logistic_regression").return_p is not None
    back = WORLD.decide(ledger, SKILLED, 3000)[0]
    assert (back.verdict, back.champion) == ("replace", "logistic_regression")


def test_a_champion_that_is_no_longer_declared_gives_way_and_a_due_look_follows() -> None:
    ledger = WORLD.decide([], {"xgboost": "timid"}, 2200)
    made = WORLD.decide(ledger, {"logistic_regression": "skilled"}, 2210)
    assert [d.verdict for d in made] == ["demote", "keep"]
    assert "no longer declared" in made[0].sentence
    assert [d.verdict for d in WORLD.decide(ledger, {"random_forest": "skilled"}, 2265)] == [
        "demote",
        "replace",
    ]


def champion_ledger() -> list[Decision]:
    return WORLD.decide([], SKILLED, 2500)


def test_a_refresh_needs_a_loss_that_one_refit_more_does_not_degrade() -> None:
    ledger = champion_ledger()
    same = WORLD.decide(ledger, SKILLED, 2505, previous=WORLD.says["skilled"] + 1e-4)[0]
    assert (same.verdict, same.champion) == ("refresh", "logistic_regression")
    assert same.refresh_upper < 0.02
    assert same.label_end > ledger[-1].label_end
    better_before = np.where(WORLD.rows["target"] > 0, 0.6, 0.4)
    worse = WORLD.decide(ledger, SKILLED, 2505, previous=better_before)[0]
    assert worse.verdict == "keep"
    assert "a refresh might harm" in worse.sentence
    assert worse.refresh_upper > 0.02


def test_what_is_kept_keeps_the_model_in_production() -> None:
    ledger = champion_ledger()
    kept = WORLD.decide(ledger, SKILLED, 2505)[0]
    assert kept.verdict == "keep"
    assert "fewer than 250 rows" in kept.sentence
    assert (kept.label_end, kept.published_at) == (ledger[-1].label_end, ledger[-1].published_at)
    assert kept.data_as_of > ledger[-1].data_as_of
    assert not kept.publishes


def test_stale_data_refresh_nothing() -> None:
    previous = WORLD.says["skilled"]
    kept = WORLD.decide(champion_ledger(), SKILLED, 2505, previous=previous, fresh=False)[0]
    assert kept.verdict == "keep"
    assert "not fresh" in kept.sentence


def test_candidates_are_judged_on_the_rows_that_all_of_them_have() -> None:
    full = WORLD.evidence(SKILLED, 2500)
    short = Evidence("random_forest", "rf", full[1].predictions.iloc[100:2400])
    rows = pair(SPEC.target, [*full, short])
    assert rows.n == 2300
    assert rows.row_hash == pair(SPEC.target, [short]).row_hash
    assert rows.row_hash != pair(SPEC.target, full).row_hash


def test_candidates_that_disagree_on_the_truth_are_refused() -> None:
    evidence = WORLD.evidence(NOISE, 2500)
    wrong = evidence[1].predictions.copy()
    wrong.loc[7, "target"] = 1 - wrong.loc[7, "target"]
    with pytest.raises(FxAssetsError, match="disagree on the target"):
        pair(SPEC.target, [evidence[0], Evidence("xgboost", "x", wrong)])
    with pytest.raises(FxAssetsError, match="not sorted by event_time"):
        pair(SPEC.target, [Evidence("xgboost", "x", wrong.iloc[::-1])])
    with pytest.raises(NotEnoughDataError, match="no row in common"):
        pair(SPEC.target, [evidence[0], Evidence("xgboost", "x", wrong.assign(target=np.nan))])


def test_evidence_without_the_baseline_or_from_the_future_is_refused() -> None:
    evidence, as_of = WORLD.evidence(NOISE, 2500), WORLD.as_of(2500)
    day = timedelta(days=1)
    with pytest.raises(FxAssetsError, match="lacks the baseline"):
        decide(SPEC, [], evidence[1:], as_of + day, as_of)
    with pytest.raises(FxAssetsError, match="the last label"):
        decide(SPEC, [], evidence, as_of + day, as_of - day)
    with pytest.raises(FxAssetsError, match="the newest data"):
        decide(SPEC, [], evidence, as_of - day, as_of)
    with pytest.raises(FxAssetsError, match="the decision before"):
        decide(SPEC, champion_ledger(), evidence, as_of, as_of)


def test_decisions_are_reproducible_and_survive_their_table() -> None:
    ledger = champion_ledger()
    ledger += WORLD.decide(ledger, SKILLED, 2505)
    again = champion_ledger()
    again += WORLD.decide(again, SKILLED, 2505)
    assert ledger == again
    table = ledger_table(ledger)
    assert read_ledger(table.sample(frac=1, random_state=0)) == ledger
    assert ledger_table([]).dtypes.to_dict() == table.dtypes.to_dict()


@pytest.fixture(name="ledger")
def two_weeks() -> list[Decision]:
    """A first look, and a refresh a week later."""
    ledger = champion_ledger()
    return ledger + WORLD.decide(ledger, SKILLED, 2505, previous=WORLD.says["skilled"])


def test_the_champion_of_a_moment_is_that_of_the_last_decision_by_then(
    ledger: list[Decision],
) -> None:
    look, refresh = ledger[1], ledger[2]
    assert active_champion(ledger, refresh.decided_at) == refresh
    assert active_champion(ledger, refresh.decided_at - timedelta(seconds=1)) == look
    assert active_champion(ledger, datetime(2030, 1, 1, tzinfo=UTC)) == refresh


def test_before_the_first_decision_its_champion_serves_while_it_has_seen_nothing_later(
    ledger: list[Decision],
) -> None:
    look = ledger[1]
    assert look.data_as_of < look.decided_at
    assert active_champion(ledger, look.data_as_of) == look
    with pytest.raises(NoChampionError, match="may have seen the outcome") as refused:
        active_champion(ledger, look.data_as_of - timedelta(seconds=1))
    assert f"{look.data_as_of:%Y-%m-%d}" in refused.value.remedy


@pytest.mark.parametrize("days", range(-30, 30, 3))
def test_no_champion_has_seen_a_label_from_after_the_decision_time(
    ledger: list[Decision], days: int
) -> None:
    moment = ledger[0].decided_at + timedelta(days=days)
    try:
        found = active_champion(ledger, moment)
    except NoChampionError:
        assert moment < ledger[0].data_as_of
    else:
        assert max(found.label_end, found.data_as_of) <= moment


def test_an_empty_ledger_has_no_champion() -> None:
    with pytest.raises(NoChampionError, match="ledger of decisions is empty"):
        active_champion([], datetime(2020, 1, 1, tzinfo=UTC))


def test_a_tuned_recipe_on_trial_at_a_look_counts_once_for_each_setting_it_compared() -> None:
    items = WORLD.evidence({**NOISE, "xgboost": "noise"}, 2500)
    items = [replace(i, trials=20) if i.candidate == "xgboost" else i for i in items]
    as_of = WORLD.as_of(2500)
    look, fixed = (
        decide(spec, [], items, as_of + timedelta(days=1), as_of)[-1] for spec in (SPEC, FIXED)
    )
    assert look.trials == fixed.trials == 21
    assert fixed.thresholds.clark_west_p == pytest.approx(0.05 / 21)
    assert 0.01 / 21 < look.thresholds.clark_west_p < 0.04 / 21


def test_a_tuned_recipe_needs_more_evidence_than_one_that_was_tried_once() -> None:
    world = World(n=2500, seed=11, edge=0.035)
    items, as_of = world.evidence({"xgboost": "skilled"}, 2500), world.as_of(2500)
    once = decide(SPEC, [], items, as_of + timedelta(days=1), as_of)[-1]
    assert once.verdict == "replace"
    found = once.statistics_of("xgboost")
    assert found is not None
    assert found.clark_west_p is not None
    settings = int(0.05 / found.clark_west_p) + 1
    tuned = [replace(i, trials=settings) if i.candidate == "xgboost" else i for i in items]
    often = decide(SPEC, [], tuned, as_of + timedelta(days=1), as_of)[-1]
    assert often.verdict == "keep"
    assert "Clark–West" in often.sentence


def test_old_successes_do_not_bring_a_demoted_recipe_back() -> None:
    world, streams = World(n=3000, seed=1), {"logistic_regression": "skilled"}
    came = world.rows["target"].to_numpy()
    world.says["skilled"][2000:2100] = np.where(came[2000:2100] > 0, 0.46, 0.54)
    world.says["skilled"][2100:] = 0.5
    ledger = world.decide([], streams, 2000)
    ledger += world.decide(ledger, streams, 2100)
    assert [d.verdict for d in ledger] == ["bootstrap", "replace", "demote"]
    later = world.decide(ledger, streams, 2900)[-1]
    found = later.statistics_of("logistic_regression")
    assert found is not None
    assert later.looked
    assert found.clark_west_p is not None
    assert found.clark_west_p < later.thresholds.clark_west_p
    assert found.skill > later.thresholds.min_skill
    assert found.trailing_skill >= 0
    assert later.champion == BASELINE
    assert [o for o in found.objections if "after its demotion" in o]


def test_a_challenger_that_lost_lately_is_not_promoted_on_what_it_won_before() -> None:
    world = World(n=2600, seed=9)
    came = world.rows["target"].to_numpy()
    world.says["skilled"][2100:] = np.where(came[2100:] > 0, 0.48, 0.52)
    (lost,) = (
        world.decide([], {"logistic_regression": "skilled"}, 2600)[-1].statistics[1].objections
    )
    assert lost.startswith("as champion it would have been demoted: since ")
    look = world.decide([], {"logistic_regression": "skilled"}, 2600, FIXED)[-1]
    found = look.statistics_of("logistic_regression")
    assert found is not None
    assert found.clark_west_p is not None
    assert found.clark_west_p < look.thresholds.clark_west_p
    assert found.skill > look.thresholds.min_skill
    assert found.trailing_skill < 0
    assert look.verdict == "keep"
    assert found.objections == (
        f"skill {100 * found.trailing_skill:+.2f} % on the newest 500 rows: it would be demoted at "
        "once",
    )


def test_a_lake_of_before_the_sequential_rule_goes_on_and_its_champion_is_watched() -> None:
    ledger = WORLD.decide([], SKILLED, 2500, FIXED)
    assert [d.boundary for d in ledger] == [None, None]
    old = [
        Decision.model_validate(
            d.model_dump(exclude={"rule", "boundary", "boundary_champion", "fall", "ground"})
        )
        for d in ledger
    ]
    assert old[-1].rule == "fixed"
    late = {**SKILLED, "random_forest": "noise"}
    ledger = [*old, *WORLD.decide(old, late, 2580)]
    look = ledger[-1]
    assert look.looked
    assert (look.verdict, look.champion) == ("keep", "logistic_regression")
    assert look.fall is not None
    assert (look.fall.since, look.fall.rows) == (old[-1].last_row, 80)
    assert look.boundary is not None
    assert look.boundary_champion is not None
    first, later = look.boundary.accounts
    assert (first.recipes, later.recipes) == (("recipe_of_xgboost",), ("recipe_of_random_forest",))
    assert first.budget == pytest.approx(0.05 * 0.7)
    assert later.budget == pytest.approx(0.05 * 0.3 / 2.2857656)
    assert read_ledger(ledger_table(ledger)) == ledger


def test_a_year_has_one_budget_and_the_next_has_its_own() -> None:
    ledger = WORLD.decide([], NOISE, 2200)
    for n in range(2220, 2600, 20):
        ledger += WORLD.decide(ledger, NOISE, n)
    accounts = [d.boundary for d in ledger if d.boundary]
    years = [b.year_from for b in accounts]
    assert [years.count(year) for year in dict.fromkeys(years)] == [14, 6]
    assert [b.look for b in accounts] == [*range(1, 15), *range(1, 7)]
    assert [b.looks for b in accounts] == [14] * 14 + [13] * 6
    for b in accounts:
        assert b.budget == pytest.approx(0.05 * 0.7)
        assert b.spent + b.left == pytest.approx(b.budget)
    for b, following in pairwise(accounts):
        if b.year_from == following.year_from:
            assert following.accounts[0].spent == pytest.approx(b.spent, abs=0.003)
    assert accounts[13].left == pytest.approx(0, abs=0.001)


def test_what_a_look_asks_for_depends_on_nothing_that_came_later() -> None:
    ledger: list[Decision] = []
    for n in (2300, 2320, 2340):
        ledger += WORLD.decide(ledger, SKILLED, n)
    other = World(seed=5)
    for name, values in other.says.items():
        values[:2340] = WORLD.says[name][:2340]
    other.rows.loc[:2339] = WORLD.rows.loc[:2339]
    again: list[Decision] = []
    for n in (2300, 2320, 2340):
        again += other.decide(again, SKILLED, n)
    assert again == ledger


def test_recipes_that_come_later_pay_whether_or_not_the_earlier_ones_are_still_there() -> None:
    def asked(later: int, *, withdrawn: bool) -> float:
        ledger = WORLD.decide([], NOISE, 2300)
        seen = dict(NOISE)
        for index in range(later):
            mine = {f"late_{index}": "noise"}
            seen = mine if withdrawn else {**seen, **mine}
            ledger += WORLD.decide(ledger, seen, 2320 + 20 * index)
        found = ledger[-1].statistics_of(f"late_{later - 1}")
        assert found is not None
        assert found.needed_p is not None
        return found.needed_p

    kept, gone = ([asked(n, withdrawn=w) for n in (1, 4, 9)] for w in (False, True))
    assert kept[0] > 5 * kept[1] > 10 * kept[2]
    assert gone == kept


def test_a_model_that_only_lost_lately_is_looked_at_by_people_and_stays() -> None:
    world = World(n=2800, seed=2)
    streams = {"logistic_regression": "skilled"}
    came = world.rows["target"].to_numpy()
    ledger = world.decide([], streams, 2000)
    assert ledger[-1].champion == "logistic_regression"
    spec = with_rule(demotion_rows=20)
    world.says["skilled"][2000:2020] = np.where(came[2000:2020] > 0, 0.46, 0.54)
    for n in (2010, 2020):
        ledger += world.decide(ledger, streams, n, spec)
    now = ledger[-1]
    assert (now.champion, now.behind) == ("logistic_regression", True)
    assert any("it lost to the baseline on the newest 20 rows" in text for text in now.reasons)
    assert not now.fall.exceeds
    fixed = with_rule(demotion_rows=20, rule="fixed")
    assert world.decide(ledger[:2], streams, 2020, fixed)[-1].ground == "trailing"


@pytest.mark.slow
def test_a_ground_of_demotion_is_recorded_by_its_name() -> None:
    world = World(n=3600, seed=1, stops_at=2500)
    ledger = world.decide([], SKILLED, 2500)
    for n in range(2520, 3500, 20):
        ledger += world.decide(ledger, SKILLED, n)
    fell = next(d for d in ledger if d.verdict == "demote")
    assert fell.ground == "fall"
    assert fell.fall.exceeds
    assert f"more than {fell.fall.limit:.3g} in 5% of years" in fell.sentence
    before = ledger[fell.sequence - 1]
    assert before.fall.limit == fell.fall.limit
    assert not before.fall.exceeds


def test_ideas_that_were_judged_before_a_recipe_is_declared_make_it_pay() -> None:
    ledger = WORLD.decide([], NOISE, 2300)
    late = {**NOISE, "xgboost": "noise"}
    needed = []
    for ideas in ([], ["one"], [f"idea_{index}" for index in range(30)]):
        look = WORLD.decide(ledger, late, 2320, ideas=ideas)[-1]
        assert look.trials == 2 + len(ideas)
        found = look.statistics_of("xgboost")
        assert found is not None
        needed.append(found.needed_p or 0.0)
    assert needed[0] > 1.2 * needed[1] > 4 * needed[2]
    declared = WORLD.decide(ledger, late, 2320, ideas=["recipe_of_xgboost"])[-1]
    assert declared.trials == 2


def test_live_rows_that_contradict_a_champion_end_it_and_keep_it_away() -> None:
    world = World(n=3600, seed=1)
    ledger = world.decide([], SKILLED, 2500)
    champion = ledger[-1]
    assert champion.verdict == "replace"
    said = "its 300 live rows contradict it"
    for n in (2520, 2800, 3200, 3500):
        evidence = [
            replace(item, against=said) if item.recipe == champion.recipe else item
            for item in world.evidence(SKILLED, n)
        ]
        as_of = evidence[0].predictions["label_available_at"].max().to_pydatetime()
        ledger += decide(SPEC, ledger, evidence, as_of + timedelta(days=1), as_of)
    ended, *later = ledger[len(ledger) - 4 :]
    assert (ended.verdict, ended.ground) == ("demote", "live")
    assert said in ended.sentence
    assert {d.champion for d in later} == {SPEC.baseline.name}
    assert said in later[-1].statistics_of(champion.champion).objections
