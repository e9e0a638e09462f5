"""The whole graph on an S3 lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fx_assets.verify import verify_on_terminal
from fx_assets_tests.lake.conftest import s3, s3_endpoint
from fx_assets_tests.platform import Platform, failures, forecast_spec

__all__ = ["s3", "s3_endpoint"]


@pytest.mark.slow
def test_the_whole_graph_runs_on_s3(
    new_folder: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    rates: pd.DataFrame,
    s3: tuple[str, dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, options = s3
    platform = Platform(
        new_folder(),
        monkeypatch,
        forecasts=[forecast_spec(candidates=["persistence"])],
        environment={"FX_ASSETS_LAKE": root, **options, "AWS_REGION": "us-east-1"},
    )
    for day, runs in {
        "2018-03-28": (platform.ingest, platform.retrain),
        "2018-03-29": (lambda: platform.ingest("2018"),),
    }.items():
        platform.arrive(rates, day)
        for run in runs:
            result = run()
            assert result.success, failures(result)
    result = platform.run_requested(platform.sensor())
    assert result.success, failures(result)
    assert platform.lake.root == root
    assert list(platform.predictions().index) == ["2018-03-28", "2018-03-29"]
    assert len(platform.lake.read("outcomes", "direction")) == 1
    assert not (platform.folder / "data" / "lake").exists()

    assert verify_on_terminal(None, None) == 0
    said = platform.lake.read("predictions", "direction").sort_values("event_time")
    rows = said.reset_index(drop=True)
    rows.loc[0, "prediction"] += 1e-9
    platform.lake.replace("predictions", "direction", rows)
    capsys.readouterr()
    assert verify_on_terminal("direction", None) == 1
    assert "2018-03-28" in (told := capsys.readouterr().out)
    assert "was changed" in told
