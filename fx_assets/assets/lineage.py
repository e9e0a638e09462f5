"""OpenLineage events of runs: what each step read and wrote, column by column.

Off unless OpenLineage's own settings name a receiver. Runs are told of when they are looked at,
from Dagster's records, never by the run itself: a receiver that is away delays what it is told, and
no run. An event may come twice; its run, type and time are the same then.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dagster as dg

from fx_assets.assets.runs import failures_in, failures_of
from fx_assets.faults import release
from fx_assets.plural import counted
from fx_assets.resources import LINEAGE, table_of
from fx_assets.settings import Settings
from fx_assets.specs.base import Record
from fx_assets.tables import CATALOGUE

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

BOUND_SECONDS = 10.0
"""Longest that a look waits for the receiver."""
LOOK_SECONDS = 30
FIRST_LOOK_BACK = timedelta(days=1)
"""How old the runs are that the first look tells of."""
MOST_RUNS = 50
"""That are told of in one look."""
_REMEMBERED = 200
_CURSOR = "fx_assets/openlineage"
_TABLES = frozenset(table.name for table in CATALOGUE)
_SCHEMA = "dagster/column_schema"
_ENDS = {
    dg.DagsterRunStatus.SUCCESS: "COMPLETE",
    dg.DagsterRunStatus.FAILURE: "FAIL",
    dg.DagsterRunStatus.CANCELED: "ABORT",
}
_STEPS = {
    dg.DagsterEventType.STEP_START: "START",
    dg.DagsterEventType.STEP_SUCCESS: "COMPLETE",
    dg.DagsterEventType.STEP_FAILURE: "FAIL",
}
_PRODUCER = f"https://pypi.org/project/fx-assets/{release()}"


class _Told(Record):
    """Until when runs have been told of; which of them had begun, and which were over."""

    since: float
    begun: tuple[str, ...] = ()
    over: tuple[str, ...] = ()


def wanted() -> bool:
    """Whether OpenLineage's settings name a receiver, and do not switch it off."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    named = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
    return any(os.environ.get(name) for name in named) or any(
        name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ
    )


def lineage_sensors(status: dg.DefaultSensorStatus) -> list[dg.SensorDefinition]:
    """The sensor that tells of runs; none where nobody is to be told."""
    if not wanted():
        return []

    @dg.sensor(
        name="openlineage",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=status,
        description="Tells OpenLineage's receiver what runs have read and written.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        repository = context.repository_def
        return dg.SkipReason(tell_lineage(context.instance, repository) if repository else "")

    return [sensor]


def tell_lineage(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> str:
    """Tell the receiver of runs that began or ended since the last look; in words what was done.

    It takes :data:`BOUND_SECONDS` at most, and raises nothing. What could not be told is told by a
    later look.
    """
    if find_spec("openlineage") is None:
        return "OpenLineage's client is missing: pip install 'fx-assets[openlineage]'."
    work = _Work(instance, repository)
    thread = threading.Thread(target=work.do, daemon=True)
    thread.start()
    thread.join(BOUND_SECONDS)
    work.stopped.set()
    if thread.is_alive():
        work.problem = f"no answer within {BOUND_SECONDS:g} s"
    told = f"OpenLineage was told of {counted(work.runs, 'run')}."
    return f"{told} The rest waits: {work.problem}." if work.problem else told


class _Work:
    """One look, in a thread that nobody has to wait for."""

    def __init__(self, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> None:
        self.instance, self.repository = instance, repository
        self.runs, self.problem, self.stopped = 0, "", threading.Event()

    def do(self) -> None:
        try:
            client = _client()
            for events, told in _new(self.instance, self.repository):
                for event in events:
                    if self.stopped.is_set():
                        return
                    client.emit(event)
                self.instance.daemon_cursor_storage.set_cursor_values(
                    {_CURSOR: told.model_dump_json()}
                )
                self.runs += bool(events)
            client.close(BOUND_SECONDS)
        except Exception as error:  # whatever a receiver or its client does, no run suffers
            self.problem = f"{type(error).__name__} of the receiver or its client"


def _client() -> OpenLineageClient:
    """A client by the environment, which it would add to."""
    from openlineage.client import OpenLineageClient

    before = dict(os.environ)
    # Its warnings repeat what is in a variable that it cannot read, which may be a key.
    logging.getLogger("openlineage.client.client").setLevel(logging.ERROR)
    try:
        return OpenLineageClient()
    finally:
        for name in [n for n in os.environ if n.startswith("OPENLINEAGE__") and n not in before]:
            del os.environ[name]


def _new(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition
) -> Iterator[tuple[list[RunEvent], _Told]]:
    """The events of each run that changed, with what is told once they are sent."""
    stored = instance.daemon_cursor_storage.get_cursor_values({_CURSOR}).get(_CURSOR)
    if stored is None:
        told = _Told(since=(datetime.now(UTC) - FIRST_LOOK_BACK).timestamp())
    else:
        told = _Told.model_validate_json(stored)
    since = datetime.fromtimestamp(told.since - 1, UTC)  # Runs may have changed in one moment.
    changed = instance.get_run_records(
        dg.RunsFilter(updated_after=since), MOST_RUNS, "update_timestamp", ascending=True
    )
    for record in changed:
        run_id, status = record.dagster_run.run_id, record.dagster_run.status
        begun, over, events = list(told.begun), list(told.over), _Events(repository, record)
        sent: list[RunEvent] = []
        if run_id not in over and (status is dg.DagsterRunStatus.STARTED or status in _ENDS):
            if run_id not in begun:
                sent.append(events.of_run("START", record.start_time))
                begun.append(run_id)
            if status in _ENDS:
                sent += events.of_steps(instance)
                why = [failure.sentence for failure in failures_of(instance, run_id)]
                sent.append(events.of_run(_ENDS[status], record.end_time, why))
                begun.remove(run_id)
                over.append(run_id)
        told = _Told(
            since=record.update_timestamp.timestamp(),
            begun=tuple(begun[-_REMEMBERED:]),
            over=tuple(over[-_REMEMBERED:]),
        )
        yield sent, told


class _Events:
    """The events of one run."""

    def __init__(self, repository: dg.RepositoryDefinition, record: dg.RunRecord) -> None:
        self.run, self.graph = record.dagster_run, repository.asset_graph
        self.namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "fx-assets"
        self.root = Settings().lake_root
        self._created = record.create_timestamp.timestamp()

    def of_run(self, kind: str, at: float | None, why: Iterable[str] = ()) -> RunEvent:
        """That the run began or ended."""
        return self._event(kind, at or self._created, self.run.run_id, self.run.job_name, why=why)

    def of_steps(self, instance: dg.DagsterInstance) -> list[RunEvent]:
        """What each step read and wrote, as runs within the run."""
        of_type = {*_STEPS, dg.DagsterEventType.ASSET_MATERIALIZATION}
        made: dict[str, list[dg.AssetMaterialization]] = {}
        found = []
        for entry in instance.all_logs(self.run.run_id, of_type=of_type):
            event, step = entry.dagster_event, entry.step_key or ""
            if event is None or not step:
                continue
            if entry.asset_materialization is not None:
                made.setdefault(step, []).append(entry.asset_materialization)
                continue
            kind = _STEPS[event.event_type]
            why = [failure.message for failure in failures_in([event])]
            trace = event.step_failure_data.error_display_string if why else None
            wrote = made.get(step, []) if kind == "COMPLETE" else []
            run_id = str(uuid.uuid5(uuid.UUID(self.run.run_id), step))
            name = step.replace("__", "/")
            told = self._event(
                kind, entry.timestamp, run_id, name, within=True, why=why, trace=trace
            )
            told.inputs = [self._input(key) for key in self._read_by(wrote)]
            told.outputs = [self._output(one) for one in wrote]
            found.append(told)
        return found

    def _event(
        self,
        kind: str,
        at: float,
        run_id: str,
        name: str,
        *,
        within: bool = False,
        why: Iterable[str] = (),
        trace: str | None = None,
    ) -> RunEvent:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run
        from openlineage.client.facet_v2 import processing_engine_run as engine

        facets: dict[str, Any] = {
            "processing_engine": engine.ProcessingEngineRunFacet(dg.__version__, name="Dagster")
        }
        if within:
            parent = parent_run.Job(self.namespace, self.run.job_name)
            run = parent_run.Run(self.run.run_id)
            facets["parent"] = parent_run.ParentRunFacet(run=run, job=parent)
        text = "\n".join(why)
        if text:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(text, "PYTHON", trace)
        about = job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="DAGSTER", jobType="STEP" if within else "JOB"
        )
        for facet in (*facets.values(), about):
            facet._producer = _PRODUCER
        return RunEvent(
            eventType=RunState[kind],
            eventTime=datetime.fromtimestamp(at, UTC).isoformat(),
            run=Run(run_id, facets=facets),
            job=Job(self.namespace, name, facets={"jobType": about}),
            producer=_PRODUCER,
        )

    def _read_by(self, made: Sequence[dg.AssetMaterialization]) -> list[dg.AssetKey]:
        keys = {one.asset_key for one in made}
        known = [self.graph.get(key) for key in sorted(keys) if self.graph.has(key)]
        return sorted({parent for node in known for parent in node.parent_keys} - keys)

    def _input(self, key: dg.AssetKey) -> InputDataset:
        from openlineage.client.event_v2 import InputDataset

        namespace, name = self._place(key)
        return InputDataset(namespace, name, facets=self._facets(key, {}))

    def _output(self, made: dg.AssetMaterialization) -> OutputDataset:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

        namespace, name = self._place(made.asset_key)
        rows = _said(made.metadata, "rows_written")
        facets = self._facets(made.asset_key, made.metadata, lineage=True)
        counted: dict[str, Any] = {}
        if rows is not None:
            fact = statistics.OutputStatisticsOutputDatasetFacet(rowCount=int(rows))
            fact._producer = _PRODUCER
            counted["outputStatistics"] = fact
        return OutputDataset(namespace, name, facets=facets, outputFacets=counted)

    def _facets(
        self, key: dg.AssetKey, said: Mapping[str, Any], *, lineage: bool = False
    ) -> dict[str, Any]:
        from openlineage.client.facet_v2 import column_lineage_dataset as columns
        from openlineage.client.facet_v2 import dataset_version_dataset, schema_dataset

        declared = self.graph.get(key).metadata if self.graph.has(key) else {}
        facets: dict[str, Any] = {}
        schema = _said(said, _SCHEMA) or _said(declared, _SCHEMA)
        if schema is not None:
            field = schema_dataset.SchemaDatasetFacetFields
            facets["schema"] = schema_dataset.SchemaDatasetFacet(
                [field(one.name, one.type, one.description) for one in schema.columns]
            )
        version = _said(said, "delta_version")
        if version is not None and version >= 0:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(version))
        parts = (_said(said, LINEAGE) or _said(declared, LINEAGE)) if lineage else None
        if parts is not None:
            facets["columnLineage"] = columns.ColumnLineageDatasetFacet(
                {
                    column: columns.Fields(
                        [columns.InputField(*self._place(d.asset_key), d.column_name) for d in deps]
                    )
                    for column, deps in parts.deps_by_column.items()
                }
            )
        for facet in facets.values():
            facet._producer = _PRODUCER
        return facets

    def _place(self, key: dg.AssetKey) -> tuple[str, str]:
        """Namespace and name of an asset: of a table where it lies, of others who makes them."""
        if len(key.path) < 2 or key.path[1] not in _TABLES:
            return self.namespace, "/".join(key.path)
        table, name = table_of(key)
        scheme, found, path = self.root.partition("://")
        if not found:
            return "file", f"{self.root}/{table}/{name}"
        bucket, _, prefix = path.partition("/")
        return f"{scheme}://{bucket}", "/".join(filter(None, [prefix, table, name]))


def _said(metadata: Mapping[str, Any], name: str) -> Any:
    value = metadata.get(name)
    return getattr(value, "value", value)
