"""One candidate as one MLflow run, through the client API.

The fluent ``log_model`` loads the model once more to guess its requirements and to try the input
example; here both are known, so a run costs a few database commits and file copies.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fx_assets import clock
from fx_assets.registry.records import DatasetInfo, LoggedModel

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

_INTERVAL = {"value": "", "lower": ".lower", "upper": ".upper", "n": ".n",
             "baseline_value": ".baseline"}  # fmt: skip
_MAX_PARAM = 6000
TRIALS_FILE = "trials.json"
_MAX_DIGEST = 36


@dataclass(frozen=True)
class Candidate:
    """Everything that is logged; the fields are those of ``ModelRegistry.log_candidate``."""

    forecast: str
    name: str
    recipe_hash: str
    params: Mapping[str, Any]
    metrics: pd.DataFrame
    onnx: bytes
    input_columns: list[str]
    example: np.ndarray[Any, Any]
    dataset: DatasetInfo
    figures: Mapping[str, bytes]
    tags: Mapping[str, str]
    parent_run_id: str | None
    trials: pd.DataFrame | None = None


def log(client: MlflowClient, experiment_id: str, candidate: Candidate) -> LoggedModel:
    """Log the candidate; the run ends as FINISHED, or as FAILED when this raises."""
    from mlflow.entities import LoggedModelOutput

    tags = {
        "forecast": candidate.forecast,
        "candidate": candidate.name,
        "recipe_hash": candidate.recipe_hash,
        **{f"delta.{t}": str(v) for t, v in candidate.dataset.versions.items()},
        **candidate.tags,
    }
    params = {key: str(value)[:_MAX_PARAM] for key, value in candidate.params.items()}
    params["recipe_hash"] = candidate.recipe_hash
    nested = {"mlflow.parentRunId": candidate.parent_run_id} if candidate.parent_run_id else {}
    run = client.create_run(experiment_id, tags={**tags, **nested}, run_name=candidate.name)
    run_id = str(run.info.run_id)
    try:
        model = client.create_logged_model(
            experiment_id,
            name=candidate.name,
            source_run_id=run_id,
            tags=tags,
            params=params,
            model_type=candidate.name,
        )
        model_id = str(model.model_id)
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder, "model")
            _save_model(saved, candidate, run_id, model)
            client.log_model_artifacts(model_id, str(saved))
            if candidate.figures:
                figures = Path(folder, "figures")
                figures.mkdir()
                for name, png in candidate.figures.items():
                    (figures / f"{name}.png").write_bytes(png)
                client.log_artifacts(run_id, str(figures), "figures")
        if candidate.trials is not None:
            client.log_table(run_id, candidate.trials, TRIALS_FILE)
        client.finalize_logged_model(model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
        _log_dataset(client, run_id, candidate.dataset)
        client.log_batch(
            run_id, metrics=_metrics(candidate, run_id, model_id), params=_params(params)
        )
        client.set_terminated(run_id, "FINISHED")
    except BaseException:
        _end_as_failed(client, run_id)
        raise
    return LoggedModel(candidate.forecast, run_id, experiment_id, model_id)


def _log_dataset(client: MlflowClient, run_id: str, dataset: DatasetInfo) -> None:
    """Log the dataset; again if another run created the same dataset at the same moment."""
    from mlflow.exceptions import MlflowException
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

    def created_meanwhile(error: BaseException) -> bool:
        return isinstance(error, MlflowException) and "unique constraint" in str(error).lower()

    for attempt in Retrying(
        retry=retry_if_exception(created_meanwhile),
        stop=stop_after_attempt(5),
        wait=wait_random(0, 0.2),
        reraise=True,
    ):
        with attempt:
            client.log_inputs(run_id, [_dataset_input(dataset)])


def _end_as_failed(client: MlflowClient, run_id: str) -> None:
    with suppress(Exception):
        client.set_terminated(run_id, "FAILED")


def _params(params: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in params.items()]


def _metrics(candidate: Candidate, run_id: str, model_id: str) -> list[Any]:
    from mlflow.entities import Metric

    moment = int(clock.now().timestamp() * 1000)
    data = {"dataset_name": candidate.dataset.name, "dataset_digest": _digest(candidate.dataset)}
    values = {
        f"{row['metric']}{suffix}": float(row[column])
        for row in candidate.metrics.to_dict("records")
        for column, suffix in _INTERVAL.items()
        if row.get(column) is not None
    }
    return [
        Metric(key, value, moment, 0, model_id=model_id, run_id=run_id, **data)
        for key, value in values.items()
        if math.isfinite(value)
    ]


def _digest(dataset: DatasetInfo) -> str:
    return dataset.row_hash[:_MAX_DIGEST]


def _dataset_input(dataset: DatasetInfo) -> Any:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = DeltaDatasetSource(path=dataset.uri, delta_table_version=dataset.version)
    profile = {
        "num_rows": dataset.rows,
        "row_hash": dataset.row_hash,
        "first_event": dataset.first_event.isoformat(),
        "last_event": dataset.last_event.isoformat(),
        "delta_versions": dict(dataset.versions),
    }
    entity = Dataset(
        name=dataset.name,
        digest=_digest(dataset),
        source_type="delta_table",
        source=source.to_json(),
        profile=json.dumps(profile),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def _save_model(folder: Path, candidate: Candidate, run_id: str, logged: Any) -> None:
    import mlflow.onnx
    import onnx
    from mlflow.models import Model
    from mlflow.utils import environment

    # MLflow would look at every file of every installed package to warn of versions that are
    # not the installed ones; those below are.
    vars(environment)["warn_dependency_requirement_mismatches"] = lambda _: None
    proto = onnx.load_model_from_string(candidate.onnx)
    rows = np.asarray(candidate.example, dtype=np.float64)
    mlflow.onnx.save_model(
        proto,
        str(folder),
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            run_id=run_id,
            model_id=logged.model_id,
        ),
        signature=_signature(candidate.input_columns, proto),
        input_example=_example(candidate.input_columns, rows),
        pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        metadata={
            "forecast": candidate.forecast,
            "recipe_hash": candidate.recipe_hash,
            "onnx_sha256": hashlib.sha256(candidate.onnx).hexdigest(),
        },
        save_as_external_data=False,
    )


def _signature(columns: list[str], proto: Any) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    output = proto.graph.output[0].name
    if columns:
        inputs = Schema([ColSpec(DataType.double, name) for name in columns])
        outputs = Schema([ColSpec(DataType.float, output)])
    else:
        name = proto.graph.input[0].name
        inputs = Schema([TensorSpec(np.dtype(np.float64), (-1, 0), name)])
        outputs = Schema([TensorSpec(np.dtype(np.float32), (-1,), output)])
    return ModelSignature(inputs, outputs)


def _example(columns: list[str], rows: np.ndarray[Any, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns) if columns and len(rows) else None
