"""One instrument and target of a universe as a forecast's tables; runs in the child."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fx_assets.bundles.universes import Member, UniverseFacts
from fx_assets.calendars import calendar, instant_of
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader
from fx_assets.presentation.wording import claim_of_row
from fx_assets.tables import (
    BACKTEST,
    INSTRUMENT_COLUMN,
    SERIES_COLUMN,
    UNIVERSE_OUTCOMES,
    UNIVERSE_PREDICTIONS,
)
from serving.queries.columns import finite, instants, numbers, row_of, texts
from serving.queries.own_rows import newest_rows
from serving.schemas import Said


class MemberReader(Reader):
    """Reads of a universe's tables, by any name, the rows of one member."""

    def __init__(self, reader: Reader, member: Member) -> None:
        self.location: Location = reader.location
        self._reader, self._member = reader, member

    def read(
        self,
        table: str,
        name: str,  # noqa: ARG002
        columns: Sequence[str] | None = None,
    ) -> pa.Table | None:
        """The member's rows; None if there is no such table."""
        member = self._member
        about = {
            INSTRUMENT_COLUMN: member.instrument,
            "kind": member.target,
            "horizon": member.horizon,
        }
        wanted = None if columns is None else [*columns, *about, "recipe", "batch"]
        found = self._reader.read(table, member.forecast, wanted)
        if found is None:
            return None
        for column, value in about.items():
            if column in found.column_names:
                found = found.filter(pc.equal(found[column], pa.scalar(value)))
        if table == BACKTEST.name and found.num_rows:
            # Of rows about the same the last counts.
            found = found.take(pc.sort_indices(found, [("batch", "ascending")]))
            if member.baseline_predicts:
                return _of_the_baseline(found, member)
        return found


def _of_the_baseline(found: pa.Table, member: Member) -> pa.Table:
    """What the baseline said on the rows of a candidate: it stands beside each of them.

    ``found`` is in the order of batches. The last is of candidates as they are declared; what has
    been taken out or is declared otherwise has rows up to then only.
    """
    if SERIES_COLUMN in found.column_names:
        series = found[SERIES_COLUMN]
        mine = pc.or_kleene(pc.is_null(series), pc.equal(series, pa.scalar(member.series)))
        found = found.filter(mine)
    if not found.num_rows:
        return found
    recipe = member.recipe
    rows = found.filter(pc.equal(found["recipe"], found["recipe"][-1]))
    for name, values in (
        ("prediction", rows["baseline"] if "baseline" in rows.column_names else None),
        ("recipe", pa.array([recipe] * rows.num_rows)),
    ):
        if values is not None and name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def said(reader: Reader, facts: UniverseFacts) -> list[Said]:
    """The newest prediction of every instrument and target, and what came of them, sorted."""
    table = reader.read(UNIVERSE_PREDICTIONS.name, facts.forecast)
    if table is None or "series" not in table.column_names:
        return []
    present = {one for found in facts.instruments for one in found.series}
    series, times = texts(table, "series"), instants(table, "event_time")
    newest: dict[str, int] = {}
    for i in np.argsort(times, kind="stable").tolist():
        if series[i] in present:
            newest[series[i]] = i
    outcomes = _outcomes(reader, facts)
    values = {n: numbers(table, n) for n in ("lower", "upper", "baseline", "skill")}
    answers = []
    for one, i in newest.items():
        row = row_of(table, i)
        claim = claim_of_row(row)
        answers.append(
            Said(
                instrument=row["instrument"],
                target=row["kind"],
                horizon=row["horizon"],
                event_time=row["event_time"],
                day=row["day"],
                target_time=row["target_time"],
                target_day=row["target_day"],
                mode=row["mode"],
                value=row["prediction"],
                lower=finite(values["lower"][i]),
                upper=finite(values["upper"][i]),
                baseline=finite(values["baseline"][i]),
                champion=row["champion"],
                demonstrated=bool(row["skill_demonstrated"]),
                verdict=claim.word if claim else None,
                skill=finite(values["skill"][i]),
                skill_on_reference=claim.reference.skill if claim else None,
                **outcomes.get(one, {}),
            )
        )
    return sorted(answers, key=lambda one: (one.instrument, one.target, one.horizon))


def _outcomes(reader: Reader, facts: UniverseFacts) -> dict[str, dict[str, Any]]:
    """What came of live predictions, by series; a truth that was revised counts as it is now."""
    table = reader.read(UNIVERSE_OUTCOMES.name, facts.forecast)
    if table is None or not table.num_rows:
        return {}
    market, found = calendar(facts.calendar), {}
    counting = newest_rows(UNIVERSE_OUTCOMES, table)
    table = table.take(pa.array(counting))
    series, live = np.array(texts(table, "series")), np.array(texts(table, "mode")) == "live"
    values = {name: numbers(table, name) for name in ("target", "loss", "baseline_loss")}
    inside = numbers(table, "inside_interval")
    for one in np.unique(series):
        mine = np.flatnonzero(series == one)
        scored = mine[live[mine]]
        last = int(mine[-1])
        known = inside[scored][np.isfinite(inside[scored])]
        theirs = values["baseline_loss"][scored].sum()
        came = instant_of(instants(table, "target_time")[last].astype("datetime64[us]"))
        found[str(one)] = {
            "outcomes": len(scored),
            "inside": float(known.mean()) if len(known) else None,
            "live_skill": finite(1 - values["loss"][scored].sum() / theirs) if theirs else None,
            "came": finite(values["target"][last]),
            "came_time": came,
            "came_day": market.bar_day(came).isoformat(),
        }
    return found
