"""The lake, the registry and the I/O manager as Dagster resources.

Local and production differ in the settings that are read here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import dagster as dg
from pydantic import PrivateAttr

from fx_assets import clock
from fx_assets.errors import LakeError
from fx_assets.heartbeats import SHARD, WRITES, heartbeat
from fx_assets.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from fx_assets.evaluation.study import Study
    from fx_assets.lake import Lake
    from fx_assets.registry.runs import ModelRegistry
    from fx_assets.series.tables import SeriesTables

UNIQUE_KEY = "fx_assets/unique_key"
"""Asset metadata: the columns that identify a row of an append-only table."""
LINEAGE = "dagster/column_lineage"
"""Asset metadata: what each column is made of; Dagster reads it from materializations."""


@lru_cache(maxsize=8)
def _open_lake(root: str, duckdb_file: str) -> Lake:
    from fx_assets.lake import Lake

    return Lake(root, Path(duckdb_file))


@lru_cache(maxsize=8)
def _open_registry(tracking_uri: str, artifact_root: str) -> ModelRegistry:
    from fx_assets.registry.runs import ModelRegistry

    registry = ModelRegistry(tracking_uri, artifact_root)
    registry.prepare()
    return registry


def unopened_registry() -> ModelRegistry:
    """The deployment's registry, not yet connected: who only looks need not import MLflow."""
    from fx_assets.registry.runs import ModelRegistry

    settings = Settings()
    return ModelRegistry(settings.mlflow_uri, settings.mlflow_artifact_root)


class LakeResource(dg.ConfigurableResource):
    """The tables: a folder or ``s3://bucket/prefix``, and a file of DuckDB views."""

    root: str
    duckdb_file: str

    def open(self) -> Lake:
        """The lake; one instance a process."""
        return _open_lake(self.root, self.duckdb_file)


SeriesOf: TypeAlias = "Callable[[LakeResource], SeriesTables]"
"""A forecast's tables in a lake."""


class RegistryResource(dg.ConfigurableResource):
    """MLflow: experiments and the model registry.

    Its settings are read when it is used: what a resource is configured with stands in Dagster's
    pages and records, and the URI may hold a password.
    """

    def page(self, path: str) -> str:
        """Address of a page of MLflow's UI."""
        from fx_assets.registry.links import ui_link

        return ui_link(Settings().mlflow_ui, path)

    def open(self) -> ModelRegistry:
        """The registry; its database is created on first use."""
        settings = Settings()
        return _open_registry(settings.mlflow_uri, settings.mlflow_artifact_root)


class StudiesResource(dg.ConfigurableResource):
    """What a forecast's assets share in one run: folds, inputs, and what was walked forward."""

    _known: dict[str, tuple[pd.DataFrame, Study]] = PrivateAttr(default_factory=dict)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Start without any."""
        self._known = {}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Let go of the frames."""
        self._known = {}

    def of(self, own: SeriesTables, features: pd.DataFrame) -> Study:
        """The forecast's study of these features, made once."""
        known = self._known.get(own.forecast)
        if known is None or not known[0].equals(features):
            known = self._known[own.forecast] = features, own.study(own.frame(features))
        return known[1]


@dg.resource(description="The MLflow run that stands for a Dagster run; candidates nest below it.")
def mlflow_parent(context: dg.InitResourceContext) -> Iterator[Any]:
    """``dagster_mlflow``'s resource, imported only in runs that need it.

    Its closing hook is not used: it ends the parent at the first failing candidate, which breaks
    the others. The experiment is the forecast's when one forecast is retrained, else ``retrain``.
    """
    settings = Settings()
    run = context.run
    experiment = run.job_name.removesuffix("_retrain") if run else "retrain"
    if experiment.startswith("__"):
        experiment = "retrain"
    registry = _open_registry(settings.mlflow_uri, settings.mlflow_artifact_root)
    own = None
    if run:
        name = f"retrain of {clock.now():%Y-%m-%d %H:%M}"
        note = run.tags.get("reason", "") or f"Dagster run {run.run_id}"
        # Where steps run in processes of their own, each asks for the parent.
        with _open_lake(settings.lake_root, str(settings.duckdb_file)).lock(f"mlflow-{experiment}"):
            own = registry.parent(experiment, run.run_id, name, note)

    from dagster_mlflow import mlflow_tracking

    config: dict[str, Any] = {
        "experiment_name": experiment,
        "mlflow_tracking_uri": registry.tracking_uri,
        "parent_run_id": None,
        "mlflow_run_id": own,
        "env": {},
        "env_to_tag": None,
        "extra_tags": None,
    }
    tracking = cast("Any", mlflow_tracking.resource_fn)(context.replace_config(config))
    resource = next(tracking)
    try:
        yield resource
    finally:
        tracking.close()
        failed = bool(
            context.instance and run and context.instance.get_run_stats(run.run_id).steps_failed
        )
        resource.end_run("FAILED" if failed else "FINISHED")


def table_of(key: dg.AssetKey) -> tuple[str, str]:
    """The table that an asset key stands for, and its name in the lake."""
    name, table, *of = key.path
    return table, ".".join((name, *of))


class DeltaIOManager(dg.ConfigurableIOManager):
    """Stores each asset's frame as one atomic commit of its Delta table.

    A partitioned asset replaces the rows whose ``event_time`` lies in the run's window, which may
    span many partitions; an asset with :data:`UNIQUE_KEY` only ever adds rows; any other is
    replaced whole.

    The DuckDB file follows the commits of a run, those of the assets' own included, when it ends.
    """

    lake: LakeResource

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[DeltaIOManager]:
        """The manager of one run, which gives signs of its life, also while it waits its turn."""
        lake, run = self.lake.open(), context.run
        with ExitStack() as stack:
            if run is not None and context.instance is not None:
                stack.enter_context(heartbeat(context.instance, run.run_id))
                for pool in sorted(pools_of(run)):
                    stack.enter_context(lake.turn(pool, run.run_id, _tell(context.log, pool)))
            stack.enter_context(lake.deferred_views())
            yield self

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        lake = self.lake.open()
        table, name = table_of(context.asset_key)
        told = context.definition_metadata or {}
        keys = told.get(UNIQUE_KEY)
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
                **({LINEAGE: told[LINEAGE]} if LINEAGE in told else {}),
            }
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        table, name = table_of(context.asset_key)
        frame = self.lake.open().read(table, name)
        if "event_time" not in frame:
            return frame
        if context.has_asset_partitions:
            window = context.asset_partitions_time_window
            times = frame["event_time"]
            frame = frame[(times >= window.start) & (times < window.end)]
        return frame.sort_values("event_time", kind="stable", ignore_index=True)


def pools_of(run: dg.DagsterRun) -> set[str]:
    """The pools of a run's steps, and its shard, whoever began it; one run of each is at work.

    Dagster's queue sees to that where it is set up to; runs that did not come from it wait here.
    """
    known = run.run_op_concurrency
    pools = set(known.all_pools or ()) if known else set()
    return pools | ({run.tags[WRITES]} if SHARD in run.tags else set())


def _tell(log: Any, pool: str) -> Callable[[str], None]:
    def tell(other: str) -> None:
        log.info(f"waits for run {other or 'of another process'}, which is at work on {pool}")

    return tell


class SettingsResource(dg.ConfigurableResource):
    """The deployment's settings, for assets that talk to providers."""

    def get(self) -> Settings:
        """Settings read from the environment now."""
        return Settings()


def resources() -> dict[str, object]:
    """Every resource, configured from the environment."""
    settings = Settings()
    if "://" not in settings.lake_root:
        _make_folder(settings.lake_root)
    lake = LakeResource(root=settings.lake_root, duckdb_file=str(settings.duckdb_file))
    return {
        "lake": lake,
        "registry": RegistryResource(),
        "mlflow": mlflow_parent,
        "studies": StudiesResource(),
        "settings": SettingsResource(),
        "io_manager": DeltaIOManager(lake=lake),
    }


def _make_folder(root: str) -> None:
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(
            f"The lake's folder {root} cannot be made: {error.strerror}.",
            remedy="Set FX_ASSETS_LAKE to a folder that can be written to, or to s3://bucket/prefix.",
        ) from error
