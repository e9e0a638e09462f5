"""Trees as ONNX nodes, for what the converters do not convert, or not exactly.

LightGBM splits at doubles. The converters round thresholds to single precision, which sends a row
near a threshold the other way; here inputs and thresholds stay doubles, so that every row reaches
the leaf that it reaches in the library. Only the sum of leaves is rounded to single precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from onnx import TensorProto, numpy_helper

if TYPE_CHECKING:
    from fx_assets.models.onnx_export import Graph

Tree: TypeAlias = Mapping[str, Any]
"""A node with all below it, as ``Booster.dump_model()`` of LightGBM describes it."""
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
    leaf_output: list[int] = field(default_factory=list)

    def add(self, structure: Tree, output: int, branch: str) -> None:
        """Number a tree's nodes from its root, parents first."""
        tree = self.tree[-1] + 1 if self.tree else 0
        pending, numbered = [structure], 1
        for number, found in enumerate(pending):
            split = "split_feature" in found
            self.tree.append(tree)
            self.node.append(number)
            self.mode.append(branch if split else "LEAF")
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
                self.leaf_output.append(output)


def _nan_goes_left(split: Mapping[str, Any]) -> bool:
    """Where no NaN was seen in training, LightGBM reads NaN as zero."""
    if split["missing_type"] == "NaN":
        return bool(split["default_left"])
    return bool(split["threshold"] >= 0)


def lightgbm_scores(graph: Graph, dumps: Sequence[Mapping[str, Any]]) -> Graph:
    """Continue a graph of doubles with the raw score of each ``Booster.dump_model()``: (n, k)."""
    small = graph.node("LessOrEqual", graph.node("Abs", graph.value), ZERO)
    graph.value = graph.node("Where", small, 0.0, graph.value)
    trees = [[each["tree_structure"] for each in dump["tree_info"]] for dump in dumps]
    return _ensemble(graph, trees, "BRANCH_LEQ")


def xgboost_scores(graph: Graph, dumps: Sequence[Tree], outputs: int) -> Graph:
    """Continue a graph of doubles with the sums of the leaves that ``Booster.get_dump`` describes.

    ``dumps`` are parsed from JSON; their outputs take turns. XGBoost reads single precision.
    """
    graph.then("Cast", to=TensorProto.FLOAT).then("Cast", to=TensorProto.DOUBLE)
    trees = [[_as_lightgbm(tree) for tree in dumps[k::outputs]] for k in range(outputs)]
    return _ensemble(graph, trees, "BRANCH_LT")


def _as_lightgbm(node: Tree) -> Tree:
    if "leaf" in node:
        return {"leaf_value": node["leaf"]}
    below = {child["nodeid"]: _as_lightgbm(child) for child in node["children"]}
    return {
        "split_feature": int(node["split"].removeprefix("f")),
        "threshold": float(np.float32(node["split_condition"])),
        "left_child": below[node["yes"]],
        "right_child": below[node["no"]],
        "missing_type": "NaN",
        "default_left": node["missing"] == node["yes"],
    }


def _ensemble(graph: Graph, trees: Sequence[Sequence[Tree]], branch: str) -> Graph:
    """Sums of the leaves of the trees of each output, as doubles."""
    nodes = _Nodes()
    for output, own in enumerate(trees):
        for tree in own:
            nodes.add(tree, output, branch)
    graph.then(
        "TreeEnsembleRegressor",
        domain="ai.onnx.ml",
        n_targets=len(trees),
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
        target_ids=nodes.leaf_output,
        target_weights_as_tensor=_doubles(nodes.leaf_value),
    )
    return graph.then("Cast", to=TensorProto.DOUBLE)


def _doubles(values: list[float]) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=np.float64))
