"""The Open Inference Protocol, version 2 (KServe, Triton, MLServer), over the champions.

A model is a forecast and a version is the number of its bundle; of a universe ``?instrument=`` says
whose, and ``target=`` and ``horizon=`` where there are several. Inputs come as one tensor of all
columns, in the order of the metadata, or as one tensor a column by name.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

import numpy as np
from fastapi import APIRouter, Path, Request
from msgspec import Meta, Struct, field

from serving.http.bodies import Body, require_batch
from serving.http.middleware import LARGE
from serving.http.openapi import described
from serving.http.problems import Problem, shortened
from serving.http.responses import Raw, json_answer
from serving.http.shortcuts import Headers, content_type
from serving.routes.health import NO_STORE, readiness
from serving.routes.parameters import NO_CHOICE, Chosen, Name
from serving.state.champions import Champion
from serving.state.members import Choice
from serving.state.predicting import from_inputs, need_data
from serving.state.server import Server
from serving.state.service import Service

WHOLE = "inputs"
Version = Annotated[str, Path(pattern=r"^[0-9]{1,9}$", description="Number of a bundle.")]
PROBLEMS = (400, 404, 409, 413, 415, 422, 503)


DTYPES = {
    "FP64": "<f8", "FP32": "<f4", "FP16": "<f2",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
}  # fmt: skip
SIZE = "binary_data_size"
JSON_LENGTH = b"inference-header-content-length"
"""Header of a request whose tensors follow its JSON as bytes (Triton's binary extension)."""


class Tensor(Struct, kw_only=True):
    """A named tensor; data may be nested by row or flat.

    Without ``data``, ``parameters.binary_data_size`` bytes of it follow the JSON of the request,
    whose length the header ``Inference-Header-Content-Length`` states.
    """

    name: Annotated[str, Meta(max_length=200)]
    shape: Annotated[
        list[Annotated[float, Meta(ge=0, le=1_000_000, multiple_of=1)]],
        Meta(min_length=1, max_length=2),
    ]
    datatype: Literal[
        "FP64", "FP32", "FP16", "INT8", "INT16", "INT32", "INT64",
        "UINT8", "UINT16", "UINT32", "UINT64",
    ]  # fmt: skip
    data: list[float | list[float]] | None = None
    parameters: dict[str, Any] | None = None

    @property
    def sizes(self) -> list[int]:
        """The shape; clients may write its numbers as 2.0."""
        return [int(size) for size in self.shape]


class RequestedOutput(Struct, kw_only=True):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferenceRequest(Struct, kw_only=True):
    """Rows to predict from."""

    inputs: Annotated[list[Tensor], Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


class ResponseOutput(Struct, kw_only=True):
    """A tensor of answers."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float | None]


class InferenceResponse(Struct, kw_only=True, omit_defaults=True):
    """Predictions with interval and baseline; provenance is in the parameters."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[ResponseOutput]


class TensorMetadata(Struct):
    """Shape and type of a tensor."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct):
    """What a model reads and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any]


class ServerMetadata(Struct):
    """What the server can do."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(Struct):
    """Whether the server lives."""

    live: bool


class ServerReady(Struct):
    """Whether some model can be asked."""

    ready: bool


class ModelReady(Struct):
    """Whether the model can be asked."""

    name: str
    ready: bool


JSON_TYPE = "application/json"
UNSAID = ("", "application/octet-stream")
"""Content types of clients that do not say that they send JSON."""
OUTPUTS = ("prediction", "lower", "upper", "baseline")


TAG = "open inference protocol v2"


def add(routes: APIRouter, server: Server) -> None:
    """Add ``/v2/...``."""
    body = Body(InferenceRequest)

    @routes.get("/v2", summary="Server metadata", **described(TAG, ServerMetadata))
    async def metadata(request: Request) -> Raw:
        return json_answer(ServerMetadata("fx-assets", request.app.version, []))

    @routes.get("/v2/health/live", summary="Server live", **described(TAG, ServerLive))
    async def live() -> Raw:
        return json_answer(ServerLive(True), NO_STORE)

    @routes.get(
        "/v2/health/ready", summary="Server ready", **described(TAG, ServerReady, problems=(503,))
    )
    async def ready() -> Raw:
        if readiness(server).status == "not ready" and not server.store.universes:
            server.store.any()
        return json_answer(ServerReady(True), NO_STORE)

    async def describe(name: str, version: str | None, choice: Choice) -> Raw:
        return json_answer(_metadata((await _model(server, name, version, choice)).champion))

    async def is_ready(name: str, version: str | None, choice: Choice) -> Raw:
        service = await _model(server, name, version, choice)
        return json_answer(ModelReady(service.name, True), NO_STORE)

    def answer(service: Service, headers: Headers, content: bytes) -> Raw:
        document, tail = _parts(headers, content)
        kind = content_type(headers)
        asked = body.decode(kind if kind not in UNSAID else JSON_TYPE, document)
        inputs = _matrix(service.champion, _with_bytes(asked.inputs, tail))
        require_batch(len(inputs), server.settings.max_batch, WHOLE)
        wanted = [output.name for output in asked.outputs or ()] or list(OUTPUTS)
        return _infer(server, service, inputs, asked.id, wanted)

    async def infer(name: str, version: str | None, request: Request, choice: Choice) -> Raw:
        headers, content = dict(request.scope["headers"]), await request.body()
        service = await _model(server, name, version, choice)
        if len(content) > LARGE:
            return await server.aside(answer, service, headers, content)
        return answer(service, headers, content)

    documented = {
        "metadata": described(TAG, ModelMetadata, problems=(400, 404, 422, 503)),
        "ready": described(TAG, ModelReady, problems=(400, 404, 422, 503)),
        "infer": described(TAG, InferenceResponse, body=InferenceRequest, problems=PROBLEMS),
    }

    @routes.get("/v2/models/{name}", summary="Model metadata", **documented["metadata"])
    async def model_metadata(name: Name, choice: Chosen = NO_CHOICE) -> Raw:
        return await describe(name, None, choice)

    @routes.get(
        "/v2/models/{name}/versions/{version}",
        summary="Metadata of a version",
        **documented["metadata"],
    )
    async def version_metadata(name: Name, version: Version, choice: Chosen = NO_CHOICE) -> Raw:
        return await describe(name, version, choice)

    @routes.get("/v2/models/{name}/ready", summary="Model ready", **documented["ready"])
    async def model_ready(name: Name, choice: Chosen = NO_CHOICE) -> Raw:
        return await is_ready(name, None, choice)

    @routes.get(
        "/v2/models/{name}/versions/{version}/ready", summary="Version ready", **documented["ready"]
    )
    async def version_ready(name: Name, version: Version, choice: Chosen = NO_CHOICE) -> Raw:
        return await is_ready(name, version, choice)

    @routes.post("/v2/models/{name}/infer", summary="Infer", **documented["infer"])
    async def model_infer(name: Name, request: Request, choice: Chosen = NO_CHOICE) -> Raw:
        return await infer(name, None, request, choice)

    @routes.post(
        "/v2/models/{name}/versions/{version}/infer",
        summary="Infer with a version",
        **documented["infer"],
    )
    async def version_infer(
        name: Name, version: Version, request: Request, choice: Chosen = NO_CHOICE
    ) -> Raw:
        return await infer(name, version, request, choice)


async def _model(server: Server, name: str, version: str | None, choice: Choice) -> Service:
    service = await server.bundled(name, choice)
    if version is not None and int(version) != service.champion.version:
        raise Problem(
            404,
            "no-such-version",
            f"{name} is served in version {service.champion.version}, not {version}.",
            field="version",
            value=version,
            remedy="Leave the version out to ask the champion.",
        )
    return service


def _metadata(champion: Champion) -> ModelMetadata:
    manifest = champion.manifest
    return ModelMetadata(
        name=manifest.forecast,
        versions=[str(manifest.version)],
        platform="onnx_onnxv1",
        inputs=[TensorMetadata(WHOLE, "FP64", [-1, len(champion.names)])],
        outputs=[TensorMetadata(name, "FP64", [-1]) for name in OUTPUTS],
        parameters={"columns": list(champion.names), **_provenance(champion)},
    )


def _provenance(champion: Champion) -> dict[str, Any]:
    manifest = champion.manifest
    return {
        "instrument": manifest.instrument,
        "target": manifest.target,
        "horizon": manifest.horizon,
        "champion": manifest.candidate,
        "recipe": manifest.recipe,
        "unit": manifest.target_unit,
        "skill_demonstrated": champion.skill.demonstrated,
        **({"skill_caveat": champion.skill.caveat} if champion.skill.caveat else {}),
        "coverage": champion.predictor.intervals.coverage,
    }


def _matrix(champion: Champion, tensors: list[Tensor]) -> np.ndarray:
    if len(tensors) == 1 and tensors[0].name not in champion.names:
        tensor = tensors[0]
        values = _values(tensor)
        width = len(champion.names)
        if len(tensor.sizes) != 2 or tensor.sizes[1] != width:
            raise _refused(
                tensor, f"has the shape {tensor.sizes}, the model reads [n, {width}]", "shape"
            )
        return values.reshape(-1, width)
    by_name = {tensor.name: tensor for tensor in tensors}
    champion.matrix([dict.fromkeys(by_name, 0.0)], WHOLE)
    columns = []
    rows = tensors[0].sizes[0]
    for name in champion.names:
        tensor = by_name[name]
        values = _values(tensor)
        if tensor.sizes not in ([rows], [rows, 1]):
            raise _refused(tensor, f"has the shape {tensor.sizes}, not {rows} rows", "shape")
        columns.append(values)
    return np.column_stack(columns)


def _parts(headers: Headers, content: bytes) -> tuple[bytes, bytes]:
    """The JSON of a request, and the bytes of tensors that follow it."""
    given = headers.get(JSON_LENGTH)
    if given is None:
        return content, b""
    length = int(given) if given.isdigit() and len(given) < 12 else -1
    if not 0 <= length <= len(content):
        raise Problem(
            422,
            "invalid-body",
            f"Inference-Header-Content-Length is {shortened(given.decode('latin-1'))}; the body "
            f"has {len(content)} bytes.",
            field="inference-header-content-length",
            value=given.decode("latin-1"),
            remedy="State how many bytes of JSON come before those of the tensors.",
        )
    return content[:length], content[length:]


def _with_bytes(tensors: list[Tensor], tail: bytes) -> list[Tensor]:
    """The tensors with the data that followed the JSON, in their order."""
    place = 0
    for tensor in tensors:
        size = (tensor.parameters or {}).get(SIZE)
        if size is None:
            if tensor.data is None:
                raise _refused(tensor, f"has neither data nor {SIZE}", "data")
            continue
        dtype = np.dtype(DTYPES[tensor.datatype])
        expected = math.prod(tensor.sizes) * dtype.itemsize
        if tensor.data is not None or size != expected or place + expected > len(tail):
            raise _refused(
                tensor,
                f"states {shortened(size)} bytes; shape and datatype need {expected}, and "
                f"{len(tail) - place} are left",
                "data",
            )
        raw = np.frombuffer(tail, dtype, count=expected // dtype.itemsize, offset=place)
        tensor.data = cast("Any", raw.astype(np.float64))
        place += expected
    if place != len(tail):
        raise _refused(tensors[-1], f"is followed by {len(tail) - place} bytes of nothing", "data")
    return tensors


def _values(tensor: Tensor) -> np.ndarray:
    """The flat data of a tensor, as many as its shape says."""
    flat: list[float] = []
    if isinstance(tensor.data, np.ndarray):
        return tensor.data
    for part in tensor.data or ():
        flat.extend(part) if isinstance(part, list) else flat.append(part)
    size = math.prod(tensor.sizes)
    if len(flat) != size:
        raise _refused(tensor, f"has {len(flat)} values, its shape {tensor.sizes} {size}", "data")
    return np.array(flat, dtype=np.float64)


def _refused(tensor: Tensor, reason: str, part: str) -> Problem:
    return Problem(
        409,
        "unusable-tensor",
        f"inputs: the tensor {tensor.name[:80]!r} {reason}.",
        field=f"inputs.{tensor.name[:80]}.{part}",
        value=tensor.sizes if part == "shape" else None,
        remedy="Give one FP64 tensor of shape [n, columns] in the order of the model's metadata, "
        "or one of shape [n] a column.",
    )


def _infer(
    server: Server, service: Service, inputs: np.ndarray, given_id: str | None, wanted: list[str]
) -> Raw:
    unknown = sorted(set(wanted) - set(OUTPUTS))
    if unknown:
        raise Problem(
            409,
            "no-such-output",
            f"outputs: there is no output {unknown[0][:80]!r}.",
            field="outputs",
            value=unknown[0],
            remedy=f"Ask for any of {', '.join(OUTPUTS)}.",
        )
    now = server.now()
    data = need_data(service, now)
    made = from_inputs(service, inputs, data) if len(inputs) else []
    columns: dict[str, list[float | None]] = {
        "prediction": [one.value for one in made],
        "lower": [one.interval.lower for one in made],
        "upper": [one.interval.upper for one in made],
        "baseline": [one.baseline.value for one in made],
    }
    parameters = _provenance(service.champion) | {
        "data_as_of": data.as_of,
        "freshness": data.freshness,
        "target_time": made[0].target_time if made else None,
        "stale": service.stale,
    }
    return json_answer(
        InferenceResponse(
            model_name=service.name,
            model_version=str(service.champion.version),
            id=given_id,
            parameters=parameters,
            outputs=[
                ResponseOutput(name=name, shape=[len(made)], datatype="FP64", data=columns[name])
                for name in wanted
            ],
        )
    )
