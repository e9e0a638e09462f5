"""A universe over files: declared by names of files, ingested by the one chain, and served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

import fx_assets as fx
from fx_assets.bundles.bundle import load
from fx_assets.bundles.signing import signing_keys
from fx_assets.bundles.universes import universe_path
from fx_assets.cli import main as command
from fx_assets.errors import SpecError
from fx_assets.lake.below import Below, member_folder
from fx_assets.reporting.universe import universe_sections
from fx_assets.run_universe import show_universe
from fx_assets.specs.universe import UniverseSource, UniverseSpec
from fx_assets.testing import worlds
from fx_assets.testing.lakes.server_process import serving, until
from fx_assets_tests.platform import failed_checks, failures
from fx_assets_tests.universe.conftest import UniversePlatform
from fx_assets_tests.universe.helpers import universe
from serving.client import tables
from serving.client.__main__ import main as client

NAMES = ("AAAUSD", "BBBUSD", "CCCUSD")
HOURS = 1000
START = datetime(2024, 1, 1, tzinfo=UTC)
SPEC = universe(
    name="desk",
    source={"kind": "files", "path": "bars/{lower}.csv", "timezone": "UTC", "stamp": "close"},
    calendar="24x7",
    frequency="1h",
    features="ohlc",
    start="2024-01-01",
    membership={"min_history": 500, "max_missed": 10, "peg_window": 60},
    targets=[{"kind": "volatility", "candidates": ["ewma"]}],
    walk_forward={"first_test": "2024-01-01", "min_train": 150, "refit_every": 200},
    min_rows=250,
)


class Desk(UniversePlatform):
    """The universe of the files."""

    spec: UniverseSpec = SPEC

    def write(self, hours: int, **spoiled: str) -> datetime:
        """The files up to an hour, which becomes the present; some of them as these texts."""
        folder = self.folder / "bars"
        folder.mkdir(exist_ok=True)
        for seed, name in enumerate(NAMES):
            closes = worlds.random_walk(HOURS + 50, seed)["close"][:hours]
            opens = closes.shift(fill_value=1.0)
            wicks = np.random.default_rng(seed).uniform(1, 1.002, (2, HOURS + 50))[:, :hours]
            prices = {
                "open": opens,
                "high": np.maximum(opens, closes) * wicks[0],
                "low": np.minimum(opens, closes) / wicks[1],
                "close": closes,
            }
            times = [START + timedelta(hours=i + 1) for i in range(hours)]
            bars = pd.DataFrame({"time": times, **prices}).round(6)
            bars["time"] = bars["time"].dt.strftime("%Y-%m-%d %H:%M:%S")
            text = spoiled.get(name) or bars.to_csv(index=False)
            (folder / f"{name.lower()}.csv").write_text(text)
        now = START + timedelta(hours=hours, minutes=5)
        self.travel(now)
        return now


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two hours, two runs, and in the second one file that nobody can read."""
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(tmp_path_factory.mktemp("desk"), patch, [], [])
        desk.write(HOURS)
        assert desk.discover().success
        first = desk.update()
        assert first.success, failures(first)
        desk.write(HOURS + 1, CCCUSD="no table at all")
        second = desk.update()
        assert second.success, failures(second)
        said = failed_checks(second)["every_instrument_passed_the_gate"]
        assert said.startswith("CCCUSD: ")
        assert "AAAUSD" not in said
        yield desk


def test_files_are_instruments_and_rows_say_their_series(desk: Desk) -> None:
    assert desk.partitions == list(NAMES)
    lake = desk.lake
    for table in ("backtest", "skill", "predictions", "outcomes"):
        rows = lake.read(table, SPEC.name)
        for name in NAMES:
            assert set(rows["series"][rows["instrument"] == name]) == {
                SPEC.series(name, SPEC.targets[0]).id
            } or (name, table) == ("CCCUSD", "outcomes")
    assert set(lake.read("readings", SPEC.name)["instrument"]) == set(NAMES)
    assert set(lake.read("files", SPEC.name)["instrument"]) == set(NAMES)


def test_a_bad_file_holds_no_other_back_and_outcomes_are_scored_once(desk: Desk) -> None:
    issued = desk.lake.read("predictions", SPEC.name)
    assert issued.groupby("instrument").size().to_dict() == {"AAAUSD": 2, "BBBUSD": 2, "CCCUSD": 1}
    assert (issued["lower"] < issued["prediction"]).all()
    assert (issued["prediction"] < issued["upper"]).all()
    outcomes = desk.lake.read("outcomes", SPEC.name)
    assert sorted(outcomes["instrument"]) == ["AAAUSD", "BBBUSD"]
    assert (outcomes["mode"] == "live").all()
    assert outcomes["inside_interval"].notna().all()


def test_every_member_has_a_bundle_of_its_own_and_is_looked_at(desk: Desk) -> None:
    issued = desk.lake.read("predictions", SPEC.name).set_index(["instrument", "event_time"])
    for name in NAMES:
        folder = member_folder(SPEC.name, name, "volatility", 1)
        bundle = load(Below(desk.lake, folder), SPEC.name)
        assert bundle.manifest.instrument == name
        assert bundle.manifest.series == SPEC.series(name, SPEC.targets[0]).id
        assert set(issued.loc[name, "champion_version"]) == {f"v{bundle.manifest.version}"}
    looks = desk.lake.read("performance", SPEC.name)
    assert sorted(looks["instrument"]) == ["AAAUSD", "BBBUSD"]
    assert (looks["verdict"] == "too_few").all()
    assert (looks["rows"] == 1).all()
    assert (looks["drift_verdict"] == "not_enough_data").all()


@pytest.mark.slow
def test_one_instrument_alone_and_all_together_give_the_same_rows(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Desk(tmp_path, monkeypatch, [], [])
    other.write(HOURS)
    other.discover()
    for name in NAMES:
        tables = ("raw_prices", "prices")
        assert other.materialize(*(f"{SPEC.name}/{t}" for t in tables), first=name).success
    assert other.materialize(f"{SPEC.name}/universe").success
    for name in NAMES:
        assert other.materialize(f"{SPEC.name}/backtest", first=name).success
    assert other.materialize(f"{SPEC.name}/skill").success
    for name in NAMES:
        assert other.materialize(f"{SPEC.name}/predictions", first=name).success
    for table in ("prices", "backtest", "predictions"):
        order = ["instrument", "event_time", *(["candidate"] if table == "backtest" else [])]
        alone, together = (
            lake.read(table, SPEC.name).drop(columns=["batch", "table_versions"], errors="ignore")
            for lake in (other.lake, desk.lake)
        )
        known = together[together["event_time"] <= alone["event_time"].max()]
        known = known[known["target"].notna()] if table == "backtest" else known
        alone = alone[list(known)].merge(known[order], on=order)
        pd.testing.assert_frame_equal(
            alone.drop(columns="ingested_at", errors="ignore").sort_values(
                order, ignore_index=True
            ),
            known.drop(columns="ingested_at", errors="ignore").sort_values(
                order, ignore_index=True
            ),
        )


class StoodIn(Desk):
    """The universe of the files with somebody who stands in for them."""

    spec = SPEC.model_copy(
        update={
            "instruments": {name: {} for name in NAMES},
            "failover": [UniverseSource.model_validate({"kind": "simulated", "seed": 3})],
        }
    )


@pytest.mark.slow
def test_where_one_provider_fails_its_failover_serves_and_rows_say_who(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = StoodIn(tmp_path, monkeypatch, [], [])
    desk.write(300)
    (desk.folder / "bars/cccusd.csv").unlink()
    assert desk.discover().success
    result = desk.materialize("desk/raw_prices", first=NAMES[0], last=NAMES[-1])
    assert result.success, failures(result)
    raw = desk.lake.read("raw_prices", "desk")
    providers = raw.groupby("instrument")["source"].agg(set).to_dict()
    assert providers == {"AAAUSD": {"files"}, "BBBUSD": {"files"}, "CCCUSD": {"simulated"}}
    said = failed_checks(result)["live_source"]
    assert said.startswith("CCCUSD: simulated, for ")
    assert "cccusd.csv" in said
    assert "AAAUSD" not in said


@pytest.mark.slow
def test_a_pointer_of_one_member_does_not_pass_for_another_where_they_are_signed(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, key = tmp_path / "lake", tmp_path / "key"
    shutil.copytree(desk.lake.root, root)
    monkeypatch.setenv("FX_ASSETS_LAKE", str(root))
    monkeypatch.setenv("FX_ASSETS_HOME", str(tmp_path))
    assert command(["keys", "new", str(key)]) == 0
    monkeypatch.setenv("FX_ASSETS_SIGNING_KEY_FILE", str(key))
    (own,) = signing_keys()
    assert command(["keys", "show"]) == 1
    assert command(["keys", "sign", "--adopt"]) == 0
    assert command(["keys", "show"]) == 0
    now = (START + timedelta(hours=HOURS + 1, minutes=5)).isoformat()
    folders = [root / member_folder("desk", name, "volatility", 1) for name in NAMES]
    pointers = [folder / "bundles/desk/champion.json" for folder in folders]
    keys = own.public.text
    with serving(root, tmp_path / "served", now=now, public_keys=keys) as running:
        api = running.client
        until(lambda: bool(api.get("/v1/forecasts").json().get("universes")))

        def card(name: str) -> httpx.Response:
            return api.get("/v1/forecasts/desk/model", params={"instrument": name})

        assert card("AAAUSD").status_code == 200
        before = pointers[1].read_bytes()
        pointers[1].write_bytes(pointers[0].read_bytes())
        facts = root / "universes/desk.json"
        facts.write_text(facts.read_text().replace("CCCUSD", "AAAUSD"))
        answer = card("BBBUSD")
        assert answer.status_code == 503
        assert "of elsewhere" in answer.json()["detail"]

        def refused() -> str:
            return str([x["refused"] for x in api.get("/health/ready").json()["forecasts"]])

        until(lambda: "universes/desk.json" in refused() and "members/desk/BBBUSD" in refused())
        assert api.get("/v1/forecasts").json()["universes"][0]["instruments"] == list(NAMES)
        pointers[1].write_bytes(before)
        facts.write_text(facts.read_text().replace('"AAAUSD"', '"CCCUSD"', 1))
        until(lambda: "members/desk/BBBUSD" not in refused())
        assert card("BBBUSD").status_code == 200


def test_it_is_served_by_instrument_with_intervals_and_outcomes(desk: Desk) -> None:
    now = (START + timedelta(hours=HOURS + 1, minutes=5)).isoformat()
    with serving(desk.lake.root, desk.folder / "served", now=now) as running:
        api, base = running.client, "/v1/forecasts/desk"
        until(lambda: bool(api.get("/v1/forecasts").json().get("universes")))
        listed = api.get("/v1/forecasts").json()
        assert listed["forecasts"] == []
        assert listed["universes"][0]["instruments"] == list(NAMES)
        latest = api.get(f"{base}/latest", params={"instrument": "AAAUSD"})
        assert latest.status_code == 200, latest.text
        answer = latest.json()
        issued = desk.lake.read("predictions", SPEC.name).sort_values("event_time")
        row = issued[issued["instrument"] == "AAAUSD"].iloc[-1]
        assert answer["value"] == row["prediction"]
        assert answer["interval"] == {
            "lower": row["lower"], "upper": row["upper"], "coverage": 0.9
        }  # fmt: skip
        again = api.get(
            f"{base}/latest",
            params={"instrument": "AAAUSD"},
            headers={"if-none-match": latest.headers["etag"]},
        )
        assert again.status_code == 304
        history = api.get(f"{base}/history", params={"instrument": "AAAUSD"}).json()["rows"]
        assert [each["outcome"] is None for each in history] == [True, False]
        assert history[1]["inside_interval"] in (True, False)
        past = api.get(f"{base}/history", params={"instrument": "AAAUSD", "mode": "backtest"})
        assert {each["champion"] for each in past.json()["rows"]} == {row["champion"]}
        found = api.get(f"{base}/performance", params={"instrument": "BBBUSD"}).json()
        assert found["live_rows"] == 1
        assert found["backtest"][0]["metric"] == "qlike"
        reigns = api.get(f"{base}/champions", params={"instrument": "AAAUSD"}).json()["reigns"]
        assert reigns[0]["champion"] == row["champion"]
        told = api.get(f"{base}/instruments").json()
        assert [one["instrument"] for one in told["said"]] == list(NAMES)
        _refuses(api.get(f"{base}/latest"), 400, "which-instrument", "AAAUSD, BBBUSD, CCCUSD")
        _refuses(
            api.get(f"{base}/latest", params={"instrument": "NOPE"}),
            404, "no-such-instrument", "AAAUSD, BBBUSD, CCCUSD",
        )  # fmt: skip
        _refuses(
            api.get(f"{base}/history", params={"instrument": "AAAUSD", "target": "return"}),
            404, "no-such-target", "target=volatility&horizon=1",
        )  # fmt: skip
        _refuses(api.get(f"{base}/model"), 400, "which-instrument", "AAAUSD, BBBUSD, CCCUSD")
        mine = {"params": {"instrument": "AAAUSD"}}
        card = api.get(f"{base}/model", **mine).json()
        assert card["champion"] == answer["champion"]
        assert card["instrument"] == "AAAUSD"
        assert card["decision"]["verdict"] == "bootstrap"
        assert api.get(f"{base}/status", **mine).json()["series"] == row["series"]
        why = api.get(f"{base}/latest/explanation", **mine)
        assert why.status_code == 200, why.text
        assert why.json()["prediction"] == row["prediction"]
        prices = desk.lake.read("prices", SPEC.name).sort_values("event_time")
        prices = prices[prices["instrument"] == "AAAUSD"].tail(999)
        bars = [
            {"event_time": bar.pop("event_time").isoformat(), **bar}
            for bar in prices[["event_time", "open", "high", "low", "close"]].to_dict("records")
        ]
        made = api.post(f"{base}/predict/bars", json={"bars": bars}, **mine)
        assert made.status_code == 200, made.text
        assert made.json()["value"] == pytest.approx(row["prediction"], rel=0.01)
        inputs = {one["name"]: 1e-5 for one in card["inputs"]}
        for path, body in (
            ("predict/features", {"features": inputs}),
            ("predict/features/batch", {"rows": [inputs]}),
            ("predict/bars/batch", {"series": [{"bars": bars}]}),
            ("invocations", [inputs]),
        ):
            said = api.post(f"{base}/{path}", json=body, **mine)
            assert said.status_code == 200, (path, said.text)
            _refuses(api.post(f"{base}/{path}", json=body), 400, "which-instrument", "AAAUSD")


def test_members_are_asked_by_the_inference_protocol_counted_and_printed(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    now = (START + timedelta(hours=HOURS + 1, minutes=5)).isoformat()
    issued = desk.lake.read("predictions", SPEC.name).sort_values("event_time")
    row = issued[issued["instrument"] == "AAAUSD"].iloc[-1]
    served = serving(desk.lake.root, desk.folder / "counted", now=now, member_metrics="2")
    with served as running:
        api, mine = running.client, {"params": {"instrument": "AAAUSD"}}
        until(lambda: api.get("/health/ready").status_code == 200)
        assert api.get("/v2/health/ready").json() == {"ready": True}
        told = api.get("/v1/forecasts/desk/instruments").json()["said"][0]
        outcomes = desk.lake.read("outcomes", SPEC.name).set_index("instrument")
        scored = outcomes.loc["AAAUSD"]
        assert (told["verdict"], told["demonstrated"]) == (row["verdict"], False)
        assert (told["outcomes"], told["came"]) == (1, scored["target"])
        assert told["inside"] == float(scored["inside_interval"])
        assert told["live_skill"] == 1 - scored["loss"] / scored["baseline_loss"]

        model = api.get("/v2/models/desk", **mine).json()
        assert model["parameters"]["instrument"] == "AAAUSD"
        assert model["versions"] == [row["champion_version"].removeprefix("v")]
        width = model["inputs"][0]["shape"][1]
        tensor = {"name": "inputs", "shape": [2, width], "datatype": "FP64"}
        body = {"inputs": [tensor | {"data": [1e-5] * (2 * width)}]}
        version = f"/v2/models/desk/versions/{model['versions'][0]}"
        for path in ("/v2/models/desk/infer", f"{version}/infer"):
            said = api.post(path, json=body, **mine)
            assert said.status_code == 200, said.text
            assert said.json()["outputs"][0]["shape"] == [2]
            _refuses(api.post(path, json=body), 400, "which-instrument", "AAAUSD")
        for path in ("/v2/models/desk", "/v2/models/desk/ready", version, f"{version}/ready"):
            assert api.get(path, **mine).status_code == 200
            _refuses(api.get(path), 400, "which-instrument", "AAAUSD")
        (series,) = api.get("/v1/forecasts/desk/series", **mine).json()["series"]
        assert series["series"] == row["series"]
        asked = mine["params"] | {"series": row["series"]}
        assert api.get("/v1/forecasts/desk/history", params=asked).status_code == 200
        asked = mine["params"] | {"series": "0" * 16}
        _refuses(api.get("/v1/forecasts/desk/history", params=asked), 404, "unknown-series", "desk")

        until(lambda: "fx_member_outcomes{" in api.get("/metrics").text)
        lines = api.get("/metrics").text.splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        about = 'forecast="desk",horizon="1"'
        assert values['fx_universe_instruments{forecast="desk",state="member"}'] == "3.0"
        assert values[f'fx_universe_outcomes{{{about},target="volatility"}}'] == "2.0"
        named = [name for name in values if name.startswith("fx_member_outcomes")]
        assert len(named) == 2, "no more members have gauges than the setting says"
        assert values["fx_members_without_gauges"] == "1.0"

        url = ["--url", str(api.base_url)]
        chosen = ["--instrument", "AAAUSD"]
        assert client(["instruments", "desk", *url]) == 0
        assert json.loads(capsys.readouterr().out)["said"][0] == told
        assert client(["why", "desk", *chosen, *url]) == 0
        assert json.loads(capsys.readouterr().out)["prediction"] == row["prediction"]
        assert client(["latest", *url]) == 0
        assert "desk: 3 instruments; ask for instruments desk" in capsys.readouterr().err
        tables.show("instruments", api.get("/v1/forecasts/desk/instruments").json())
        assert "not demonstrated" in " ".join(capsys.readouterr().out.split())


def _refuses(response: httpx.Response, status: int, kind: str, remedy: str) -> None:
    problem = response.json()
    assert response.status_code == status
    assert problem["type"].endswith(f":{kind}")
    assert remedy in problem["remedy"]


@pytest.fixture
def declared(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The universe as a file, for commands and desks."""
    told = {"type": "fx_assets.components.Universe"}
    told |= {"attributes": SPEC.model_dump(mode="json", exclude_unset=True)}
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "defs.yaml").write_text(yaml.safe_dump(told))
    monkeypatch.setenv("FX_ASSETS_DECLARED", str(tmp_path))
    monkeypatch.setenv("FX_ASSETS_LAKE", desk.lake.root)


@pytest.mark.usefixtures("declared")
def test_the_terminal_says_what_each_candidate_of_a_member_would_have_done_live(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["show", "desk"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("live: ")]
    weighed = desk.lake.read("live_evidence", SPEC.name).sort_values("instrument")
    assert [line.partition(" on ")[0] for line in said] == [
        f"live: desk {name} volatility 1: ewma {100 * skill:+.2f} %"
        for name, skill in weighed[["instrument", "skill"]].to_numpy().tolist()
    ]
    assert len(said) == 2
    assert command(["show"]) == 0
    assert "live: " not in capsys.readouterr().out, "of all members only where it is asked for"


@pytest.mark.parametrize(
    "change",
    [
        {"source": SPEC.source.model_dump(exclude_unset=True) | {"stamp": "open"}},
        {"targets": [{"kind": "volatility", "horizon": 2, "candidates": ["ewma"]}]},
    ],
)
def test_what_was_said_of_another_series_is_neither_shown_nor_reported(
    desk: Desk, capsys: pytest.CaptureFixture[str], change: dict[str, object]
) -> None:
    other = UniverseSpec.model_validate(SPEC.model_dump(exclude_unset=True) | change)
    show_universe(Console(), desk.lake, other)
    assert capsys.readouterr().out == "desk has no predictions yet.\n"
    now = desk.lake.read("predictions", "desk")["issued_at"].max().to_pydatetime()
    sections = universe_sections(desk.lake, other, now)
    told = {each.title: " ".join(map(str, each.parts)) for each in sections}
    assert "said nothing" in told["What it says"]
    assert told["Decisions"] == "No decision has been made yet."
    assert told["Live, and drift"].startswith("No outcome")
    assert "Performance:" not in told["Live, and drift"]


@pytest.mark.usefixtures("declared")
def test_a_desk_answers_about_members_by_name(desk: Desk) -> None:
    mine = fx.open()
    assert mine.universes == ["desk"]
    assert mine.members("desk") == [f"desk/{name}/volatility_1" for name in NAMES]
    name = mine.members("desk")[0]
    bars = mine.prices("desk/AAAUSD")
    stored = desk.lake.read("prices", "desk").set_index("instrument").loc["AAAUSD"]
    assert bars["close"].tolist() == stored.sort_values("event_time")["close"].tolist()
    early = mine.features(name, as_of="2024-01-20T12:00Z")
    assert early["available_at"].max() <= pd.Timestamp("2024-01-20T12:00Z")
    verdict = mine.judge(lambda past: float(past["log_return"].iloc[-24:].var()), name, name="day")
    assert (verdict.verdict, verdict.rows) == ("no skill demonstrated", len(verdict.predictions))
    walked = desk.lake.read("backtest", "desk").query("instrument == 'AAAUSD'")
    assert set(verdict.predictions["event_time"]) == set(walked["event_time"])
    issued = mine.forecast(name)
    assert issued["instrument"] == "AAAUSD"
    assert mine.explain(name).sentence
    assert mine.ledger(name)["champion"].iloc[-1] == issued["champion"]
    for wrong, named in {"desk": "desk.members('desk')", "desk/ZZZ": "desk/AAAUSD"}.items():
        with pytest.raises(SpecError) as refused:
            mine.features(wrong)
        assert named in str(refused.value.remedy)


@pytest.mark.slow
@pytest.mark.usefixtures("declared")
def test_a_member_is_not_served_by_a_champion_of_another_series(desk: Desk, tmp_path: Path) -> None:
    root, defs = tmp_path / "lake", tmp_path / "desk" / "defs.yaml"
    shutil.copytree(desk.lake.root, root)
    text, facts = defs.read_text(), root / universe_path("desk")
    with serving(str(root), tmp_path / "served") as running:
        path = "/v1/forecasts/desk/latest?instrument=AAAUSD"

        def kind() -> str:
            answer = running.client.get(path)
            told = "" if answer.status_code == 200 else answer.json()["type"]
            return told.rpartition(":")[2]

        until(lambda: kind() == "")
        defs.write_text(text.replace("stamp: close", "stamp: open"))
        until(lambda: kind() == "champion-of-another-series")
        refused = running.client.get(path)
        assert refused.status_code == 503
        assert "fx-assets universe desk" in refused.json()["remedy"]
        defs.write_text(text)
        until(lambda: kind() == "")
        defs.write_text(text.replace("name: desk", "name: other"))
        series = SPEC.series("AAAUSD", SPEC.targets[0]).id
        facts.write_text(facts.read_text().replace(series, "0" * 16))
        until(lambda: kind() == "nothing-said")


def named(*names: str, **settings: str) -> UniverseSpec:
    """The universe of some of the files, where each is named alone."""
    own = {name: {"path": f"bars/{name.lower()}.csv", **settings} for name in names}
    source = {"kind": "files", "timezone": "UTC", "stamp": "close"}
    return UniverseSpec.model_validate(
        SPEC.model_dump(exclude_unset=True) | {"source": source, "instruments": own}
    )


@pytest.mark.slow
def test_an_instrument_that_is_taken_out_with_its_own_settings_stops_no_other_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch, [], [])
    for hours, names in ((1000, NAMES[:2]), (1001, NAMES[:1]), (1002, NAMES[:2])):
        desk.write(hours)
        desk.spec = named(*names)
        desk.reload()
        assert desk.discover().success
        result = desk.update()
        assert result.success, failures(result)
        now = set(desk.lake.read("universe", "desk")["instrument"])
        assert now == set(desk.lake.read("skill", "desk")["instrument"]) == set(names)
    issued = desk.lake.read("predictions", "desk")
    assert issued.groupby("instrument")["mode"].apply(list).to_dict() == {
        "AAAUSD": ["live"] * 3,
        "BBBUSD": ["live", "late", "live"],
    }
    outcomes = desk.lake.read("outcomes", "desk")
    assert sorted(outcomes["instrument"]) == ["AAAUSD"] * 2 + ["BBBUSD"] * 2
    assert not outcomes.duplicated(["series", "event_time"]).any()
