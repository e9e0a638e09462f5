"""``python -m serving.client`` against a server process."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fx_assets_tests.serving_page.conftest import ROOT, Site, plain_environment
from fx_assets_tests.serving_page.lake import BARS, ISSUED, SILENT, TARGET
from serving.client import __main__ as client
from serving.client import tables

Run = subprocess.CompletedProcess[str]


def ask(site: Site, *arguments: str, given: str = "", key: str = "") -> Run:
    """Run the client as a pipe does."""
    environment = plain_environment() | {"FX_SERVING_URL": site.url, "FX_SERVING_KEY": key}
    return subprocess.run(
        [sys.executable, "-m", "serving.client", *arguments],
        env=environment, cwd=ROOT, input=given, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.fixture
def call(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Runs the client in this process: exit code, output, errors."""
    monkeypatch.setenv("FX_SERVING_URL", site.url)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "FX_SERVING_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = client.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_pipe_gets_the_newest_forecasts_as_json(site: Site) -> None:
    done = ask(site, "latest")
    assert done.returncode == 0
    answers = json.loads(done.stdout)
    assert [row["forecast"] for row in answers] == sorted(spec.name for spec in ISSUED)
    assert answers[0]["value"] == site.json("/v1/forecasts/direction/latest")["value"]
    assert SILENT.name in done.stderr


def test_a_terminal_gets_a_table(site: Site) -> None:
    ours, theirs = pty.openpty()
    environment = plain_environment() | {"FX_SERVING_URL": site.url}
    environment |= {"COLUMNS": "200", "TERM": "xterm", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "serving.client", "latest", "direction", "volatility"],
        env=environment, cwd=ROOT, stdout=theirs, timeout=60, check=False,
    )  # fmt: skip
    os.close(theirs)
    text = os.read(ours, 20_000).decode()
    os.close(ours)
    assert done.returncode == 0
    value = site.json("/v1/forecasts/direction/latest")["value"]
    assert f"{100 * value:.1f} %" in text
    skill = site.json("/v1/forecasts/volatility/latest")["skill"]["skill"]
    assert f"{skill:+.2%}" in text
    assert re.search(r"base_rate v1 .*demonstrated", text)
    assert not text.startswith(("[", "{"))


def test_performance_shows_scores_and_what_it_would_have_earned(
    site: Site, call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call("performance", "volatility")
    answer = json.loads(out)
    assert (code, answer["champion"]) == (
        0,
        site.json("/v1/forecasts/volatility/latest")["champion"],
    )
    assert answer["backtest"]
    sharpe = {"title": "Sharpe ratio", "value": 0.31, "lower": -0.1, "upper": 0.7}
    lived = {**sharpe, "value": 0.25, "lower": None, "upper": None}
    earned = {"sentence": "It would have earned.", "backtest": [sharpe], "live": [lived]}
    monkeypatch.setenv("COLUMNS", "200")
    tables.show("performance", answer | {"economics": earned})
    said = capsys.readouterr().out
    assert re.search(r"Sharpe ratio +0\.31 \(-0\.1 to 0\.7\) +0\.25", said)
    assert "It would have earned." in said
    assert answer["backtest"][0]["metric"] in said
    tables.show("performance", answer | {"economics": None})
    assert "earned" not in capsys.readouterr().out


def test_history_comes_from_as_many_pages_as_it_takes(site: Site, call, monkeypatch) -> None:
    monkeypatch.setattr("serving.client.api.PAGE", 7)
    code, out, _ = call("history", "direction", "--mode", "backtest", "--limit", "20")
    wanted = site.json("/v1/forecasts/direction/history?mode=backtest&limit=20")["rows"]
    assert (code, json.loads(out)["rows"]) == (0, wanted)


def test_history_keeps_to_its_days(call) -> None:
    day = TARGET.day_of(BARS["event_time"].iloc[-10].to_pydatetime()).isoformat()
    _, out, _ = call("history", "direction", "--from", day, "--to", day)
    (row,) = json.loads(out)["rows"]
    assert row["event_time"].startswith(day)


def test_a_prediction_from_features(site: Site, call) -> None:
    (name,) = [row["name"] for row in site.json("/v1/forecasts/direction/model")["inputs"]]
    code, out, _ = call("predict", "direction", "--features", f"{name}=0.5")
    assert (code, json.loads(out)["value"]) == (0, 0.5)


def test_a_prediction_from_bars_is_the_issued_one(site: Site, tmp_path: Path, call) -> None:
    days = [TARGET.day_of(moment.to_pydatetime()) for moment in BARS["event_time"]]
    lines = [f"{day},{close!r}" for day, close in zip(days, BARS["close"].tolist(), strict=True)]
    file = tmp_path / "bars.csv"
    file.write_text("\n".join(["day,close", *lines]))
    code, out, _ = call("predict", "volatility", "--bars", str(file))
    issued = site.json("/v1/forecasts/volatility/latest")
    assert code == 0
    assert json.loads(out)["value"] == pytest.approx(issued["value"], rel=1e-9)


def test_a_batch_comes_as_json_from_standard_input(site: Site) -> None:
    rows = {"rows": [{"baseline_mean": 0.4}, {"baseline_mean": 0.6}]}
    done = ask(site, "predict", "direction", "--body", "-", given=json.dumps(rows))
    assert [row["value"] for row in json.loads(done.stdout)["forecasts"]] == [0.4, 0.6]


def test_a_refusal_says_what_to_do_and_exits_with_1(call) -> None:
    code, out, err = call("predict", "direction", "--features", "baseline_meen=0.5")
    assert (code, out) == (1, "")
    assert "409" in err
    assert "baseline_mean" in err
    assert "What to do:" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--features", "a=b"], "'a=b' is not NAME=VALUE"),
        (["--bars", "/nowhere.csv"], "/nowhere.csv cannot be read"),
        (["--body", "/nowhere.json"], "/nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_sent_exits_with_2(call, arguments: list[str], said: str) -> None:
    code, out, err = call("predict", "direction", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_no_answer_exits_with_3(call, site: Site) -> None:
    assert call("latest", "--url", "http://127.0.0.1:9")[0] == 3
    code, _, err = call("latest", "--url", f"{site.url}/metrics?")
    assert code == 3
    assert "not JSON" in err


@pytest.mark.slow
def test_the_key_comes_from_the_environment(locked: tuple[Site, str]) -> None:
    site, key = locked
    refused = ask(site, "latest")
    assert refused.returncode == 1
    assert "401" in refused.stderr
    assert ask(site, "latest", "direction", key=key).returncode == 0
