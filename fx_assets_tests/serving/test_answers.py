"""What the server says, and that it is what the platform said."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from fx_assets.lake import Lake
from fx_assets.testing.lakes import small_lake
from fx_assets.testing.lakes.server_process import Running

FORECAST = "/v1/forecasts/direction"
FEATURES = {"return_1": 0.001, "rsi_14": 50.0, "volatility_21": 0.005}


def test_the_latest_forecast_is_the_issued_row_with_all_that_judges_it(
    api: httpx.Client, lake_root: Path
) -> None:
    row = Lake(str(lake_root)).read("predictions", "direction").iloc[-1]
    answer = api.get(f"{FORECAST}/latest").json()
    assert answer["value"] == row["prediction"]
    assert answer["interval"] == {k: row[k] for k in ("lower", "upper", "coverage")}
    assert answer["baseline"] == {"name": "base_rate", "value": row["baseline"]}
    assert answer["champion"]["version"] == 1
    assert answer["champion"]["recipe"] == row["recipe"]
    assert answer["skill"]["demonstrated"] is True
    assert answer["mode"] == "live"
    assert answer["data"]["freshness"] == "fresh"
    assert answer["stale"] is None


@pytest.mark.parametrize("path", ["latest", "issued?date=2026-10-30"])
def test_an_issued_forecast_says_the_hash_that_covers_it(
    api: httpx.Client, lake_root: Path, path: str
) -> None:
    verified = Lake(str(lake_root)).verify("predictions", "direction")
    answer = api.get(f"{FORECAST}/{path}")
    head = answer.headers["x-ledger-head"]
    assert head == answer.json()["ledger_head"] == verified.head
    assert not verified.findings
    assert "2026-10-30" in verified.known[head]
    made = api.post(f"{FORECAST}/predict/features", json={"features": FEATURES})
    assert made.json()["ledger_head"] is None


def test_a_prediction_from_the_platforms_bars_is_the_platforms_prediction(
    api: httpx.Client, lake_root: Path
) -> None:
    row = Lake(str(lake_root)).read("predictions", "direction").iloc[-1]
    answer = api.post(f"{FORECAST}/predict/bars", json=small_lake.supplied(small_lake.bars()))
    made = answer.json()
    assert made["value"] == row["prediction"]
    assert made["interval"]["lower"] == row["lower"]
    assert made["interval"]["upper"] == row["upper"]
    assert made["baseline"]["value"] == row["baseline"]
    assert made["target_time"] == f"{row['target_time']:%Y-%m-%dT%H:%M:%SZ}"


def test_features_are_taken_by_name_in_any_order(api: httpx.Client) -> None:
    one = api.post(f"{FORECAST}/predict/features", json={"features": FEATURES}).json()
    other = dict(reversed(FEATURES.items()))
    two = api.post(f"{FORECAST}/predict/features", json={"features": other}).json()
    assert one["value"] == two["value"] == pytest.approx(0.001 + 0.05 - 0.01 + 0.45)


def test_every_protocol_gives_the_same_prediction(api: httpx.Client) -> None:
    values = [FEATURES[name] for name in small_lake.COLUMNS]
    tensor = {"name": "inputs", "shape": [1, 3], "datatype": "FP64", "data": [values]}
    columns = [
        {"name": k, "shape": [1], "datatype": "FP64", "data": [v]} for k, v in FEATURES.items()
    ]
    infer = "/v2/models/direction/infer"
    split = {"columns": list(FEATURES), "data": [list(FEATURES.values())], "index": [0]}
    found = [
        api.post(f"{FORECAST}/predict/features", json={"features": FEATURES}).json()["value"],
        api.post(f"{FORECAST}/predict/features/batch", json={"rows": [FEATURES]}).json()[
            "forecasts"
        ][0]["value"],
        *(
            api.post(infer, json={"inputs": given}).json()["outputs"][0]["data"][0]
            for given in ([tensor], [{**tensor, "data": values}], columns)
        ),
        *(
            api.post("/invocations", json=body).json()["predictions"][0]
            for body in (
                {"dataframe_split": split},
                {"dataframe_records": [FEATURES]},
                {"instances": [FEATURES]},
                {"instances": [values]},
                {"inputs": {k: [v] for k, v in FEATURES.items()}},
                {"inputs": [values]},
            )
        ),
    ]
    assert len(set(found)) == 1


def test_a_past_hour_shows_what_had_been_issued_by_then(api: httpx.Client) -> None:
    before = api.get(f"{FORECAST}/issued", params={"date": "2026-10-30", "hour": 13})
    assert before.status_code == 404
    assert "2026-10-30 15:00" in before.json()["remedy"]
    after = api.get(f"{FORECAST}/issued", params={"date": "2026-10-30", "hour": 15})
    assert after.json()["value"] == api.get(f"{FORECAST}/latest").json()["value"]


def test_history_and_prices_come_as_json_csv_and_parquet(api: httpx.Client, tmp_path: Path) -> None:
    for path, rows in (("history", 1), ("prices", 7)):
        url = f"{FORECAST}/{path}"
        found = api.get(url, params={"limit": 7}).json()["rows"]
        assert len(found) == rows
        text = api.get(url, params={"limit": 7, "format": "csv"}).text.splitlines()
        assert text[0].split(",") == list(found[0])
        assert len(text) == rows + 1
        file = tmp_path / "rows.parquet"
        kind = {"accept": "application/vnd.apache.parquet"}
        file.write_bytes(api.get(url, params={"limit": 7}, headers=kind).content)
        assert pq.read_table(file).num_rows == rows


def test_pages_of_prices_cover_every_bar_once(api: httpx.Client) -> None:
    path: str | None = f"{FORECAST}/prices?limit=150&features=false"
    times: list[str] = []
    while path:
        page = api.get(path).json()
        times += [row["event_time"] for row in page["rows"]]
        path = page["next"]
    assert len(times) == len(set(times)) == small_lake.BARS
    assert times == sorted(times, reverse=True)


def test_the_model_card_status_performance_and_list_answer(api: httpx.Client) -> None:
    card = api.get(f"{FORECAST}/model").json()
    assert [one["name"] for one in card["inputs"]] == list(small_lake.COLUMNS)
    assert card["history"][0]["sentence"] == "It was better."
    assert api.get(f"{FORECAST}/status").json()["data"]["missing_bars"] == 0
    assert api.get(f"{FORECAST}/performance").json()["coverage"]["backtest"] == 0.9
    assert api.get("/v1/forecasts").json()["forecasts"][0]["forecast"] == "direction"


def test_an_etag_saves_the_body_until_the_next_bar(api: httpx.Client) -> None:
    for path in ("/v1/forecasts", f"{FORECAST}/latest", f"{FORECAST}/model", f"{FORECAST}/prices"):
        first = api.get(path)
        assert first.headers["cache-control"] == "public, max-age=248400"
        again = api.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_server_process_holds_no_training_library(server: Running) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "/onnxruntime/" in maps
    heavy = ("pandas", "sklearn", "xgboost", "duckdb", "pyarrow", "deltalake", "scipy", "mlflow")
    assert not [name for name in heavy if f"/{name}/" in maps]


def test_tritons_clients_can_infer(api: httpx.Client) -> None:
    """As tritonclient 2.73 writes it: no content type, tensors as bytes behind the JSON."""
    rows = np.array([[FEATURES[name] for name in small_lake.COLUMNS], [0.0, 40.0, 0.004]])
    expected = [
        api.post(
            f"{FORECAST}/predict/features",
            json={"features": dict(zip(small_lake.COLUMNS, row, strict=True))},
        ).json()["value"]
        for row in rows.tolist()
    ]

    def sent(tensors: list[dict[str, object]], tail: bytes) -> httpx.Response:
        body = {"inputs": tensors, "parameters": {"binary_data_output": True}}
        document = json.dumps(body).encode()
        headers = {"inference-header-content-length": str(len(document))} if tail else {}
        url = "/v2/models/direction/infer"
        request = api.build_request("POST", url, content=document + tail, headers=headers)
        assert "content-type" not in request.headers
        return api.send(request)

    whole = {"name": "inputs", "shape": [2, 3], "datatype": "FP64"}
    sized = whole | {"parameters": {"binary_data_size": 48}}
    columns = [
        {"name": n, "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
        for n in small_lake.COLUMNS
    ]
    plain = sent([whole | {"data": rows.ravel().tolist()}], b"")
    packed = sent([sized], rows.astype("<f8").tobytes())
    by_name = sent(columns, rows.T.astype("<f4").tobytes())
    for answer in (plain, packed, by_name):
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["data"] == pytest.approx(expected, abs=1e-6)
    for tensors, tail in [
        ([sized], rows.tobytes()[:-1]),
        ([sized], rows.tobytes() + b"x"),
        ([whole], b""),
        ([sized | {"parameters": {"binary_data_size": 47}}], rows.tobytes()),
        ([sized], np.full((2, 3), np.nan).tobytes()),
    ]:
        refused = sent(tensors, tail)
        assert refused.status_code == 409, refused.text
        assert refused.json()["error"]


def test_errors_of_the_inference_protocol_have_its_one_line(api: httpx.Client) -> None:
    for answer in (
        api.get("/v2/models/nobody"),
        api.get("/v2/nowhere"),
        api.post("/v2/models/direction/infer", content=b"{"),
        api.post("/v2/models/direction/versions/9/infer", json={"inputs": []}),
        api.put("/v2/models/direction"),
    ):
        assert answer.status_code >= 400
        assert answer.json()["error"].startswith(answer.json()["detail"])
        assert answer.headers["content-type"] == "application/json"
    assert "error" not in api.get("/v1/forecasts/nobody/latest").json()


def test_requests_as_mlserver_and_kserve_write_them_are_answered(api: httpx.Client) -> None:
    """Of MLServer 1.7.1 (NumPy and pandas codecs) and KServe 0.16.0 (bytes of half precision)."""
    rows = [[0.001, 50.0, 0.005], [0.0, 40.0, 0.004]]
    whole = {"shape": [2, 3], "datatype": "FP64", "data": np.ravel(rows).tolist()}
    numpy = {
        "parameters": {"content_type": "np"},
        "inputs": [{"name": "input-1", **whole, "parameters": {"content_type": "np"}}],
    }
    pandas = {
        "parameters": {"content_type": "pd"},
        "inputs": [
            {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [row[i] for row in rows]}
            for i, name in enumerate(small_lake.COLUMNS)
        ],
    }
    kserve = (
        b'{"id":"1","model_name":"direction","inputs":[{"name":"inputs","shape":[2,3],"datatype":'
        b'"FP16","parameters":{"binary_data_size":12}}],"outputs":[{"name":"prediction",'
        b'"parameters":{"binary_data":true}}]}'
    )
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(kserve)),
    }
    url = "/v2/models/direction/infer"
    packed = np.array(rows, "<f2").tobytes()
    answers = [
        api.post(url, json=numpy),
        api.post(url, json=pandas),
        api.post(url, content=kserve + packed, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3, answers[-1].text
    first, *others = [answer.json()["outputs"][0]["data"] for answer in answers]
    for other in others:
        assert other == pytest.approx(first, abs=1e-4)


def test_nulls_of_other_clients_say_nothing(api: httpx.Client) -> None:
    tensor = {
        "name": "input-0", "shape": [1, 3], "datatype": "FP64",
        "data": list(FEATURES.values()), "parameters": None,
    }  # fmt: skip
    body = {"id": None, "inputs": [tensor], "outputs": None, "parameters": None}
    assert api.post("/v2/models/direction/infer", json=body).status_code == 200


def test_rows_can_be_scored_as_csv_and_as_a_list_of_records(api: httpx.Client) -> None:
    expected = api.post("/invocations", json={"dataframe_records": [FEATURES]}).json()
    text = ",".join(FEATURES) + "\n" + ",".join(map(str, FEATURES.values()))
    for content in (text, text + "\r\n", "\ufeff" + text):
        answer = api.post("/invocations", content=content, headers={"content-type": "text/csv"})
        assert answer.json() == expected
    assert api.post(f"{FORECAST}/invocations", json=[FEATURES]).json() == expected
    for content in ("", "a,a\n1,2", text + ",1", text + "\nx,1,2", text + "\nnan,50,1", "a\n1"):
        headers = {"content-type": "text/csv; charset=utf-8"}
        refused = api.post("/invocations", content=content, headers=headers)
        assert refused.status_code == 409, (content, refused.text)


@pytest.mark.parametrize("row", [
    {"return_1": 1.0, "rsi_14": 50.0, "volatility_21": 0.5},
    {"return_1": 1e308, "rsi_14": 1e308, "volatility_21": -1e308},
    {"return_1": -0.4, "rsi_14": 0.0, "volatility_21": 0.0},
    {"return_1": 0.5, "rsi_14": 40.0, "volatility_21": 0.0},
])  # fmt: skip
def test_a_value_lies_in_its_interval_or_its_row_is_refused(
    api: httpx.Client, row: dict[str, float]
) -> None:
    answer = api.post(f"{FORECAST}/predict/features", json={"features": row})
    if answer.status_code == 409:
        assert answer.json()["type"].endswith(":impossible-input")
        return
    made = answer.json()
    assert made["interval"]["lower"] <= made["value"] <= made["interval"]["upper"]
    assert 0 <= made["value"] <= 1
    assert made["out_of_range"]


def test_bars_are_named_by_their_day_on_both_sides(api: httpx.Client) -> None:
    latest = api.get(f"{FORECAST}/latest").json()
    assert (latest["data"]["day"], latest["target_day"]) == ("2026-10-30", "2026-11-02")
    assert "as of 2026-10-30, for 2026-11-02" in latest["sentence"]
    row = api.get(f"{FORECAST}/history").json()["rows"][0]
    assert (row["day"], row["target_day"]) == ("2026-10-30", "2026-11-02")
    assert api.get(f"{FORECAST}/prices").json()["rows"][0]["day"] == "2026-10-30"
    assert api.get(f"{FORECAST}/model").json()["history"][0]["data_day"] == "2026-10-28"
