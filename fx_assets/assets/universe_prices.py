"""From one download to the prices of every instrument of a universe."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from fx_assets import clock
from fx_assets.assets.declaring import asset_of, warning
from fx_assets.assets.display import content_version
from fx_assets.assets.freshness import FRESH, fresh_result, judge_panel
from fx_assets.assets.prices import (
    FALLBACK_CHECK,
    bitemporal,
    fallback_result,
    provenance_metadata,
    tell_refusal,
)
from fx_assets.presentation.markdown import markdown_table
from fx_assets.resources import LakeResource, SettingsResource
from fx_assets.specs.universe import UniverseSpec
from fx_assets.tables import (
    INSTRUMENTS,
    PRICES,
    RAW_PRICES,
    SOURCES,
    UNIVERSE_PRICES,
    UNIVERSE_RAW_PRICES,
    UNIVERSE_SOURCES,
    Table,
)

FAILED, NONE_FAILED = "failed_instruments", "none"
"""Metadata of the bars: whose source failed, or whose batch was refused, with the reasons."""
GATE_CHECK = "every_instrument_passed_the_gate"


def instrument_partitions(spec: UniverseSpec) -> dg.DynamicPartitionsDefinition:
    """One partition an instrument; the asset ``<universe>/instruments`` adds them."""
    return dg.DynamicPartitionsDefinition(name=f"{spec.name}_instruments")


def panel_asset(
    spec: UniverseSpec, table: Table, description: str, *kinds: str, after: list[Table], **more: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of a universe: one of its tables, made from others of them.

    Of what a shard of the instruments has a run of its own for, several are at work together.
    """
    deps = [[spec.name, other.name] for other in after]
    spread = "partitions" in more and spec.shard_size is not None
    return asset_of(
        spec,
        table.name,
        description,
        *kinds,
        table=table,
        pool="" if spread else "update",
        most=spec.shard_size,
        deps=deps,
        **more,
    )


def build_instruments(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset that knows which instruments there are, and keeps the partitions equal to them."""

    @asset_of(
        spec,
        INSTRUMENTS.name,
        f"{spec.description} Every instrument that the source has, or has had; a new one becomes a "
        "partition of the universe's tables.",
        "deltalake",
        spec.source.kind,
        table=INSTRUMENTS,
        pool="discover",
        checks={FALLBACK_CHECK: "The list came from the live provider."},
    )
    def instruments(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> dg.MaterializeResult:
        from fx_assets.sources.listing import listed

        found, origin = listed(spec, settings.get(), clock.now())
        partitions = instrument_partitions(spec)
        known = set(context.instance.get_dynamic_partitions(str(partitions.name)))
        new = [name for name in found["instrument"] if name not in known]
        context.instance.add_dynamic_partitions(str(partitions.name), new)
        store, run_id = lake.open(), context.run.run_id
        if origin is not None:
            rows = pd.DataFrame([origin.model_dump()]).assign(instrument="")
            keys = list(UNIVERSE_SOURCES.key)
            store.insert_new(SOURCES.name, spec.name, rows, keys, run_id=run_id)
        commit = store.replace(INSTRUMENTS.name, spec.name, found, run_id=run_id)
        shown = [str(name) for name in found if found[name].astype(bool).any()]
        return dg.MaterializeResult(
            data_version=content_version(found),
            metadata={
                "dagster/row_count": len(found),
                "new_instruments": ", ".join(new) or "none",
                "delta_version": commit.version,
                **(provenance_metadata(origin) if origin else {}),
                "instruments": dg.MetadataValue.md(
                    markdown_table(shown, found[shown].to_numpy().tolist())
                ),
            },
            check_results=[
                fallback_result(origin)
                if origin
                else warning(FALLBACK_CHECK, True, "As it is declared.")
            ],
        )

    return instruments


def build_raw_prices(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset that judges each instrument's new bars alone, and appends those that pass."""

    @panel_asset(
        spec,
        UNIVERSE_RAW_PRICES,
        f"{bitemporal(spec)} An instrument whose batch the gate refuses does not stop the others.",
        "deltalake",
        spec.source.kind,
        after=[INSTRUMENTS],
        partitions=instrument_partitions(spec),
        checks={
            GATE_CHECK: "No instrument's batch was refused.",
            FALLBACK_CHECK: "Every instrument's provider answered.",
        },
    )
    def raw_prices(
        context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource
    ) -> dg.MaterializeResult:
        from fx_assets.stages.ingest import ingest_panel

        store, now, run_id = lake.open(), clock.now(), context.run.run_id
        there = set(store.read(INSTRUMENTS.name, spec.name)["instrument"])
        chosen = [name for name in context.partition_keys if name in there]
        made = ingest_panel(
            spec, store, settings.get(), chosen, context.run.tags, now=now, run_id=run_id
        )
        for instrument, found in made.found.items():
            if found.refused:
                tell_refusal(store, f"{spec.name}/{instrument}", found.refused, run_id)
        providers = Counter(f.batch.provenance.provider for f in made.found.values())
        stood_in = {
            name: f"{found.batch.provenance.provider}, for {found.batch.provenance.fallback_reason}"
            for name, found in made.found.items()
            if found.batch.provenance.fallback_reason
        }
        overridden = {
            name: ", ".join(finding.check for finding in found.overridden)
            for name, found in made.found.items()
            if found.overridden
        }
        return dg.MaterializeResult(
            metadata={
                "instruments": len(chosen),
                "rows_added": sum(len(f.accepted) for f in made.found.values()),
                "bars_revised": sum(f.brought.revised for f in made.found.values()),
                "rows_quarantined": sum(len(f.report.quarantined) for f in made.found.values()),
                "delta_version": store.version(RAW_PRICES.name, spec.name) or 0,
                "providers": ", ".join(f"{name} {n}" for name, n in sorted(providers.items())),
                FAILED: listed(made.failed) or NONE_FAILED,
                "failed_lowered_checks": listed(overridden) or "none",
            },
            check_results=[
                warning(
                    GATE_CHECK, not made.failed, listed(made.failed) or f"All {len(chosen)} passed."
                ),
                warning(FALLBACK_CHECK, not stood_in, listed(stood_in) or "As they are declared."),
            ],
        )

    return raw_prices


def build_prices(spec: UniverseSpec) -> dg.AssetsDefinition:
    """The asset of accepted bars as they are known now."""

    @panel_asset(
        spec,
        UNIVERSE_PRICES,
        f"{spec.description} The bars as known now, one row a bar.",
        "deltalake",
        after=[RAW_PRICES],
        partitions=instrument_partitions(spec),
        checks=FRESH,
    )
    def prices(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from fx_assets.lake.panel import replace_instruments
        from fx_assets.stages.ingest import panel_prices
        from fx_assets.stages.members import of_declared

        store, run_id = lake.open(), context.run.run_id
        rows, commits, held, last = 0, 0, dict[str, str](), pd.NaT
        for shard in spec.shards(of_declared(spec, store, context.partition_keys)):
            table, refused = panel_prices(spec, store, shard, clock.now())
            ours = set(shard) - set(refused)
            commits += replace_instruments(
                store, PRICES.name, spec.name, table, ours, run_id=run_id
            )
            rows, held = rows + len(table), held | refused
            last = max(filter(pd.notna, [last, table["event_time"].max()]), default=pd.NaT)
        return dg.MaterializeResult(
            metadata={
                "rows": rows,
                "commits": commits,
                "delta_version": store.version(PRICES.name, spec.name) or 0,
                "held_back": listed(held) or "none",
                "last_bar": "none" if pd.isna(last) else f"{last:%Y-%m-%d %H:%M} UTC",
            },
            check_results=[fresh_result(judge_panel(context.instance, store, spec, clock.now()))],
        )

    return prices


def listed(reasons: Mapping[str, str]) -> str:
    """Instruments, each with the reason."""
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
