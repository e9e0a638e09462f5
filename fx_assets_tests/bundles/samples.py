"""Bundles of champions small enough to read, and a folder of blobs in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from fx_assets.bundles.bundle import Bundle, ChampionFacts, Golden
from fx_assets.errors import LakeError
from fx_assets.registry.records import DatasetInfo

COLUMNS = ["log_return", "rsi_14", "macd"]
METRICS = pd.DataFrame(
    [("brier", 0.2491, 0.2471, 0.2511, 5000, 0.25), ("skill", 0.0036, np.nan, 0.01, 5000, 0.0)],
    columns=["metric", "value", "lower", "upper", "n", "baseline_value"],
)
DATASET = DatasetInfo(
    name="eurusd_direction/features",
    uri="/lake/features/eurusd_direction",
    version=3,
    versions={"features/eurusd_direction": 3, "raw_prices/ecb_eurusd": 1},
    rows=7000,
    row_hash="f" * 64,
    first_event=datetime(1999, 1, 4, 13, 15, tzinfo=UTC),
    last_event=datetime(2026, 1, 2, 13, 15, tzinfo=UTC),
)


def linear_graph(weights: list[float], bias: float = 0.1) -> bytes:
    """ONNX of ``inputs @ weights + bias`` in double precision, as ``Model.to_onnx`` gives it."""
    from onnx import TensorProto, helper

    n = len(weights)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["inputs", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["prediction"]),
        ],
        "linear",
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, [None, n])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        [
            helper.make_tensor("w", TensorProto.DOUBLE, [n], weights),
            helper.make_tensor("b", TensorProto.DOUBLE, [1], [bias]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"family": "linear", "columns": "[]"})
    return bytes(model.SerializeToString())


WEIGHTS = [1.0, 0.5, -0.25]
ROWS = np.array([[0.01, 0.4, 0.1], [-0.02, 0.6, -0.1], [0.0, 0.5, 0.0]])


def candidate(**changes: Any) -> dict[str, Any]:
    """Arguments of ``log_candidate``."""
    arguments: dict[str, Any] = {
        "forecast": "eurusd_direction",
        "candidate_name": "logistic_regression",
        "recipe_hash": "0123456789abcdef",
        "params": {"C": 0.1, "seed": 0},
        "metrics": METRICS,
        "onnx": linear_graph(WEIGHTS),
        "input_columns": COLUMNS,
        "example": ROWS,
        "dataset": DATASET,
        "figures": {"reliability": b"\x89PNG one", "loss": b"\x89PNG two"},
        "tags": {"dagster_run_id": "d-1"},
    }
    return arguments | changes


class Folder:
    """Blobs in a dictionary; ``before_write`` may raise to stop a writer there."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.stop_at: str | None = None

    def write_blob(self, path: str, data: bytes) -> str:
        if self.stop_at and path.endswith(self.stop_at):
            raise KeyboardInterrupt
        self.files[path] = data
        self.writes.append(path)
        return path

    def read_blob(self, path: str) -> bytes:
        if path not in self.files:
            raise LakeError(f"There is no file {path}.")
        return self.files[path]

    def blob_exists(self, path: str) -> bool:
        return path in self.files

    def list_blobs(self, prefix: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))


def champion(version: int = 1, weights: list[float] = WEIGHTS, **changes: Any) -> Bundle:
    """A bundle of a linear graph."""
    day = datetime(2026, 1, 2, 13, 15, tzinfo=UTC)
    facts = ChampionFacts(
        forecast="eurusd_direction",
        feed="ecb_eurusd",
        calendar="target",
        instrument="EURUSD",
        target="direction",
        horizon=1,
        version=version,
        mlflow_version=version,
        candidate="logistic_regression",
        family="logistic_regression",
        params={"C": 0.1},
        recipe="0123456789abcdef",
        code_version="fedcba",
        feature_set="fx_close",
        columns=tuple(COLUMNS),
        input_names=tuple(COLUMNS),
        target_unit="probability",
        baseline={"family": "base_rate", "column": "baseline_mean"},
        decision={"verdict": "replace", "p_value": float("nan")},
        skill={"demonstrated": False},
        intervals={"kind": "direction"},
        trained_through=day,
        label_end=day,
        data_as_of=day,
        n_rows=7000,
        train_row_hash="f" * 64,
        table_versions={"features/eurusd_direction": 3},
        mlflow_run_id="abc",
        parity=1e-12,
        tolerance=1e-9,
    )
    onnx = linear_graph(weights)
    bundle = Bundle(facts, onnx, Golden.of(ROWS, ROWS @ np.array(weights) + 0.1))
    return replace(bundle, facts=facts.model_copy(update=changes))
