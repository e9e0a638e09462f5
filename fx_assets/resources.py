"""The lake, the registry and the I/O manager as Dagster resources.

Local and production differ in the settings that are read here, and nowhere else.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from fx_assets.errors import FxAssetsError
from fx_assets.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from fx_assets.lake import Lake
    from fx_assets.registry.mlflow_registry import ModelRegistry

UNIQUE_KEY = "fx_assets/unique_key"
"""Asset metadata: the columns that identify a row of an append-only table."""


@lru_cache(maxsize=8)
def _open_lake(root: str, duckdb_file: str) -> Lake:
    from fx_assets.lake import Lake

    return Lake(root, Path(duckdb_file))


class LakeResource(dg.ConfigurableResource):
    """The tables: a folder or ``s3://bucket/prefix``, and a file of DuckDB views."""

    root: str
    duckdb_file: str

    def open(self) -> Lake:
        """The lake; one instance a process."""
        return _open_lake(self.root, self.duckdb_file)


class RegistryResource(dg.ConfigurableResource):
    """MLflow: experiments and the model registry."""

    tracking_uri: str
    artifact_root: str
    ui: str

    def page(self, path: str) -> str:
        """Address of a page of MLflow's UI."""
        from fx_assets.registry.links import ui_link

        return ui_link(self.ui, path)

    def open(self) -> ModelRegistry:
        """The registry; its database is created on first use."""
        from fx_assets.registry.mlflow_registry import ModelRegistry

        registry = ModelRegistry(self.tracking_uri, self.artifact_root)
        registry.prepare()
        return registry


def mlflow_parent_run(context: dg.AssetExecutionContext) -> str | None:
    """The MLflow run that stands for this Dagster run."""
    return None


def table_of(key: dg.AssetKey) -> tuple[str, str]:
    """The table and the feed or forecast that an asset key stands for."""
    name, table = key.path[0], key.path[-1]
    return table, name


class DeltaIOManager(dg.ConfigurableIOManager):
    """Stores each asset's frame as one atomic commit of its Delta table.

    A partitioned asset replaces the rows whose ``event_time`` lies in the run's window, which may
    span many partitions; an asset with :data:`UNIQUE_KEY` only ever adds rows; any other is
    replaced whole.
    """

    lake: LakeResource

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        lake = self.lake.open()
        table, name = table_of(context.asset_key)
        keys = (context.definition_metadata or {}).get(UNIQUE_KEY)
        if keys:
            commit = lake.insert_new(table, name, obj, list(keys), run_id=context.run_id)
        elif context.has_asset_partitions:
            window = context.asset_partitions_time_window
            commit = lake.replace_where(
                table,
                name,
                obj,
                column="event_time",
                start=window.start,
                end=window.end,
                run_id=context.run_id,
            )
        else:
            commit = lake.replace(table, name, obj, run_id=context.run_id)
        context.add_output_metadata(
            {
                "dagster/uri": f"{lake.root}/{table}/{name}",
                "delta_version": commit.version if commit.version is not None else -1,
                "rows_written": commit.rows,
            }
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        table, name = table_of(context.asset_key)
        frame = self.lake.open().read(table, name)
        if not context.has_asset_partitions or "event_time" not in frame:
            return frame
        window = context.asset_partitions_time_window
        inside = (frame["event_time"] >= window.start) & (frame["event_time"] < window.end)
        return frame[inside].reset_index(drop=True)


class SettingsResource(dg.ConfigurableResource):
    """The deployment's settings, for assets that talk to providers."""

    def get(self) -> Settings:
        """Settings read from the environment now."""
        return Settings()


def resources() -> dict[str, object]:
    """Every resource, configured from the environment."""
    settings = Settings()
    if "://" not in settings.lake_root:
        Path(settings.lake_root).mkdir(parents=True, exist_ok=True)
    lake = LakeResource(root=settings.lake_root, duckdb_file=str(settings.duckdb_file))
    return {
        "lake": lake,
        "registry": RegistryResource(
            tracking_uri=settings.mlflow_uri,
            artifact_root=settings.mlflow_artifact_root,
            ui=settings.mlflow_ui,
        ),
        "settings": SettingsResource(),
        "io_manager": DeltaIOManager(lake=lake),
    }


def as_failure(error: FxAssetsError) -> dg.Failure:
    """Our error as a Dagster failure that is not retried: trying again would not help."""
    return dg.Failure(description=str(error), allow_retries=False)
