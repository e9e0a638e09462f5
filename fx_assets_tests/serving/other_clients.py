# mypy: ignore-errors
"""Asks a server with another project's own client; a script for an environment of its own.

``python other_clients.py tritonclient|kserve|mlserver 127.0.0.1:8000 batch.jsonl`` prints, as JSON,
what was predicted in each way that the client has, and what it says of a mistake.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS = np.array([[0.001, 50.0, 0.005], [0.0, 40.0, 0.004]])
MODEL = "direction"


def tritonclient(address, _):
    """Its HTTP client: tensors as JSON or bytes, all at once or a column each, and outputs too."""
    import tritonclient.http as http

    client = http.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "fx-assets"
    about = client.get_model_metadata(MODEL)

    def tensor(name, values, binary=True):
        kinds = {"float64": "FP64", "float32": "FP32", "float16": "FP16"}
        made = http.InferInput(name, list(values.shape), kinds[str(values.dtype)])
        return made.set_data_from_numpy(values, binary_data=binary)

    def infer(*tensors, **more):
        return client.infer(MODEL, list(tensors), **more).as_numpy("prediction").tolist()

    yield from (infer(tensor("inputs", ROWS, binary)) for binary in (True, False))
    yield from (infer(tensor("inputs", ROWS.astype(kind))) for kind in ("float32", "float16"))
    for binary in (True, False):
        outputs = [http.InferRequestedOutput("prediction", binary_data=binary)]
        yield infer(tensor("inputs", ROWS), outputs=outputs, request_id="7")
    columns = about["parameters"]["columns"]
    yield infer(*(tensor(n, ROWS[:, i].copy()) for i, n in enumerate(columns)))
    yield infer(tensor("inputs", ROWS), model_version=about["versions"][0])
    waiting = client.async_infer(MODEL, [tensor("inputs", ROWS)])
    yield waiting.get_result().as_numpy("prediction").tolist()
    try:
        infer(tensor("inputs", ROWS[:, :2].copy()))
    except http.InferenceServerException as error:
        yield str(error)


def kserve(address, _):
    """Its REST client."""
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.protocol.infer_type import RequestedOutput

    url = f"http://{address}"

    async def ask():
        found = []
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            assert await client.is_server_live(url)
            assert await client.is_server_ready(url)
            assert await client.is_model_ready(url, MODEL)
            assert not await client.is_model_ready(url, "nobody")

            async def infer(rows, binary, outputs=None):
                tensor = InferInput("inputs", list(rows.shape), "FP64")
                tensor.set_data_from_numpy(rows, binary_data=binary)
                request = InferRequest(MODEL, [tensor], request_outputs=outputs)
                answer = await client.infer(url, request, MODEL)
                return answer.outputs[0].as_numpy().tolist()

            for binary in (True, False):
                found.append(await infer(ROWS, binary))
                wanted = [RequestedOutput("prediction", parameters={"binary_data": binary})]
                found.append(await infer(ROWS, binary, wanted))
            try:
                await infer(ROWS[:, :2], True)
            except Exception as error:
                found.append(str(error))
        return found

    yield from asyncio.run(ask())


def mlserver(address, batch):
    """Its codecs and types, and its command line for many requests."""
    import httpx
    import pandas as pd
    from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec
    from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

    url = f"http://{address}/v2/models/{MODEL}"
    about = MetadataModelResponse.model_validate_json(httpx.get(url).text)
    whole = InferenceRequest(inputs=[NumpyCodec.encode_input("inputs", ROWS)])
    frame = pd.DataFrame(ROWS, columns=about.parameters.columns)
    for asked in (whole, NumpyRequestCodec.encode_request(ROWS), PandasCodec.encode_request(frame)):
        json_headers = {"content-type": "application/json"}
        answer = httpx.post(f"{url}/infer", content=asked.model_dump_json(), headers=json_headers)
        answer = InferenceResponse.model_validate_json(answer.text)
        assert list(PandasCodec.decode_response(answer)) == [one.name for one in about.outputs]
        yield NumpyCodec.decode_output(answer.outputs[0]).tolist()
    for more in ([], ["--binary-data"]):
        Path(batch).write_text(f"{whole.model_dump_json()}\n")
        command = [str(Path(sys.executable).with_name("mlserver")), "infer", *more]
        files = ["-i", batch, "-o", f"{batch}.out"]
        subprocess.run([*command, "-u", address, "-m", MODEL, *files], check=True)
        yield json.loads(Path(f"{batch}.out").read_text())["outputs"][0]["data"]
    wrong = InferenceRequest(inputs=[NumpyCodec.encode_input("inputs", ROWS[:, :2])])
    Path(batch).write_text(f"{wrong.model_dump_json()}\n")
    done = subprocess.run(
        [*command, "-u", address, "-m", MODEL, *files], capture_output=True, text=True
    )
    yield done.stdout + done.stderr + Path(f"{batch}.out").read_text()


if __name__ == "__main__":
    print(json.dumps(list(globals()[sys.argv[1]](*sys.argv[2:]))))
