"""The promotion history is told as reigns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fx_assets.evaluation.decision import CandidateStatistics, Decision, Thresholds
from fx_assets.presentation.ledger import ledger_markdown, reigns

START = datetime(2024, 1, 6, 17, tzinfo=UTC)
STORY = [
    ("bootstrap", "base_rate", False),
    ("keep", "base_rate", True),
    ("replace", "xgboost", True),
    ("refresh", "xgboost", False),
    ("keep", "xgboost", True),
    ("demote", "base_rate", False),
    ("refresh", "base_rate", False),
]


def story() -> list[Decision]:
    made: list[Decision] = []
    for i, (verdict, champion, looked) in enumerate(STORY):
        at = START + timedelta(weeks=4 * i)
        made.append(
            Decision.model_validate(
                {
                    "forecast": "eurusd_direction",
                    "sequence": i,
                    "decided_at": at,
                    "data_as_of": at,
                    "verdict": verdict,
                    "champion": champion,
                    "recipe": f"recipe of {champion}",
                    "champion_before": made[-1].champion if made else None,
                    "recipe_before": made[-1].recipe if made else None,
                    "label_end": at,
                    "published_at": at,
                    "version": i + 1,
                    "challenger": "xgboost" if champion == "base_rate" else None,
                    "looked": looked,
                    "starts_cool_down": verdict in ("replace", "demote"),
                    "recipes_seen": ["recipe of xgboost"],
                    "trials": 3,
                    "rows": 2000 + i,
                    "first_row": START,
                    "last_row": at,
                    "row_hash": f"hash{i}",
                    "statistics": [
                        CandidateStatistics(
                            candidate=champion,
                            recipe=f"recipe of {champion}",
                            loss=0.24,
                            skill=0.012,
                            trailing_skill=0.01,
                            clark_west_p=0.001 if verdict == "replace" else None,
                        )
                    ],
                    "thresholds": Thresholds(
                        min_rows=2000,
                        min_skill=0.001,
                        clark_west_p=0.05 / 3,
                        diebold_mariano_p=0.05,
                        refresh_max_degradation=0.02,
                        demotion_rows=500,
                        refresh_rows=250,
                    ),
                    "sentence": f"Sentence {i} | {verdict}.",
                }
            )
        )
    return made


def test_the_ledger_tells_who_was_champion_when_and_why() -> None:
    told = reigns(list(reversed(story())))
    assert [reign.champion for reign in told] == ["base_rate", "xgboost", "base_rate"]
    assert [reign.how for reign in told] == ["bootstrap", "replace", "demote"]
    assert [reign.since for reign in told[1:]] == [reign.until for reign in told[:-1]]
    assert told[-1].until is None
    reign = told[1]
    assert (reign.rows, reign.row_hash, reign.trials) == (2002, "hash2", 3)
    assert (reign.clark_west_p, reign.skill) == (0.001, 0.012)
    assert (reign.refreshes, reign.looks, reign.versions) == (1, 1, (3, 4, 5))
    assert reign.why == "Sentence 2 | replace."
    assert reign.ended == "Sentence 5 | demote."
    assert told[0].challengers_refused == 1


def test_the_ledger_is_a_table_that_people_read() -> None:
    text = ledger_markdown(story())
    lines = text.splitlines()
    assert lines[2].startswith("| base_rate | 2024-05-25 | now | demote |")
    assert "Clark–West p = 0.001" in lines[3]
    assert "Ended: Sentence 5 / demote." in lines[3]
    assert "Newest decision" in lines[-1]
    assert len({line.count("|") for line in lines[:5]}) == 1


def test_an_empty_ledger_is_told_as_such() -> None:
    assert reigns([]) == []
    assert ledger_markdown([]) == "No decision has been made yet."
