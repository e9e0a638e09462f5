"""One instrument and target of a universe as a forecast's tables; runs in the child."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fx_assets.bundles.universes import Member, UniverseFacts
from fx_assets.lake.location import Location
from fx_assets.lake.reader import Reader
from fx_assets.tables import BACKTEST, INSTRUMENT_COLUMN, UNIVERSE_PREDICTIONS
from serving.queries.columns import finite, instant, instants, numbers, texts
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
        wanted = None if columns is None else [*columns, *about, "candidate"]
        found = self._reader.read(table, member.forecast, wanted)
        if found is None:
            return None
        for column, value in about.items():
            if column in found.column_names:
                found = found.filter(pc.equal(found[column], pa.scalar(value)))
        if table == BACKTEST.name and member.baseline_predicts and found.num_rows:
            return _of_the_baseline(found, member.recipe)
        return found


def _of_the_baseline(found: pa.Table, recipe: str) -> pa.Table:
    """What the baseline said on the rows of a candidate: it stands beside each of them."""
    candidate = found["candidate"][0]
    rows = found.filter(pc.equal(found["candidate"], candidate))
    for name, values in (
        ("prediction", rows["baseline"] if "baseline" in rows.column_names else None),
        ("recipe", pa.array([recipe] * rows.num_rows)),
    ):
        if values is not None and name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def said(reader: Reader, facts: UniverseFacts) -> list[Said]:
    """The newest prediction of every instrument and target, sorted."""
    table = reader.read(UNIVERSE_PREDICTIONS.name, facts.forecast)
    if table is None or "series" not in table.column_names:
        return []
    present = {one for found in facts.instruments for one in found.series}
    series, times = texts(table, "series"), instants(table, "event_time")
    newest: dict[str, int] = {}
    for i in np.argsort(times, kind="stable").tolist():
        if series[i] in present:
            newest[series[i]] = i
    rows = sorted(newest.values())
    part = table.take(pa.array(rows, pa.int64()))
    told: dict[str, Any] = {
        name: texts(part, name)
        for name in ("instrument", "kind", "horizon", "day", "target_day", "mode", "champion")
    }
    values = {n: numbers(part, n) for n in ("prediction", "lower", "upper", "baseline", "skill")}
    closed, shown = instants(part, "event_time"), texts(part, "skill_demonstrated")
    answers = [
        Said(
            instrument=told["instrument"][i],
            target=told["kind"][i],
            horizon=int(told["horizon"][i]),
            event_time=instant(closed[i]),
            day=told["day"][i],
            target_day=told["target_day"][i],
            mode=told["mode"][i],
            value=float(values["prediction"][i]),
            lower=finite(values["lower"][i]),
            upper=finite(values["upper"][i]),
            baseline=finite(values["baseline"][i]),
            champion=told["champion"][i],
            demonstrated=bool(shown[i]),
        )
        for i in range(part.num_rows)
    ]
    return sorted(answers, key=lambda one: (one.instrument, one.target, one.horizon))
