"""One simulated frame, and every family with every target that it predicts, fitted on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from fx_assets.doors import FAMILIES
from fx_assets.models import Model, build_model, model_class, model_inputs
from fx_assets.specs import TargetSpec

ROWS = 2600
TRAIN = slice(600, 2000)
TEST = slice(600, 2600)
FEATURE_NAMES = ("last_return", "next_sign_hint", "volatility", "large", "tiny", "noise")
QUICK: dict[str, dict[str, Any]] = {
    "lstm": {"lookback": 5, "hidden": 8, "max_epochs": 4, "learning_rate": 0.02}
}
"""Hyper-parameters of families whose defaults take long to fit."""
HORIZONS = {"direction": (1,), "return": (1,), "volatility": (1, 20)}


@dataclass(frozen=True)
class Case:
    """A family and a target."""

    family: str
    target: TargetSpec

    def build(self, seed: int = 7, **params: Any) -> Model[Any]:
        return build_model(self.family, self.target, QUICK.get(self.family, {}) | params, seed)

    @property
    def model_class(self) -> type[Model[Any]]:
        return model_class(self.family)

    @property
    def reads_features(self) -> bool:
        return self.model_class.reads_features()

    @property
    def feature_columns(self) -> tuple[str, ...]:
        return FEATURE_NAMES if self.reads_features else ()

    @property
    def width(self) -> int:
        return self.model_class.input_columns(FEATURE_NAMES).width

    def rows(self, where: slice = slice(None)) -> np.ndarray:
        return model_inputs(frame(self.target), self.model_class, FEATURE_NAMES)[where]

    def targets(self, where: slice = slice(None)) -> np.ndarray:
        return frame(self.target)["target"][where]

    def __str__(self) -> str:
        return f"{self.family}-{self.target.kind}-{self.target.horizon}"


INSTALLED = [family for family in FAMILIES if family != "lstm" or find_spec("torch")]
CASES = [
    Case(family, TargetSpec(kind=kind, horizon=horizon))
    for family, found in FAMILIES.items()
    if family in INSTALLED
    for kind in found.targets
    for horizon in HORIZONS[kind]
]


@cache
def simulated_returns(n: int, seed: int, nu: float = 8.0) -> np.ndarray:
    """GARCH(1,1) log returns with alpha 0.08, beta 0.9 and Student-t errors."""
    alpha, beta, unconditional = 0.08, 0.9, 0.006**2
    noise = np.random.default_rng(seed).standard_t(nu, n) * np.sqrt((nu - 2) / nu)
    returns = np.empty(n)
    variance = unconditional
    for i in range(n):
        returns[i] = np.sqrt(variance) * noise[i]
        variance = (1 - alpha - beta) * unconditional + alpha * returns[i] ** 2 + beta * variance
    return returns


@cache
def frame(target: TargetSpec) -> dict[str, np.ndarray]:
    """A labelled frame as arrays; the hint knows the next return, with much noise."""
    rng = np.random.default_rng(11)
    horizon = target.horizon
    path = simulated_returns(ROWS + horizon, seed=3)
    returns = path[:ROWS]
    ahead = np.lib.stride_tricks.sliding_window_view(path[1:], horizon)
    labels = {
        "direction": (ahead.sum(axis=1) > 0).astype(float),
        "return": ahead.sum(axis=1),
        "volatility": (ahead**2).sum(axis=1),
    }[target.kind]
    known = np.full(ROWS, np.nan)
    known[horizon:] = labels[:-horizon]
    mean = np.full(ROWS, np.nan)
    mean[horizon:] = np.cumsum(labels[:-horizon]) / np.arange(1, ROWS - horizon + 1)
    log_return = returns.copy()
    log_return[0] = np.nan
    return {
        "log_return": log_return,
        "last_return": returns,
        "next_sign_hint": path[1 : ROWS + 1] + 0.012 * rng.standard_normal(ROWS),
        "volatility": np.sqrt(np.convolve(returns**2, np.ones(10) / 10)[:ROWS]),
        "large": 1e9 + 1e7 * rng.standard_normal(ROWS),
        "tiny": 1e-9 * rng.standard_normal(ROWS),
        "noise": rng.standard_normal(ROWS),
        "baseline_mean": mean,
        "last_target": known,
        "target": labels,
    }


@cache
def fitted(case: Case) -> Model[Any]:
    """The case's model with default parameters, fitted on the training rows."""
    return case.build().fit(case.rows(TRAIN), case.targets(TRAIN))


@cache
def exported(case: Case) -> bytes:
    """The ONNX graph of :func:`fitted`."""
    return fitted(case).to_onnx(feature_columns=case.feature_columns)


def hostile_rows(width: int) -> np.ndarray:
    """Rows of NaN, infinities, zeros and sizes at the end of both precisions, alone and mixed."""
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320, 1e30, -1e30, 1e39, -1e39, 1e308, -1e308]
    uniform = np.repeat(np.array(values)[:, None], width, axis=1)
    rng = np.random.default_rng(5)
    mixed = rng.choice(values, size=(200, width))
    ordinary = np.where(rng.random((200, width)) < 0.5, rng.standard_normal((200, width)), mixed)
    return np.vstack([uniform, mixed, ordinary])
