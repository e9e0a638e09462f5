"""A person's step back is a row of the ledger that the promotion rule understands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fx_assets.errors import RegistryError
from fx_assets.evaluation.decision import Decision, active_champion, ledger_table, read_ledger
from fx_assets.evaluation.rollback import release, standing_rollback, step_back
from fx_assets.presentation.ledger import reigns
from fx_assets_tests.evaluation.test_promotion import BASELINE, NOISE, SKILLED, WORLD, World

WHY = "it stood on bars that the vendor took back"


def numbered(ledger: list[Decision]) -> list[Decision]:
    """Versions as the publisher counts them."""
    version, told = 0, []
    for decision in ledger:
        version += decision.publishes
        told.append(decision.model_copy(update={"version": version}))
    return told


def back(ledger: list[Decision], version: int) -> list[Decision]:
    now = ledger[-1].decided_at + timedelta(hours=1)
    return [*ledger, step_back(ledger, version, by="ada", reason=WHY, now=now, name="up")]


@pytest.fixture(scope="module")
def refreshed() -> list[Decision]:
    """The baseline, refreshed weekly: v1 to v4."""
    ledger = WORLD.decide([], NOISE, 2500)
    for n in (2505, 2510, 2515):
        ledger += WORLD.decide(ledger, NOISE, n)
    return numbered(ledger)


@pytest.fixture(scope="module")
def replaced() -> list[Decision]:
    """The baseline as v1, a model with skill as v2."""
    return numbered(WORLD.decide([], SKILLED, 2500))


def test_the_row_says_who_when_and_why_and_survives_being_stored(refreshed: list[Decision]) -> None:
    ledger = back(refreshed, 2)
    made = read_ledger(ledger_table(ledger))[-1]
    assert (made.verdict, made.version, made.champion) == ("rollback", 2, BASELINE)
    assert made.rollback is not None
    assert (made.rollback.by, made.rollback.reason, made.rollback.left) == ("ada", WHY, 4)
    assert made.sentence == f"Rolled back from base_rate v4 to base_rate v2, by ada: {WHY}."
    assert made.label_end == refreshed[2].label_end, "of what v2 was trained on"
    assert not made.publishes
    assert not made.looked
    assert active_champion(ledger, made.decided_at) == made
    before = made.decided_at - timedelta(minutes=1)
    assert active_champion(ledger, before).version == 4, "the past stays as it was"


def test_it_is_not_refreshed_before_it_is_released(refreshed: list[Decision]) -> None:
    ledger = back(refreshed, 2)
    for n in (2520, 2600):
        ledger += WORLD.decide(ledger, NOISE, n)
        assert ledger[-1].verdict == "keep"
        assert "rolled back to v2" in " ".join([ledger[-1].sentence, *ledger[-1].reasons])
        ledger[-1] = ledger[-1].model_copy(update={"version": 2})
    now = ledger[-1].decided_at + timedelta(hours=1)
    ledger.append(release(ledger, by="bob", reason="the feed is mended", now=now, name="up"))
    assert ledger[-1].version == 2
    assert WORLD.decide(ledger, NOISE, 2605)[-1].verdict == "refresh"


def test_going_on_to_the_newest_version_ends_it(refreshed: list[Decision]) -> None:
    ledger = back(back(refreshed, 2), 4)
    assert ledger[-1].sentence.startswith("Went on from base_rate v2 to base_rate v4")
    assert standing_rollback(ledger) is None
    assert WORLD.decide(ledger, NOISE, 2520)[-1].verdict == "refresh"


def test_the_rule_may_promote_another_over_it(refreshed: list[Decision]) -> None:
    ledger = back(refreshed, 2)
    found = WORLD.decide(ledger, {**NOISE, "xgboost": "skilled"}, 2600)[-1]
    assert (found.verdict, found.champion) == ("replace", "xgboost")


def test_a_model_that_a_person_took_out_waits_and_has_to_show_skill_on_rows_since(
    replaced: list[Decision],
) -> None:
    ledger = back(replaced, 1)
    assert ledger[-1].champion == BASELINE
    assert not ledger[-1].skill_demonstrated
    early = WORLD.decide(ledger, SKILLED, 2530)[-1]
    assert not early.looked, "13 weeks after the change"
    later = WORLD.decide(ledger, SKILLED, 2575)[-1]
    assert later.looked
    mine = later.statistics_of("logistic_regression")
    assert mine is not None
    assert mine.return_p is not None


def test_a_model_is_put_back_with_its_skill_unless_the_rule_had_demoted_it(
    replaced: list[Decision],
) -> None:
    again = back(back(replaced, 1), 2)[-1]
    assert (again.champion, again.skill_demonstrated) == ("logistic_regression", True)
    assert again.put_back == ""

    ending = World(n=4200, stops_at=2500)
    ledger = [*replaced, *ending.decide(replaced, SKILLED, 3300)]
    ledger = numbered(ledger)
    assert (ledger[-1].verdict, ledger[-1].version) == ("demote", 3)
    made = back(ledger, 2)[-1]
    assert not made.skill_demonstrated
    assert "put back by ada after its demotion on" in made.caveat
    following = ending.decide([*ledger, made], SKILLED, 4100)[-1]
    assert following.verdict == "demote", "it still loses to the baseline"
    assert following.fall is not None
    assert (following.fall.since, following.fall.history) == (made.last_row, replaced[-1].rows)


def test_what_was_put_back_claims_no_skill_while_it_is_kept(replaced: list[Decision]) -> None:
    fallen = replaced[-1].model_copy(
        update={
            "sequence": 2,
            "verdict": "demote",
            "champion": BASELINE,
            "recipe": replaced[0].recipe,
            "recipe_before": replaced[-1].recipe,
            "starts_cool_down": True,
            "version": 3,
        }
    )
    ledger = back([*replaced, fallen], 2)
    kept = WORLD.decide(ledger, SKILLED, 2530)[-1]
    assert (kept.verdict, kept.champion) == ("keep", "logistic_regression")
    assert not kept.skill_demonstrated
    assert "put back by ada" in kept.caveat


def test_a_reign_begins_with_it(refreshed: list[Decision]) -> None:
    told = reigns(back(refreshed, 2))
    assert [(reign.how, reign.champion) for reign in told] == [
        ("bootstrap", BASELINE),
        ("rollback", BASELINE),
    ]
    assert WHY in told[-1].why
    assert WHY in told[0].ended


@pytest.mark.parametrize(
    ("version", "reason", "says"),
    [
        (9, WHY, "never had a v9"),
        (0, WHY, "never had a v0"),
        (4, WHY, "v4 is in production already"),
        (2, "  ", "stays in the ledger"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    refreshed: list[Decision], version: int, reason: str, says: str
) -> None:
    with pytest.raises(RegistryError, match=says) as caught:
        step_back(
            refreshed, version, by="ada", reason=reason, now=refreshed[-1].decided_at, name="up"
        )
    assert "v1 (base_rate), v2" in str(caught.value.remedy) or "characters" in caught.value.remedy


def test_nothing_is_released_that_is_not_held(refreshed: list[Decision]) -> None:
    with pytest.raises(RegistryError, match="No rollback of up stands"):
        release(refreshed, by="ada", reason=WHY, now=refreshed[-1].decided_at, name="up")
