"""Several fitted models whose predictions are pooled, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fx_assets.models.base import BLOCK, FloatArray, InputSpec, Model, described
from fx_assets.models.reads import Reads
from fx_assets.specs.forecast import POOL, TargetSpec
from fx_assets.targets.shown import Outcome


def to_pool(said: FloatArray, outcome: Outcome) -> FloatArray:
    """Predictions on the scale on which they are averaged.

    Logarithms of sizes, log-odds of probabilities, and other numbers as they are.
    """
    if outcome == "real":
        return said
    logs = np.log(said)
    return np.asarray(logs - np.log1p(-said) if outcome == "binary" else logs, dtype=np.float64)


def from_pool(pooled: FloatArray, outcome: Outcome) -> FloatArray:
    """The inverse of :func:`to_pool`."""
    if outcome == "real":
        return pooled
    grown = np.exp(-pooled if outcome == "binary" else pooled)
    return np.asarray(1 / (1 + grown) if outcome == "binary" else grown, dtype=np.float64)


def pooled(said: FloatArray, weights: FloatArray, target: TargetSpec) -> FloatArray:
    """(n, m) predictions of m models to (n,): the geometric mean of variances, the mean of returns,
    the mean log-odds of directions, each weighted."""
    outcome, limits = target.definition.outcome, target.definition.limits
    mean = (to_pool(said, outcome) * weights).sum(axis=1)
    return np.clip(from_pool(mean, outcome), *limits)


@dataclass(frozen=True)
class Pool:
    """Fitted models with what each reads and its weight; predicts as a fitted model does."""

    target: TargetSpec
    members: Mapping[str, Model[Any]]
    reads: Sequence[InputSpec]
    """What each member reads; the inputs are these, each once."""
    weights: FloatArray
    how: str
    """How the weights are found."""
    seed: int = 0

    @property
    def family(self) -> str:
        """``pool``."""
        return POOL

    @property
    def params(self) -> dict[str, Any]:
        """How the weights are found, and each of them."""
        told = {
            f"weight_{name}": float(w) for name, w in zip(self.members, self.weights, strict=True)
        }
        return {"weights": self.how, **told}

    @property
    def onnx_tolerance(self) -> float:
        """The largest of its members'."""
        return max(model.onnx_tolerance for model in self.members.values())

    def predict(self, X: ArrayLike) -> FloatArray:
        """(n, p) inputs to (n,) predictions."""
        inputs, out = np.asarray(X, dtype=np.float64), []
        for start in range(0, len(inputs), BLOCK):
            block = inputs[start : start + BLOCK]
            said = [
                model.predict(np.ascontiguousarray(block[:, first:last]))
                for model, (first, last) in zip(self.members.values(), self._places, strict=True)
            ]
            out.append(pooled(np.column_stack(said), self.weights, self.target))
        return np.concatenate(out) if out else np.empty(0)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:  # noqa: ARG002
        """There is none."""
        return None

    def to_onnx(
        self, *, feature_columns: Sequence[str] = (), metadata: Mapping[str, str] | None = None
    ) -> bytes:
        """One graph of all members' graphs; as :meth:`fx_assets.models.base.Model.to_onnx`."""
        import onnx

        from fx_assets.models.onnx_export import Graph

        names, definition = Reads.of(self.reads).names, self.target.definition
        graph, outcome = Graph(len(names)), definition.outcome
        terms = []
        for k, (model, place) in enumerate(zip(self.members.values(), self._places, strict=True)):
            inner = onnx.load_from_string(model.to_onnx(feature_columns=feature_columns))
            said = graph.value = graph.embed(inner, *place, f"member_{k}_")
            if outcome != "real":
                logs = graph.function("Log").value
                if outcome == "binary":
                    graph.value = graph.node("Sub", 1.0, said)
                    logs = graph.node("Sub", logs, graph.function("Log").value)
                graph.value = logs
            terms.append(graph.then("Mul", float(self.weights[k])).value)
        graph.value = terms[0]
        for term in terms[1:]:
            graph.then("Add", term)
        if outcome == "positive":
            graph.function("Exp")
        elif outcome == "binary":
            graph.then("Neg").function("Exp").then("Add", 1.0)
            graph.value = graph.node("Div", 1.0, graph.value)
        graph.clip(*definition.limits)
        return graph.to_bytes(described(self, names) | dict(metadata or {}))

    @property
    def _places(self) -> list[tuple[int, int]]:
        return Reads.of(self.reads).places(self.reads)


@dataclass(frozen=True)
class Calibrated(Pool):
    """A model of probabilities, the first member, with the baseline beside it.

    Their log-odds are averaged, by the share that the model has shown to know: a probability is
    the baseline's where that is 0, and the model's own where it is 1.
    """

    @property
    def model(self) -> Model[Any]:
        """What is calibrated."""
        return next(iter(self.members.values()))

    @property
    def family(self) -> str:
        """The model's."""
        return self.model.family

    @property
    def params(self) -> dict[str, Any]:
        """The model's, and its ``calibration``: the share of its log-odds, 0 to 1."""
        return {**self.model.params, "calibration": float(self.weights[0])}

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """The model's."""
        return self.model.feature_importance(names)
