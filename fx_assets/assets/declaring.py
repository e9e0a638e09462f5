"""What all assets have in common: group, pool, owners, meaning of the columns, checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from fx_assets.assets.display import Made, table_metadata
from fx_assets.specs import FeedSpec, ForecastSpec
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import Table

Subject: TypeAlias = FeedSpec | ForecastSpec | UniverseSpec


def asset_of(
    spec: Subject,
    name: str | Sequence[str],
    description: str,
    *kinds: str,
    table: Table | None = None,
    feed: str = "",
    more: Iterable[Made] = (),
    features: str = "",
    pool: str = "",
    checks: Mapping[str, str] | None = None,
    blocking: Mapping[str, str] | None = None,
    partitions: dg.PartitionsDefinition[Any] | None = None,
    most: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    **others: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """As ``dg.asset``, of a subject.

    Parameters
    ----------
    name
        Of the asset, below the subject's.
    kinds
        What it is made with, beside Python.
    table, feed, more, features
        The table whose columns are shown, and what :func:`table_metadata` needs beside it. ``feed``
        is the subject unless it is given.
    pool
        The work of the subject's that it belongs to; of each, one run is at work at a time.
    checks, blocking
        Asset checks with their meanings; what comes after waits for the latter.
    partitions, most
        A run covers all of those that it is asked for; of a backfill not more than this.
    """
    key = dg.AssetKey([spec.name, *([name] if isinstance(name, str) else name)])
    shown = table_metadata(table, feed or spec.name, spec.name, more, features) if table else {}
    specs = [
        dg.AssetCheckSpec(check, asset=key, description=meaning, blocking=blocks)
        for blocks, told in ((True, blocking), (False, checks))
        for check, meaning in (told or {}).items()
    ]
    whole = dg.BackfillPolicy.single_run() if partitions else None
    return dg.asset(
        key=key,
        group_name=spec.name,
        pool=f"{spec.name}_{pool}" if pool else None,
        description=description,
        owners=spec.owners,
        kinds={"python", *kinds},
        metadata={**shown, **(metadata or {})},
        check_specs=specs,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(most) if partitions and most else whole,
        **others,
    )


def warning(check: str, passed: bool, said: str, **figures: Any) -> dg.AssetCheckResult:
    """A check that stops nothing."""
    return dg.AssetCheckResult(
        check_name=check,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata=figures,
    )
