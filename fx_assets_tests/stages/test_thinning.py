"""Old rows that nobody needs go from tables that grow with every look, and no answer changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.errors import LakeError
from fx_assets.lake import Lake
from fx_assets.stages.overrides import _uncovered
from fx_assets.stages.refusal import _standing_refusal
from fx_assets.stages.shadow import live_contradiction
from fx_assets.stages.thinning import evidence_that_stays, findings_that_stay
from fx_assets.stages.upkeep import tidy
from fx_assets.tables import DECISIONS, LIVE_EVIDENCE
from fx_assets.testing.lakes import small_lake

NOW = datetime(2024, 6, 15, 3, tzinfo=UTC)
CHECKS = ("unique", "range", "gaps")
MONTHS = [pd.Timestamp(2024, month, 1, tz="UTC") for month in range(1, 8)]


def findings(batches: list[tuple[int, int, frozenset[str], str, str, bool]]) -> pd.DataFrame:
    """Batches, 11 hours apart, the newest half a day ago.

    Of each the first and the last month of its window, the checks that it failed, their severity,
    the reading, and whether one check was not made.
    """
    began = [pd.Timestamp(NOW) - timedelta(hours=12 + 11 * n) for n in range(len(batches), 0, -1)]
    return pd.DataFrame(
        [
            {
                "batch": number,
                "checked_at": began[number],
                "check": check,
                "severity": severity,
                "passed": check not in failed,
                "overridden": severity == "warn" and check in failed,
                "window_start": MONTHS[min(first, last)],
                "window_end": MONTHS[max(first, last) + 1],
                "reading": reading or None,
            }
            for number, (first, last, failed, severity, reading, less) in enumerate(batches)
            for check in CHECKS[: len(CHECKS) - less]
        ]
    )


months = st.integers(0, 5)
batch = st.tuples(
    months,
    months,
    st.sampled_from([frozenset[str]()] * 6 + [frozenset({name}) for name in CHECKS]),
    st.sampled_from(["block", "warn"]),
    st.sampled_from(["", "a", "a", "b"]),
    st.booleans(),
)


@given(st.lists(batch, min_size=1, max_size=40))
def test_what_the_gate_says_of_a_feed_is_the_same_without_old_batches_that_passed(
    batches: list[tuple[int, int, frozenset[str], str, str, bool]],
) -> None:
    rows = findings(batches)
    left = rows[findings_that_stay(NOW, rows)]
    assert left["batch"].max() == rows["batch"].max()
    young = rows["checked_at"] >= pd.Timestamp(NOW) - timedelta(days=2)
    assert young.sum() == (left["checked_at"] >= pd.Timestamp(NOW) - timedelta(days=2)).sum()
    bad = rows.groupby("batch")["passed"].transform("all").eq(False)
    assert set(rows.index[bad]) <= set(left.index), "what failed stays"
    for reading in ("a", "b"):
        mine, thin = (
            part[part["reading"].isna() | (part["reading"] == reading)] for part in (rows, left)
        )
        refusal, still = _standing_refusal(mine), _standing_refusal(thin)
        assert (refusal is None) == (still is None)
        assert refusal is None or refusal.equals(still)
    for check in CHECKS:
        told = [
            _uncovered(check, p[p["overridden"]], p[p["passed"] & ~p["overridden"]])
            for p in (rows, left)
        ]
        assert told[0] == told[1]
    assert left[findings_that_stay(NOW, left)].equals(left), "once is enough"


def test_a_year_of_hours_that_passed_leaves_a_batch_a_month_and_the_newest_days() -> None:
    hours = pd.date_range(end=NOW, periods=24 * 365, freq="h")
    month = hours.tz_convert(None).to_period("M")
    start = month.start_time.tz_localize("UTC")
    one = pd.DataFrame(
        {
            "batch": range(len(hours)), "checked_at": hours, "check": "range",
            "severity": "block", "passed": True, "overridden": False,
            "window_start": start, "window_end": start + pd.offsets.MonthBegin(1),
        }
    )  # fmt: skip
    rows = pd.concat([one.assign(instrument=name) for name in ("A", "B")], ignore_index=True)
    left = rows[findings_that_stay(NOW, rows)]
    assert left.groupby("instrument").size().to_dict() == {"A": 12 + 49, "B": 12 + 49}
    old = rows.drop(columns=["batch", "window_start", "window_end", "overridden"])
    assert findings_that_stay(NOW, old).all(), "those of earlier releases say too little"


def test_a_year_of_evidence_leaves_a_row_a_day_and_candidate_and_says_what_it_said(
    tmp_path: Path,
) -> None:
    hours = pd.date_range(end=NOW, periods=24 * 60, freq="h").as_unit("us")
    own = small_lake.own(small_lake.make(tmp_path / "lake"))
    recipe = own.spec.recipe_hash(own.spec.candidates[0])
    one = pd.DataFrame(
        {
            "candidate": "c", "recipe": recipe, "since": hours[0], "last": hours, "as_of": hours,
            "rows": range(1, len(hours) + 1), "e_worse": 1.0, "scale": 0.1,
            "skill": -0.1, "skill_upper": -0.01,
        }
    )  # fmt: skip
    one.loc[one.index[-1], "e_worse"] = 1000.0
    own.insert(LIVE_EVIDENCE, pd.concat([one, one.assign(recipe="other")]))
    before, said = own.newest(LIVE_EVIDENCE), live_contradiction(own, recipe)
    assert said
    done = {f"{d.table}/{d.name}": d for d in tidy(own.store, timedelta(0), NOW)}
    # Of the day that is two days ago in part its newest, which is young, stays.
    left = own.read(LIVE_EVIDENCE)
    assert len(left) == 2 * (58 + 49)
    assert f"{2 * (24 * 60) - len(left):,} old rows taken out" in (
        done[f"live_evidence/{own.forecast}"].sentence
    )
    old = left[left["as_of"] < pd.Timestamp(NOW) - timedelta(days=2)]
    assert (old.groupby(["recipe", old["as_of"].dt.floor("D")]).size() == 1).all()
    assert set(old["as_of"].dt.hour) == {23}
    pd.testing.assert_frame_equal(own.newest(LIVE_EVIDENCE), before)
    assert live_contradiction(own, recipe) == said
    versions = own.store.version("live_evidence", own.forecast)
    assert [d.thinned for d in tidy(own.store, timedelta(0), NOW)] == [0] * len(done)
    assert own.store.version("live_evidence", own.forecast) <= versions + 3


def test_evidence_of_members_and_targets_is_thinned_each_for_itself() -> None:
    at = pd.Timestamp("2024-03-01", tz="UTC")
    rows = pd.DataFrame(
        [
            {
                "instrument": name, "kind": kind, "horizon": 1, "series": f"{name} {kind}",
                "recipe": "r", "rows": n, "as_of": at + timedelta(hours=n),
            }
            for name in ("A", "B")
            for kind in ("direction", "volatility")
            for n in range(24)
        ]
    )  # fmt: skip
    left = rows[evidence_that_stays(NOW, rows)]
    assert (left["rows"] == 23).all()
    assert len(left) == 4


def test_no_row_of_a_chain_is_taken_out(tmp_path: Path) -> None:
    own = small_lake.own(small_lake.make(tmp_path / "lake"))
    with pytest.raises(LakeError, match="chained"):
        own.store.thin(DECISIONS.name, own.forecast, lambda rows: rows["sequence"] > 0)


def test_rows_that_are_added_while_others_are_taken_out_stay(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = pd.DataFrame({"n": range(4)})
    lake.append("live_evidence", "x", rows)

    def stay(found: pd.DataFrame) -> pd.Series[bool]:
        if len(found) == 4:
            Lake(str(tmp_path)).append("live_evidence", "x", rows + 10)
        return found["n"] % 2 == 0

    assert lake.thin("live_evidence", "x", stay).rows == 4
    assert sorted(lake.read("live_evidence", "x")["n"]) == [0, 2, 10, 12]
    assert not lake.thin("live_evidence", "x", stay).committed


def test_the_newest_rows_are_read_without_the_others(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert lake.read_newest("quality", "x", "checked_at").empty
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta([0, 1, 1], "h")
    for batch, at in enumerate(times):
        row = pd.DataFrame({"batch": [batch], "checked_at": [at], "check": ["range"]})
        lake.append("quality", "x", row)
    assert sorted(lake.read_newest("quality", "x", "checked_at")["batch"]) == [1, 2]
