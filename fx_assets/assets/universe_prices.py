"""From one download to the prices of every instrument of a universe."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.alerting import tell
from fx_assets.assets.display import content_version, markdown_table
from fx_assets.assets.prices import QUARANTINE_KEY
from fx_assets.errors import SourceError
from fx_assets.lake import Lake, as_known_at
from fx_assets.resources import LakeResource, SettingsResource
from fx_assets.specs.bars import BAR_DTYPES
from fx_assets.specs.universe import UniverseSpec

RAW_KEY = ["instrument", "event_time", "available_at", "close"]
PRICE_COLUMNS = ["event_time", "available_at", "close", "source"]
GATE_CHECK = "every_instrument_passed_the_gate"
LIVE_CHECK = "live_source"


def instrument_partitions(spec: UniverseSpec) -> dg.DynamicPartitionsDefinition:
    """One partition an instrument; the asset ``<universe>/instruments`` adds them."""
    return dg.DynamicPartitionsDefinition(name=f"{spec.name}_instruments")


def build_instruments(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset that knows which instruments there are, and keeps the partitions equal to them."""

    @dg.asset(
        key=[spec.name, "instruments"],
        group_name=spec.name,
        description=(
            f"{spec.description} Every instrument that the source has, or has had; a new one "
            "becomes a partition of the universe's tables."
        ),
        owners=spec.owners,
        kinds={"python", "deltalake", spec.source.kind},
        check_specs=[
            dg.AssetCheckSpec(
                LIVE_CHECK,
                asset=dg.AssetKey([spec.name, "instruments"]),
                description="The list came from the live provider.",
            )
        ],
    )
    def instruments(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> dg.MaterializeResult:
        from fx_assets.sources.ecb import EcbClient
        from fx_assets.sources.ecb_universe import instruments as list_instruments
        from fx_assets.sources.ecb_universe import provenance

        deployment = settings.get()
        client = EcbClient(deployment, deployment.cache_folder)
        payload = client.fetch(fallback=spec.source.fallback)
        found = list_instruments(payload, spec, clock.now())
        partitions = instrument_partitions(spec)
        known = set(context.instance.get_dynamic_partitions(str(partitions.name)))
        new = [name for name in found["instrument"] if name not in known]
        context.instance.add_dynamic_partitions(str(partitions.name), new)
        store, origin = lake.open(), provenance(payload)
        run_id = context.run.run_id
        store.insert_new(
            "sources",
            spec.name,
            pd.DataFrame([origin.model_dump()]),
            ["provider", "sha256"],
            run_id=run_id,
        )
        commit = store.replace("instruments", spec.name, found, run_id=run_id)
        return dg.MaterializeResult(
            data_version=content_version(found),
            metadata={
                "dagster/row_count": len(found),
                "new_instruments": ", ".join(new) or "none",
                "delta_version": commit.version,
                "provider": origin.provider,
                "payload": origin.url,
                "payload_sha256": origin.sha256,
                "payload_last_date": str(origin.last_date),
                "instruments": dg.MetadataValue.md(
                    markdown_table(list(found.columns), found.to_numpy().tolist())
                ),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=LIVE_CHECK,
                    passed=origin.fallback_reason is None,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=f"{origin.provider}, last date {origin.last_date}. "
                    + (origin.fallback_reason or ""),
                )
            ],
        )

    return instruments


def build_raw_prices(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset that judges each instrument's new bars alone, and appends those that pass."""
    key = dg.AssetKey([spec.name, "raw_prices"])

    @dg.asset(
        key=key,
        deps=[[spec.name, "instruments"]],
        group_name=spec.name,
        description=(
            f"{spec.description} Append-only and bitemporal: a revision adds a row, it never "
            "overwrites one. An instrument whose batch the gate refuses does not stop the others."
        ),
        owners=spec.owners,
        kinds={"python", "deltalake", spec.source.kind},
        partitions_def=instrument_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[
            dg.AssetCheckSpec(
                GATE_CHECK, asset=key, description="No instrument's batch was refused."
            )
        ],
    )
    def raw_prices(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> dg.MaterializeResult:
        from fx_assets.sources.ecb import EcbClient

        deployment, store, run_id = settings.get(), lake.open(), context.run.run_id
        client = EcbClient(deployment, deployment.cache_folder)
        payload = client.fetch(fallback=spec.source.fallback)
        judged = [_judge(spec, payload, *pair) for pair in _stored(store, spec, context)]
        with store.deferred_views():
            accepted = _stack([batch.accepted for batch in judged])
            commit = store.insert_new("raw_prices", spec.name, accepted, RAW_KEY, run_id=run_id)
            quarantined = _stack([batch.quarantined for batch in judged])
            if len(quarantined):
                keys = ["instrument", *QUARANTINE_KEY]
                store.insert_new("quarantine", spec.name, quarantined, keys, run_id=run_id)
            findings = _stack([batch.findings for batch in judged])
            if len(findings):
                store.append("quality", spec.name, findings, run_id=run_id)
        refused = [batch for batch in judged if batch.refusal]
        for batch in refused:
            alarm = f"gate_failed:{spec.name}:{batch.instrument}:{payload.sha256}"
            sentence = f"{batch.instrument}: {batch.refusal}"
            tell(store, "gate_failed", spec.name, sentence, run_id=run_id, key=alarm)
        return dg.MaterializeResult(
            metadata={
                "instruments": len(judged),
                "rows_added": commit.rows,
                "rows_quarantined": len(quarantined),
                "delta_version": commit.version,
                "provider": payload.provider,
                "payload_sha256": payload.sha256,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=GATE_CHECK,
                    passed=not refused,
                    severity=dg.AssetCheckSeverity.WARN,
                    description="; ".join(f"{b.instrument}: {b.refusal}" for b in refused)
                    or f"All {len(judged)} passed.",
                )
            ],
        )

    return raw_prices


def build_prices(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of accepted bars as they are known now."""

    @dg.asset(
        key=[spec.name, "prices"],
        deps=[[spec.name, "raw_prices"]],
        group_name=spec.name,
        description=f"{spec.description} The bars as known now, one row a bar.",
        owners=spec.owners,
        kinds={"python", "deltalake"},
        partitions_def=instrument_partitions(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def prices(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        store, now, chosen = lake.open(), clock.now(), set(context.partition_keys)
        raw = store.read("raw_prices", spec.name)
        known = [
            as_known_at(rows, now)
            for name, rows in raw[raw["instrument"].isin(chosen)].groupby("instrument")
        ]
        table = _stack(known)[["instrument", *PRICE_COLUMNS]]
        commits = replace_instruments(
            store, "prices", spec.name, table, chosen, run_id=context.run.run_id
        )
        return dg.MaterializeResult(
            metadata={
                "rows": len(table),
                "commits": commits,
                "delta_version": store.version("prices", spec.name) or 0,
                "last_bar": f"{table['event_time'].max():%Y-%m-%d %H:%M} UTC",
            },
        )

    return prices


def replace_instruments(
    store: Lake, table: str, name: str, frame: pd.DataFrame, instruments: Iterable[str], run_id: str
) -> int:
    """Make the frame the content of these instruments' rows; other instruments stay as they are.

    Each range of names without another instrument in between is one commit: all instruments are
    one, and so is a single one.

    Returns
    -------
    int
        Commits; none where the rows were there already.
    """
    chosen = set(instruments)
    present: set[str] = set()
    if store.exists(table, name):
        present = set(store.read(table, name, columns=["instrument"])["instrument"])
    ordered = frame.sort_values(["instrument", "event_time"], ignore_index=True)
    commits = 0
    for ours, group in groupby(sorted(present | chosen), key=chosen.__contains__):
        if not ours:
            continue
        names = list(group)
        commits += store.replace_where(
            table,
            name,
            ordered[ordered["instrument"].isin(names)],
            column="instrument",
            start=names[0],
            end=f"{names[-1]} ",
            run_id=run_id,
        ).committed
    return commits


@dataclass(frozen=True)
class _Batch:
    """What came of one instrument's new bars; ``refusal`` says why they were not accepted."""

    instrument: str
    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    findings: pd.DataFrame
    refusal: str


def _judge(spec: UniverseSpec, payload: Any, instrument: str, stored: pd.DataFrame) -> _Batch:
    from fx_assets.quality import inspect
    from fx_assets.sources import new_rows
    from fx_assets.sources.ecb_universe import instrument_bars

    now = clock.now()
    try:
        parsed = instrument_bars(payload, spec, instrument, now)
    except SourceError as error:
        return _Batch(instrument, stored.iloc[:0], pd.DataFrame(), pd.DataFrame(), error.message)
    fresh = new_rows(stored, parsed.bars, now)
    if fresh.empty and parsed.rejected.empty:
        return _Batch(
            instrument, fresh.assign(instrument=instrument), pd.DataFrame(), pd.DataFrame(), ""
        )
    report = inspect(stored, fresh, parsed.rejected, spec.feed(instrument), spec.market, now)
    failed = [finding for finding in report.findings if not finding.passed]
    findings = pd.DataFrame([finding.as_row() for finding in failed])
    return _Batch(
        instrument,
        report.accepted.assign(instrument=instrument),
        report.quarantined.assign(instrument=instrument),
        findings.assign(
            instrument=instrument, checked_at=pd.Timestamp(now), payload=payload.sha256
        ),
        "; ".join(f"{f.check}: {f.message}" for f in failed if f.severity == "block"),
    )


def _stored(
    store: Lake, spec: UniverseSpec, context: dg.AssetExecutionContext
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each instrument of the run with its bars as known now."""
    raw = store.read_or_empty("raw_prices", spec.name)
    raw = raw.reindex(columns=["instrument", *BAR_DTYPES]).astype(BAR_DTYPES)
    parts = dict(iter(raw.groupby("instrument")))
    for name in context.partition_keys:
        rows = parts.get(name, raw.iloc[:0])[list(BAR_DTYPES)]
        yield name, as_known_at(rows, clock.now())


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The frames that have rows, below each other; without any, the first."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]
