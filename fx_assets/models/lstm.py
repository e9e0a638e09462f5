"""Recurrent network over the last bars' features (LSTM; Hochreiter and Schmidhuber, 1997).

PyTorch fits it; predictions need ONNX Runtime only, since the fitted object runs its own graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from fx_assets.models._linear import Z_LIMIT
from fx_assets.models.base import (
    INPUT_LIMIT,
    FeatureWindow,
    FloatArray,
    Model,
    Params,
    up_share,
)
from fx_assets.specs.forecast import TargetSpec
from fx_assets.specs.tuning import Range, Space

if TYPE_CHECKING:
    import torch

    from fx_assets.models.onnx_export import Graph
    from fx_assets.models.onnx_predict import OnnxModel

LENGTH: Final = 24
"""Rows of the feature set that a row of inputs holds."""
FEWEST_ROWS: Final = 100
"""With fewer training rows the constant is predicted."""
VALIDATION: Final = 0.15
"""Share of the training rows, the newest, that decide when to stop."""

_TOLERANCES: Final = {"binary": 1e-5, "real": 1e-7}
_GATES: Final = (0, 3, 1, 2)
"""PyTorch's order of the gates (input, forget, cell, output) in ONNX's (input, output, ...)."""


class LstmParams(Params):
    lookback: Annotated[int, Field(ge=1, le=LENGTH)] = 20
    """Bars that are read, 1 to 24."""
    hidden: Annotated[int, Field(ge=1, le=256)] = 16
    """Units of the one layer, 1 to 256."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Step of Adam, above 0 and at most 1."""
    weight_decay: NonNegativeFloat = 0.001
    """Strength of the ridge penalty on weights, at least 0."""
    batch_size: PositiveInt = 256
    """Rows of a step, at least 1."""
    max_epochs: PositiveInt = 30
    """Most passes over the training rows, at least 1."""
    patience: PositiveInt = 5
    """Passes without a better validation loss after which training stops, at least 1."""


class Lstm(Model[LstmParams]):
    """One layer of LSTM cells over the newest rows of the feature set, and a linear read-out.

    Each feature is filled with its training median, standardised and limited to 10 standard
    deviations. Loss: logistic for direction, squared error on standardised returns. The newest
    15 % of the training rows, purged by the horizon, decide after which pass the weights are
    kept; before the first, the network predicts the constant, which may win. CPU, one thread.

    Attributes
    ----------
    constant_
        The prediction where the target was constant or rows were fewer than 100, else None.
    fill_, mean_, scale_
        (p,) training medians, means and standard deviations of the features.
    weights_
        The network's weights by PyTorch's names, single precision; None with a constant.
    offset_, spread_
        The prediction is ``offset_ + spread_ *`` the read-out, or its logistic function.
    epochs_
        The pass whose weights are kept; 0 is the constant.
    importance_
        (p,) rise of the validation loss when a feature is shuffled over the rows.
    """

    name = "lstm"
    targets = ("binary", "real")
    inputs = FeatureWindow(LENGTH)
    libraries = ("torch",)
    extra = "lstm"
    params_type = LstmParams
    search_space: ClassVar[Space] = {
        "lookback": [5, 10, 20],
        "hidden": [8, 16, 32],
        "learning_rate": Range(low=0.001, high=0.02, log=True),
    }

    def __init__(self, *, target: TargetSpec, seed: int = 0, **params: Any) -> None:
        super().__init__(target=target, seed=seed, **params)
        self.onnx_tolerance = _TOLERANCES[target.definition.outcome]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_served"}

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        vars(self).pop("_served", None)
        direction = self.target.definition.outcome == "binary"
        self.constant_, self.weights_ = None, None
        if y.min() == y.max() or len(y) < FEWEST_ROWS:
            self.constant_ = up_share(y) if direction else float(y.mean())
            return
        self._learn_scales(X)
        self.offset_ = 0.0 if direction else float(y.mean())
        self.spread_ = 1.0 if direction else float(y.std())
        share = up_share(y)
        start = math.log(share / (1 - share)) if direction else 0.0
        Z = self._standardised(X)
        found = _train(
            Z, (y - self.offset_) / self.spread_, start, self.target, self.settings, self.seed
        )
        self.weights_, self.epochs_, self.importance_ = found

    def _learn_scales(self, X: FloatArray) -> None:
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import StandardScaler

        newest = np.clip(X[:, -(X.shape[1] // LENGTH) :], -INPUT_LIMIT, INPUT_LIMIT)
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        scaler = StandardScaler().fit(imputer.fit_transform(newest))
        self.fill_: FloatArray = imputer.statistics_
        self.mean_: FloatArray = scaler.mean_
        self.scale_: FloatArray = scaler.scale_

    def _standardised(self, X: FloatArray) -> np.ndarray[Any, Any]:
        """(n, lookback, p) standardised features in single precision, the newest last."""
        lookback = self.settings.lookback
        cube = X.reshape(len(X), LENGTH, -1)[:, -lookback:]
        out = np.empty(cube.shape, dtype=np.float32)
        for bar in range(lookback):
            rows = np.where(np.isnan(cube[:, bar]), self.fill_, cube[:, bar])
            with np.errstate(over="ignore"):
                out[:, bar] = np.clip((rows - self.mean_) / self.scale_, -Z_LIMIT, Z_LIMIT)
        return out

    def _predict(self, X: FloatArray) -> FloatArray:
        if self.constant_ is not None:
            return np.full(len(X), self.constant_)
        return self._served.predict(X)

    @cached_property
    def _served(self) -> OnnxModel:
        from fx_assets.models.onnx_predict import OnnxModel

        return OnnxModel(self._graph().to_bytes({"family": self.family, "columns": "[]"}))

    def _graph(self) -> Graph:
        from fx_assets.models.onnx_export import Graph

        graph = Graph(self.n_features_in_)
        if self.constant_ is not None or self.weights_ is None:
            return graph.fill_rows(self.constant_ or 0.0)
        graph.where_nan(np.tile(self.fill_, LENGTH)).then("Sub", np.tile(self.mean_, LENGTH))
        graph.then("Div", np.tile(self.scale_, LENGTH)).clip(-Z_LIMIT, Z_LIMIT)
        graph.recurrent(
            "LSTM",
            steps=LENGTH,
            last=self.settings.lookback,
            weights=_in_onnx_order(self.weights_["lstm.weight_ih_l0"]),
            recurrence=_in_onnx_order(self.weights_["lstm.weight_hh_l0"]),
            bias=np.concatenate(
                [_in_onnx_order(self.weights_[f"lstm.bias_{part}_l0"]) for part in ("ih", "hh")]
            ),
        )
        graph.dot(self.weights_["head.weight"][0].astype(np.float64))
        graph.then("Add", float(self.weights_["head.bias"][0]))
        if self.target.definition.outcome == "binary":
            return graph.function("Sigmoid")
        return graph.then("Mul", self.spread_).then("Add", self.offset_)

    def feature_importance(self, names: Sequence[str]) -> dict[str, float] | None:
        """Rise of the validation loss when a feature is shuffled over the rows, at least 0."""
        if self.weights_ is None:
            return dict.fromkeys(names, 0.0)
        return dict(zip(names, np.maximum(self.importance_, 0.0).tolist(), strict=True))


def _in_onnx_order(gates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Reorder the four blocks of a gate matrix or vector."""
    blocks = np.split(gates, 4)
    return np.concatenate([blocks[i] for i in _GATES])


def _train(
    Z: np.ndarray[Any, Any],
    y: FloatArray,
    start: float,
    target: TargetSpec,
    settings: LstmParams,
    seed: int,
) -> tuple[dict[str, np.ndarray[Any, Any]], int, FloatArray]:
    """The best weights, the pass that they are of, and each feature's importance.

    Randomness comes from a generator of this fit's own, so that fits in other threads change
    nothing; one thread fixes the order of sums.
    """
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(seed)
    lstm = nn.LSTM(Z.shape[2], settings.hidden, batch_first=True)
    head = nn.Linear(settings.hidden, 1)
    network = nn.ModuleDict({"lstm": lstm, "head": head})
    reach = settings.hidden**-0.5
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -reach, reach, generator=generator)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, start)

    direction = target.definition.outcome == "binary"
    loss_of = nn.BCEWithLogitsLoss() if direction else nn.MSELoss()
    inputs, targets = torch.from_numpy(Z), torch.from_numpy(y.astype(np.float32))
    n_validation = max(1, round(VALIDATION * len(y)))
    n_train = max(1, len(y) - n_validation - target.horizon)
    held_out = inputs[-n_validation:], targets[-n_validation:]

    def read_out(rows: torch.Tensor) -> torch.Tensor:
        states, _ = lstm(rows)
        said: torch.Tensor = head(states[:, -1])[:, 0]
        return said

    @torch.no_grad()
    def validation_loss(rows: torch.Tensor) -> float:
        return float(loss_of(read_out(rows), held_out[1]))

    def weights() -> dict[str, np.ndarray[Any, Any]]:
        return {name: value.numpy().copy() for name, value in network.state_dict().items()}

    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, kept, kept_epoch = validation_loss(held_out[0]), weights(), 0
    for epoch in range(1, settings.max_epochs + 1):
        order = torch.randperm(n_train, generator=generator)
        for first in range(0, n_train, settings.batch_size):
            batch = order[first : first + settings.batch_size]
            optimiser.zero_grad()
            loss_of(read_out(inputs[batch]), targets[batch]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        loss = validation_loss(held_out[0])
        if loss < best:
            best, kept, kept_epoch = loss, weights(), epoch
        elif epoch - kept_epoch >= settings.patience:
            break

    network.load_state_dict({name: torch.from_numpy(value) for name, value in kept.items()})
    order = torch.randperm(n_validation, generator=generator)
    importance = np.zeros(Z.shape[2])
    for feature in range(Z.shape[2]):
        shuffled = held_out[0].clone()
        shuffled[:, :, feature] = shuffled[order, :, feature]
        importance[feature] = validation_loss(shuffled) - best
    return kept, kept_epoch, importance
