"""``fx-assets compare`` on a project of one's own, in a repository of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from fx_assets.cli import main
from fx_assets.lake import Lake
from fx_assets.settings import Settings
from fx_assets.specs.files import load_declared

FEED = """\
type: fx_assets.components.PriceFeed
attributes:
  name: {name}
  source: {{kind: simulated, seed: 3, instrument: SIM, annual_volatility: 0.2}}
  calendar: 24x7
  frequency: {frequency}
  start: {start}
"""
FORECAST = """\
type: fx_assets.components.Forecast
attributes:
  name: {name}
  feed: {feed}
  target: {{kind: {kind}, horizon: {horizon}}}
  features: {features}
  candidates: [{candidates}]
  walk_forward: {{min_train: 500, refit_every: 250, first_test: {first_test}}}
"""
UNIVERSE = """\
type: fx_assets.components.Universe
attributes:
  name: pair
  source: {{kind: simulated}}
  instruments: {{AAA: {{}}, BBB: {{}}}}
  calendar: 24x7
  start: 2021-01-01
  membership: {{min_history: 300}}
  walk_forward: {{first_test: 2021-01-01, min_train: 300, refit_every: 300}}
  targets: [{{kind: volatility, horizon: 1, candidates: [{candidates}]}}]
"""
FEATURES = """\
from fx_assets.features import Feature, FeatureSetDefinition
import numpy as np

def momentum(bars):
    return {formula}

class Own(FeatureSetDefinition):
    "The log return of five bars."
    name = "own"
    reads = ("close",)
    frequencies = ("1d",)

    @classmethod
    def features(cls, bar):
        return (Feature("momentum_5", "log return of five bars", "log return", 5, momentum),)
"""


def declare(
    home: Path,
    *,
    har: str = "har",
    formula: str = "bars.change(5)",
    daily: str = "logistic_regression",
    horizon: int = 1,
    members: str = "ewma",
) -> None:
    """An hourly variance, a daily direction of own features, a daily return, and a universe."""
    files = {
        "pyproject.toml": f'[tool.fx_assets]\ndeclared = "defs"\nplugins = "{home.name}"\n',
        f"{home.name}/own.py": FEATURES.format(formula=formula),
        "defs/hours/defs.yaml": FEED.format(name="hours", frequency="1h", start="2026-06-01"),
        "defs/days/defs.yaml": FEED.format(name="days", frequency="1d", start="2021-01-01"),
        "defs/spread/defs.yaml": FORECAST.format(
            name="spread", feed="hours", kind="volatility", horizon=1, features="ohlcv",
            candidates=har, first_test="2026-06-01",
        ),
        "defs/up/defs.yaml": FORECAST.format(
            name="up", feed="days", kind="direction", horizon=1, features="own",
            candidates=daily, first_test="2021-01-01",
        ),
        "defs/drift/defs.yaml": FORECAST.format(
            name="drift", feed="days", kind="return", horizon=horizon, features="own",
            candidates="historical_mean", first_test="2021-01-01",
        ),
        "defs/pair/defs.yaml": UNIVERSE.format(candidates=members),
    }  # fmt: skip
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Its plug-ins lie in a folder of the same name, which is a module of this process then.
    folder = tmp_path / f"desk_{uuid4().hex}"
    declare(folder)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The desk as it was"]):
        git(folder, *words)
    monkeypatch.setenv("FX_ASSETS_HOME", str(folder))
    monkeypatch.setenv("FX_ASSETS_NOW", "2026-10-01T12:00:00+00:00")
    for name in ("FX_ASSETS_DECLARED", "FX_ASSETS_PLUGINS", "FX_ASSETS_LAKE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=desk", "-c", "user.email=desk@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def rows_of(report: str) -> dict[str, list[str]]:
    """The cells of the report's table by candidate."""
    table = [
        line.strip("| ").split(" | ") for line in report.splitlines() if line.startswith("| `")
    ]
    return {cells[0].strip("`"): cells[1:] for cells in table}


@pytest.mark.slow
def test_a_change_is_judged_candidate_by_candidate_on_identical_rows(home: Path) -> None:
    declare(
        home,
        har="{family: har, params: {short: 1, medium: 2, long: 3}}",
        formula="np.roll(bars.change(5), -1)",
        daily="logistic_regression, random_forest",
        horizon=5,
        members="{family: ewma, params: {decay: 0.5}}",
    )
    file = home / "out" / "report.md"
    code = main(["compare", "HEAD", "--report", str(file)])
    report = file.read_text()
    rows = rows_of(report)
    assert code == 1
    verdicts = {name: cells[0].split()[-1] for name, cells in rows.items()}
    assert verdicts["spread/har"] == "worse"
    assert (
        verdicts["pair/AAA/volatility_1/ewma"] == verdicts["pair/BBB/volatility_1/ewma"] == "worse"
    )
    assert verdicts["up/logistic_regression"] == verdicts["up/random_forest"] == "suspected"
    assert verdicts["drift/historical_mean"] == "comparable"
    assert "horizon: 1 -> 5" in report
    assert "old values of momentum_5 change when later bars come" in report
    assert "features computed otherwise: momentum_5" in report
    assert "`up/random_forest`" in report.partition("It is new")[2]
    assert verdicts["up/base_rate"] == "same"  # One row more is known from the start.
    assert "more candidates are unchanged" in report
    assert file.with_name("compare.png").read_bytes().startswith(b"\x89PNG")
    # What the table says of a change is what its own rows say.
    before, after = rows["spread/har"][3].split(" → ")
    assert float(before.split()[0]) > float(after.split()[0])


def test_without_a_change_nothing_is_fitted_and_the_answer_is_0(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "defs/up/defs.yaml").write_text(
        "# Only a comment, and another order of the settings.\n"
        + (home / "defs/up/defs.yaml").read_text()
    )
    assert main(["compare", "HEAD"]) == 0
    said = capsys.readouterr().out
    assert "No change: every candidate computes what it did." in said
    assert "candidates are unchanged" in said
    assert "more candidate" not in said
    assert "Walking forward" not in said


@pytest.mark.slow
def test_what_a_person_accepts_passes_and_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(home, har="{family: har, params: {short: 1, medium: 2, long: 3}}")
    assert main(["compare", "HEAD", "spread", "--accept", "spread/har"]) == 0
    said = capsys.readouterr().out
    assert "worse (accepted)" in said
    assert "![" not in said, "no picture that is nowhere"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere"),
        (["HEAD", "no_forecast"], "no_forecast"),
        pytest.param(["HEAD", "--accept", "spread"], "spread", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(
    home: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.exists()
    assert main(["compare", *words]) == 2
    error = capsys.readouterr().err
    assert told in error


@pytest.mark.slow
def test_a_base_whose_declarations_are_wrong_cannot_be_compared(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "defs/up/defs.yaml").write_text("type: fx_assets.components.Forecast\nattributes: {}\n")
    git(home, "commit", "-qam", "A mistake")
    declare(home)
    assert main(["compare", "HEAD", "up"]) == 2
    said = capsys.readouterr().err
    assert "cannot be judged" in said
    assert "defs/up/defs.yaml" in said


@pytest.mark.slow
def test_an_instrument_with_its_own_settings_is_new_on_one_side_and_gone_on_the_other(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = home / "defs/pair/defs.yaml"

    def name(instruments: str) -> None:
        text = UNIVERSE.format(candidates="ewma").replace("kind: simulated", "kind: files")
        pair.write_text(text.replace("{AAA: {}, BBB: {}}", instruments))

    def own(*names: str) -> str:
        settings = "{{path: {0}.csv, timezone: UTC, stamp: close}}"
        return f"{{{', '.join(f'{one}: {settings.format(one)}' for one in names)}}}"

    name(own("AAA", "CCC"))
    git(home, "commit", "-qam", "Of files, each with a path of its own")
    name(own("AAA", "DDD"))
    days = pd.date_range("2021-01-01", periods=700, tz="UTC").as_unit("us")
    close = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (3, 700)), axis=1))
    spec = load_declared(home / "defs").universes["pair"]
    bars = [
        pd.DataFrame({"event_time": days, "available_at": days, "close": close[k]}).assign(
            **dict.fromkeys(("open", "high", "low", "volume", "market_cap"), np.nan),
            instrument=one, source="files", payload="", ingested_at=days,
            reading=spec.feed("AAA").reading,
        )
        for k, one in enumerate(("AAA", "CCC", "DDD"))
    ]  # fmt: skip
    Lake.from_settings(Settings()).append("raw_prices", "pair", pd.concat(bars))
    assert main(["compare", "HEAD", "pair"]) == 0
    said = rows_of(capsys.readouterr().out)
    assert said["pair/CCC/volatility_1/ewma"][0] == "gone"
    assert said["pair/DDD/volatility_1/ewma"][0] == "new"
    assert "pair/AAA/volatility_1/ewma" not in said


@pytest.mark.slow
def test_a_forecast_of_several_horizons_is_asked_for_by_its_name(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "defs/drift/defs.yaml"
    file.write_text(file.read_text().replace("horizon: 1", "horizon: [1, 5]"))
    git(home, "commit", "-qam", "Two horizons")
    assert main(["compare", "HEAD", "drift"]) == 0
    assert "4 candidates are unchanged" in capsys.readouterr().out
