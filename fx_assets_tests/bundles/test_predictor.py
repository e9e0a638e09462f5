"""What is said with a prediction belongs to that very prediction."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.bundles.predictor import Predictor
from fx_assets.bundles.records import BundleRef, LoadedBundle, Manifest
from fx_assets.models.onnx_predict import OnnxModel
from fx_assets.testing.lakes import hourly_lake, small_lake
from fx_assets.testing.lakes.samples import linear_graph


@cache
def predictor(kind: str) -> Predictor:
    """Says whatever its first input is."""
    made = small_lake.bundle(1) if kind == "direction" else hourly_lake.bundle(kind)
    now = made.facts.data_as_of
    manifest = Manifest(**made.facts.model_dump(), created_at=now, files={})
    weights = [1.0, *[0.0] * (len(made.facts.columns) - 1)]
    model = OnnxModel(linear_graph(weights, 0.0))
    ref = BundleRef(manifest.forecast, 1, "", now)
    return Predictor(LoadedBundle(ref, manifest, model, made.golden))


@pytest.mark.parametrize("kind", ["direction", "return", "volatility"])
@given(value=st.floats(0, 1), scale=st.floats(1e-9, 1), volatility=st.floats(1e-6, 10))
def test_each_interval_holds_its_own_value(
    kind: str, value: float, scale: float, volatility: float
) -> None:
    tool = predictor(kind)
    said = value if kind == "direction" else value * scale
    row = np.zeros((1, len(tool.manifest.columns)))
    row[0, 0] = said if kind != "return" else said - scale / 2
    (made,) = tool.predict(row, volatility=volatility, baseline_mean=0.5)
    assert made.lower <= made.prediction <= made.upper
    lower, upper = tool.intervals.interval(made.prediction, volatility)
    assert made.lower == min(lower, made.prediction)
    assert made.upper == max(upper, made.prediction)
