"""LightGBM's trees as ONNX nodes.

LightGBM splits at doubles. The converters round thresholds to single precision, which sends a row
near a threshold the other way; here inputs and thresholds stay doubles, so that every row reaches
the leaf that it reaches in LightGBM. Only the sum of leaves is rounded to single precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, numpy_helper

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

ZERO: Final = float(np.float32(1e-35))
"""LightGBM reads inputs of at most this size as zero."""


@dataclass
class _Nodes:
    """The parallel lists of a TreeEnsembleRegressor."""

    tree: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    mode: list[str] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    yes: list[int] = field(default_factory=list)
    no: list[int] = field(default_factory=list)
    nan_is_yes: list[int] = field(default_factory=list)
    leaf_tree: list[int] = field(default_factory=list)
    leaf_node: list[int] = field(default_factory=list)
    leaf_value: list[float] = field(default_factory=list)

    def add(self, tree: int, structure: Mapping[str, Any]) -> None:
        """Number a tree's nodes from its root, parents first."""
        pending, numbered = [structure], 1
        for number, found in enumerate(pending):
            split = "split_feature" in found
            self.tree.append(tree)
            self.node.append(number)
            self.mode.append("BRANCH_LEQ" if split else "LEAF")
            self.feature.append(found["split_feature"] if split else 0)
            self.threshold.append(found["threshold"] if split else 0.0)
            self.yes.append(numbered if split else 0)
            self.no.append(numbered + 1 if split else 0)
            self.nan_is_yes.append(int(split and _nan_goes_left(found)))
            if split:
                pending += [found["left_child"], found["right_child"]]
                numbered += 2
            else:
                self.leaf_tree.append(tree)
                self.leaf_node.append(number)
                self.leaf_value.append(found["leaf_value"])


def _nan_goes_left(split: Mapping[str, Any]) -> bool:
    """Where no NaN was seen in training, LightGBM reads NaN as zero."""
    if split["missing_type"] == "NaN":
        return bool(split["default_left"])
    return bool(split["threshold"] >= 0)


def tree_ensemble(graph: Graph, dump: Mapping[str, Any]) -> Graph:
    """Continue a graph of doubles with the raw score of ``Booster.dump_model()``."""
    small = graph.node("LessOrEqual", graph.node("Abs", graph.value), ZERO)
    graph.value = graph.node("Where", small, 0.0, graph.value)
    nodes = _Nodes()
    for number, tree in enumerate(dump["tree_info"]):
        nodes.add(number, tree["tree_structure"])
    graph.then(
        "TreeEnsembleRegressor",
        domain="ai.onnx.ml",
        n_targets=1,
        post_transform="NONE",
        aggregate_function="SUM",
        nodes_treeids=nodes.tree,
        nodes_nodeids=nodes.node,
        nodes_modes=nodes.mode,
        nodes_featureids=nodes.feature,
        nodes_values_as_tensor=_doubles(nodes.threshold),
        nodes_truenodeids=nodes.yes,
        nodes_falsenodeids=nodes.no,
        nodes_missing_value_tracks_true=nodes.nan_is_yes,
        target_treeids=nodes.leaf_tree,
        target_nodeids=nodes.leaf_node,
        target_ids=[0] * len(nodes.leaf_value),
        target_weights_as_tensor=_doubles(nodes.leaf_value),
    )
    return graph.column(0)


def _doubles(values: list[float]) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=np.float64))
