"""One candidate as one MLflow run, through the client API.

The fluent ``log_model`` loads the model once more to guess its requirements and to try the input
example; here both are known, so a run costs a few database commits and file copies.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fx_assets import clock
from fx_assets.registry.records import CandidateRun, LoggedModel
from fx_assets.tables import FEATURES

if TYPE_CHECKING:
    from mlflow import MlflowClient

_INTERVAL = {"value": "", "lower": ".lower", "upper": ".upper", "n": ".n",
             "baseline_value": ".baseline"}  # fmt: skip
_MAX_PARAM = 6000
TRIALS_FILE = "trials.json"
_MAX_DIGEST = 36


def log(client: MlflowClient, experiment_id: str, candidate: CandidateRun) -> LoggedModel:
    """Log the candidate; the run ends as FINISHED, or as FAILED when this raises."""
    from mlflow.entities import LoggedModelOutput

    facts = candidate.facts
    tags = {
        "forecast": facts.forecast,
        "candidate": facts.candidate,
        "recipe_hash": facts.recipe,
        **{f"delta.{t}": str(v) for t, v in facts.table_versions.items()},
        **({"mlflow.source.git.commit": facts.commit} if facts.commit else {}),
        **({"image": facts.image} if facts.image else {}),
        **candidate.tags,
    }
    params = {key: str(value)[:_MAX_PARAM] for key, value in candidate.params.items()}
    params["recipe_hash"] = facts.recipe
    nested = {"mlflow.parentRunId": candidate.parent_run_id} if candidate.parent_run_id else {}
    run = client.create_run(experiment_id, tags={**tags, **nested}, run_name=facts.candidate)
    run_id = str(run.info.run_id)
    try:
        model = client.create_logged_model(
            experiment_id,
            name=facts.candidate,
            source_run_id=run_id,
            tags=tags,
            params=params,
            model_type=facts.candidate,
        )
        model_id = str(model.model_id)
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder, "model")
            _save_model(saved, candidate, run_id, model)
            client.log_model_artifacts(model_id, str(saved))
            if candidate.figures:
                figures = Path(folder, "figures")
                figures.mkdir()
                for name, svg in candidate.figures.items():
                    (figures / f"{name}.svg").write_text(svg)
                client.log_artifacts(run_id, str(figures), "figures")
        if candidate.trials is not None:
            client.log_table(run_id, candidate.trials, TRIALS_FILE)
        client.finalize_logged_model(model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
        _log_dataset(client, run_id, candidate)
        client.log_batch(
            run_id, metrics=_metrics(candidate, run_id, model_id), params=_params(params)
        )
        client.set_terminated(run_id, "FINISHED")
    except BaseException:
        _end_as_failed(client, run_id)
        raise
    return LoggedModel(
        forecast=facts.forecast, run_id=run_id, experiment_id=experiment_id, model_id=model_id
    )


def _log_dataset(client: MlflowClient, run_id: str, candidate: CandidateRun) -> None:
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
            client.log_inputs(run_id, [_dataset_input(candidate)])


def _end_as_failed(client: MlflowClient, run_id: str) -> None:
    with suppress(Exception):
        client.set_terminated(run_id, "FAILED")


def _params(params: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in params.items()]


def _metrics(candidate: CandidateRun, run_id: str, model_id: str) -> list[Any]:
    from mlflow.entities import Metric

    moment = int(clock.now().timestamp() * 1000)
    data = {"dataset_name": _dataset_name(candidate), "dataset_digest": _digest(candidate)}
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


def _dataset_name(candidate: CandidateRun) -> str:
    return f"{candidate.facts.forecast}/{FEATURES.name}"


def _digest(candidate: CandidateRun) -> str:
    return candidate.facts.train_row_hash[:_MAX_DIGEST]


def _dataset_input(candidate: CandidateRun) -> Any:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    facts = candidate.facts
    table = f"{FEATURES.name}/{facts.features_names[0]}"
    source = DeltaDatasetSource(
        path=f"{candidate.root}/{table}", delta_table_version=facts.table_versions.get(table, 0)
    )
    profile = {
        "num_rows": facts.n_rows,
        "row_hash": facts.train_row_hash,
        "first_event": candidate.first_event.isoformat(),
        "last_event": facts.trained_through.isoformat(),
        "delta_versions": facts.table_versions,
    }
    entity = Dataset(
        name=_dataset_name(candidate),
        digest=_digest(candidate),
        source_type="delta_table",
        source=source.to_json(),
        profile=json.dumps(profile),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def _save_model(folder: Path, candidate: CandidateRun, run_id: str, logged: Any) -> None:
    import mlflow.onnx
    import onnx
    from mlflow.models import Model
    from mlflow.utils import environment

    # MLflow would look at every file of every installed package to warn of versions that are
    # not the installed ones; those below are.
    vars(environment)["warn_dependency_requirement_mismatches"] = lambda _: None
    # Nor does anybody need to hear that pip is not installed, as in environments made by uv.
    logging.getLogger(environment.__name__).setLevel(logging.ERROR)
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
        signature=_signature(candidate.facts.input_names, proto),
        input_example=_example(candidate.facts.input_names, rows),
        pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        metadata={
            "forecast": candidate.facts.forecast,
            "recipe_hash": candidate.facts.recipe,
            "onnx_sha256": hashlib.sha256(candidate.onnx).hexdigest(),
        },
        save_as_external_data=False,
    )


def _signature(columns: Sequence[str], proto: Any) -> Any:
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


def _example(columns: Sequence[str], rows: np.ndarray[Any, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns)) if columns and len(rows) else None
