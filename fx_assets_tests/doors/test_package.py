"""A stranger's package, installed beside the wheel, is declared, proved, judged and served."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from fx_assets.testing import worlds
from fx_assets_tests.environments import (
    OFFLINE,
    first_answer,
    free_ports,
    install,
    plain_environment,
    said,
)

PACKAGE = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "acme-signals"
version = "1.0"

[project.entry-points."fx_assets.families"]
acme_line = "acme_signals.line:Line"

[project.entry-points."fx_assets.feature_sets"]
acme_pulse = "acme_signals.pulse:Pulse"

[tool.setuptools]
packages = ["acme_signals"]
""",
    "acme_signals/__init__.py": "",
    "acme_signals/pulse.py": '''\
from fx_assets.features import Feature, FeatureSetDefinition


class Pulse(FeatureSetDefinition):
    """The log return of the last bar."""

    name = "acme_pulse"
    reads = ("close",)

    @classmethod
    def features(cls, bar):
        return (Feature("pulse_1", "log return of the last bar", "log return", 1, pulse),)


def pulse(bars):
    return bars.change(1)
''',
    "acme_signals/line.py": '''\
import numpy as np

from fx_assets.models import FEATURES, Model, Params
from fx_assets.models.onnx_export import Graph


class Line(Model[Params]):
    """A line through the mean, without a penalty."""

    name = "acme_line"
    targets = ("return",)
    inputs = FEATURES
    params_type = Params

    def _fit(self, X, y):
        Z = filled(X)
        self.mean_ = float(y.mean())
        self.slopes_ = np.linalg.lstsq(Z, y - self.mean_, rcond=None)[0]

    def _predict(self, X):
        return (filled(X) * self.slopes_).sum(axis=1) + self.mean_

    def _graph(self):
        graph = Graph(len(self.slopes_)).where_nan(np.zeros(len(self.slopes_))).clip(-10.0, 10.0)
        return graph.dot(self.slopes_).then("Add", self.mean_)


def filled(X):
    return np.clip(np.where(np.isnan(X), 0.0, X), -10.0, 10.0)
''',
}
PROJECT = {
    "feeds/acme": """\
type: fx_assets.components.PriceFeed
attributes:
  name: acme
  source: {kind: files, path: acme.csv, instrument: ACMEUSD}
  start: 2010-01-01
""",
    "forecasts/acme_return": """\
type: fx_assets.components.Forecast
attributes:
  name: acme_return
  feed: acme
  target: {kind: return}
  features: acme_pulse
  candidates: [acme_line]
  walk_forward: {first_test: "2011-06-01", min_train: 250, refit_every: 504}
  promotion: {min_rows: 1000}
  suspicion: {accuracy: 1, roc_auc: 1, skill: 1, qlike: 0, log_correlation: 1}
""",
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def code_of(binaries: Path) -> str:
    """A hash of the installed platform."""
    (site,) = binaries.parent.glob("lib/python*/site-packages")
    files = sorted(path for room in ("fx_assets", "serving") for path in site.glob(f"{room}/**/*"))
    kept = [path for path in files if path.is_file() and path.suffix != ".pyc"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in kept)).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_strangers_package_is_declared_proved_judged_and_served(
    commands: Path, tmp_path: Path
) -> None:
    ours = code_of(commands)
    install(written(tmp_path / "acme", PACKAGE), commands)
    said([commands / "fx-assets", "new", "acme-desk"], tmp_path)
    home = tmp_path / "acme-desk"
    for example in ("defs", "plugins"):
        shutil.rmtree(home / example)
    (home / "plugins").mkdir()
    written(home, {f"defs/{name}/defs.yaml": text for name, text in PROJECT.items()})
    bars = worlds.planted_direction(1900, 3, strength=0.4, start="2010-01-04")
    days = bars["event_time"].dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d")
    bars[["close"]].round(5).assign(date=days).to_csv(home / "acme.csv", index=False)
    now = f"{days.iloc[-1]}T18:00:00+00:00"
    settings = {"FX_ASSETS_NOW": now}

    checked = said([commands / "fx-assets", "check"], home, **settings)
    assert "1 feed and 1 forecast are well declared." in checked
    proved = said([commands / "fx-assets", "prove", "acme-signals"], home, **settings)
    assert "model family acme_line" in proved
    assert "feature set acme_pulse" in proved
    assert "Proved: it may be declared and trusted as ours are." in proved
    judged = said([commands / "fx-assets", "run"], home, **settings)
    assert "acme_line" in judged, judged

    (port,) = free_ports(1)
    server = subprocess.Popen(
        [commands / "python", "-m", "serving", "--port", port],
        cwd=home,
        env=plain_environment(**{**OFFLINE, **settings}),
    )
    try:
        base = f"http://127.0.0.1:{port}/v1/forecasts/acme_return"
        first_answer(server, lambda: httpx.get(f"{base}/latest"))
        latest = httpx.get(f"{base}/latest").json()
        assert latest["champion"]["family"] == "acme_line"
        assert latest["skill"]["demonstrated"] is True
        body = {"features": {"pulse_1": 0.01}}
        assert httpx.post(f"{base}/predict/features", json=body).json()["value"] > 0.002
    finally:
        server.terminate()
        server.wait(60)
    assert code_of(commands) == ours
