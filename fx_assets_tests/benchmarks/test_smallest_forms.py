"""Every benchmark runs, here in the smallest form that it has; figures are for full runs."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import pipeline, serving
from fx_assets.testing.lakes import served_lake

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
)
QUICK = {
    "benchmarks.densities": ("--quick", "garch_t around zero"),
    "benchmarks.compare_rates": ("--worlds 1 --recipes 1", "| volatility, 20 bars, 5,588 rows |"),
    "benchmarks.drift_delays": (
        "--worlds 1 --history 1200 --real-years 1 --columns 1 --processes 1",
        "one day stale",
    ),
    "benchmarks.economics": ("--quick --processes 1", "| 4 of alike | 1,200 |"),
    "benchmarks.features": ("--rows 60000", "65 of ohlcv"),
    "benchmarks.fuzz_serving": ("--requests 60", "beside 300 half-open clients"),
    "benchmarks.gate": ("--seeds 0", "real fixings of 41 currencies"),
    "benchmarks.monitoring": ("--look", "."),
    "benchmarks.pools": ("--quick", "| 90 % intervals, bars ahead |"),
    "benchmarks.promotion_simulation": (
        "--quick --processes 1",
        "14 looks in a year",
    ),
    "benchmarks.universe_rates": ("--quick --processes 1", "260 bars in a year"),
    "benchmarks.universe": ("--sizes 2 --bars 900", "| 2 |"),
}
"""What takes seconds: arguments, and what is printed."""
SECONDS = {
    "benchmarks.universe",
    "benchmarks.economics",
    "benchmarks.pools",
    "benchmarks.promotion_simulation",
    "benchmarks.monitoring",
    "benchmarks.drift_delays",
    "benchmarks.gate",
    "benchmarks.fuzz_serving",
}
"""Those of them whose stages other tests drive."""
SLOW = {
    "benchmarks.drill": ("--days 2 --no-faults --processes 1", "nothing lost"),
    "benchmarks.images": ("--starts 1", "ratio"),
    "benchmarks.intraday": ("--minutes 0 --hours 2500", "| its prediction | 2 predictions |"),
    "benchmarks.pipeline": ("", "| one new bar |"),
    "benchmarks.year": ("--hours 26 --years 1", "GB to the lake"),
    "benchmarks.scale_out": (
        "--instruments 4 --hours 1100 --shard-size 2 --workers 2",
        "| 2 | 8 |",
    ),
    "benchmarks.serving": ("--rounds 1 --seconds 1 --soak 3", "0 errors, 0 wrong"),
}
"""What starts many processes of its own."""
DECLARED = {
    "feeds/fixings": """\
type: fx_assets.components.PriceFeed
attributes:
  name: fixings
  source: {kind: ecb, quote: USD}
  start: 2020-01-01
""",
    "feeds/vendor": """\
type: fx_assets.components.PriceFeed
attributes:
  name: vendor
  source: {kind: twelve_data, symbol: EUR/USD}
  calendar: 24x5
  automatic: false
""",
    "forecasts/direction": """\
type: fx_assets.components.Forecast
attributes:
  name: direction
  feed: fixings
  target: {kind: direction}
  candidates: [persistence]
  walk_forward: {first_test: 2023-01-01, min_train: 250}
""",
    "forecasts/of_the_vendor": """\
type: fx_assets.components.Forecast
attributes:
  name: of_the_vendor
  feed: vendor
  target: {kind: direction}
  candidates: [persistence]
""",
}
"""A forecast of fixings, and one whose vendor nobody may ask."""


def run_as(name: str) -> str:
    """The module that ``python -m name`` runs."""
    return f"{name}.__main__" if (ROOT / name.replace(".", "/")).is_dir() else name


def image_is_there() -> bool:
    """Whether an engine for containers runs and has the server's image."""
    if shutil.which("docker") is None:
        return False
    look = ["docker", "image", "inspect", "fx-assets-serving"]
    return subprocess.run(look, capture_output=True).returncode == 0


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in DECLARED.items():
        (tmp_path / "defs" / name).mkdir(parents=True)
        (tmp_path / "defs" / name / "defs.yaml").write_text(text)
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path / "defs"))
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    return tmp_path / "defs"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_the_benchmarks_can_be_imported(module: str) -> None:
    importlib.import_module(module)


def test_every_benchmark_has_a_smallest_form_that_is_run_here() -> None:
    doors = (name for name in MODULES if name.count(".") == 1 or name.endswith(".__main__"))
    runnable = {name for name in doors if hasattr(importlib.import_module(name), "main")}
    assert runnable == {run_as(name) for name in (*QUICK, *SLOW)}


def test_every_benchmark_of_the_makefile_is_a_module_that_can_be_run() -> None:
    text = (ROOT / "Makefile").read_text()
    asked = set(re.findall(r"python -m (benchmarks[\w.]*)", text))
    assert "benchmarks/" not in text, "a path's own folder comes first, not the project's"
    assert {"benchmarks.pipeline", "benchmarks.gate", "benchmarks.serving"} <= asked
    assert asked <= {*QUICK, *SLOW}


@pytest.mark.parametrize(
    "module",
    [pytest.param(m, marks=pytest.mark.slow) if m in SECONDS else m for m in QUICK],
)
def test_a_benchmark_runs_in_its_smallest_form(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, printed = QUICK[module]
    monkeypatch.setattr(sys, "argv", [module, *arguments.split()])
    importlib.import_module(run_as(module)).main()
    assert printed in capsys.readouterr().out


def test_plain_python_asks_no_vendor_of_a_feed_that_is_not_automatic(
    declared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for name, value in pipeline.offline(tmp_path).items():
        monkeypatch.setenv(name, value)
    shutil.copy(pipeline.packaged_snapshot(), tmp_path / pipeline.SNAPSHOT)
    monkeypatch.setattr(sys, "argv", ["pipeline", "--plain"])
    pipeline.main()
    sentences = capsys.readouterr().out.splitlines()
    assert len(sentences) == 1


def test_mlflow_serves_the_trees_of_our_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in serving.MLFLOW.items():
        monkeypatch.setenv(name, value)
    import mlflow.pyfunc

    lake = served_lake.ServedLake(tmp_path, trees=3, depth=2, versions=1)
    model = mlflow.pyfunc.load_model(str(serving.save_for_mlflow(lake, tmp_path / "mlflow")))
    row = pd.DataFrame([lake.newest], columns=list(lake.columns))
    said = lake.models[1].predict(lake.newest[None])
    assert model.predict(row) == pytest.approx(said, abs=1e-6)


def test_hello_world_says_hello() -> None:
    from benchmarks.hello import hello

    assert asyncio.run(hello()) == {"message": "Hello World"}


@pytest.mark.slow
@pytest.mark.parametrize("module", SLOW)
@pytest.mark.timeout(900)
def test_a_benchmark_of_many_processes_runs_in_its_smallest_form(
    module: str, declared: Path
) -> None:
    if module == "benchmarks.serving" and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    if module == "benchmarks.images" and not image_is_there():
        pytest.skip("there is no engine with the image fx-assets-serving: make images")
    arguments, printed = SLOW[module]
    environment = dict(os.environ)
    if module != "benchmarks.pipeline":
        environment.pop("FX_ASSETS_DECLARED")
    run = subprocess.run(
        [sys.executable, "-m", module, *arguments.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert printed in run.stdout, run.stdout + run.stderr
    # The server's targets of speed are not asked of a machine that does other work.
    assert run.returncode == 0 or module == "benchmarks.serving", run.stderr
