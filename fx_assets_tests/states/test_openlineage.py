"""OpenLineage's receiver is told what runs read and wrote, and no run waits for it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import pytest

from fx_assets.assets import lineage
from fx_assets.testing.processes import free_port
from fx_assets_tests.homes import Home

pytest.importorskip("openlineage.client", reason="fx-assets[openlineage] is not installed")
pytestmark = pytest.mark.slow

SPEC = "https://openlineage.io/spec"
TEXT = {"type": "string", "minLength": 1}
PLACE = {"type": "string", "pattern": r"^https://\S+$"}
"""The format ``uri``, which jsonschema does not look at by itself."""
UUID = {"type": "string", "format": "uuid"}
NUMBER = {"type": "integer", "minimum": 0}


def made_of(required: str = "", optional: str = "", **properties: object) -> dict[str, Any]:
    """An object with these properties, texts unless they say otherwise, and no other."""
    texts = dict.fromkeys([*required.split(), *optional.split()], TEXT)
    needed = [*required.split(), *properties]
    return {
        "type": "object",
        "required": needed,
        "properties": texts | properties,
        "additionalProperties": False,
    }


def facet(name: str, version: str, *texts: str, **properties: object) -> dict[str, Any]:
    """A facet of that version of its schema."""
    of = {"const": f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}"}
    return made_of(*texts, _producer=PLACE, _schemaURL=of, **properties)


def some(**properties: object) -> dict[str, Any]:
    """Any of these facets, and no other."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def many(item: object) -> dict[str, Any]:
    return {"type": "array", "items": item}


NOTHING = {"type": "array", "maxItems": 0}
"""What the client adds to some facets."""
SCHEMA = facet(
    "SchemaDatasetFacet",
    "1-2-0",
    fields=many(made_of("name type description", fields=NOTHING)),
)
LINEAGE = facet(
    "ColumnLineageDatasetFacet",
    "1-2-0",
    dataset=NOTHING,
    fields={
        "type": "object",
        "additionalProperties": made_of(
            inputFields=many(made_of("namespace name field", transformations=NOTHING))
        ),
    },
)
VERSION = facet("DatasetVersionDatasetFacet", "1-0-1", "datasetVersion")
WRITTEN = facet("OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=NUMBER)
INPUT = made_of("namespace name", facets=some(schema=SCHEMA, version=VERSION), inputFacets=some())
OUTPUT = made_of(
    "namespace name",
    facets=some(schema=SCHEMA, version=VERSION, columnLineage=LINEAGE),
    outputFacets=some(outputStatistics=WRITTEN),
)
OF_RUN = some(
    parent=facet(
        "ParentRunFacet",
        "1-2-0",
        run=made_of(runId=UUID, facets=some()),
        job=made_of("namespace name", facets=some()),
    ),
    errorMessage=facet(
        "ErrorMessageRunFacet", "1-0-1", "message programmingLanguage", "stackTrace"
    ),
    processing_engine=facet("ProcessingEngineRunFacet", "1-1-1", "version name"),
    tags=facet("TagsRunFacet", "1-0-0", tags=many(made_of("key value", "source"))),
)
OF_JOB = some(jobType=facet("JobTypeJobFacet", "2-0-4", "processingType integration jobType"))
RUN_EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **made_of(
        eventTime={"type": "string", "format": "date-time", "pattern": r"(Z|[+-]\d\d:\d\d)$"},
        producer=PLACE,
        schemaURL={"const": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        eventType={"enum": ["START", "COMPLETE", "ABORT", "FAIL"]},
        run=made_of(runId=UUID, facets=OF_RUN),
        job=made_of("namespace name", facets=OF_JOB),
        inputs=many(INPUT),
        outputs=many(OUTPUT),
    ),
}
"""What we send, which OpenLineage's own schemas took by hand (docs/lineage.md): each facet in the
version that was checked, and nothing that was not. Whoever changes it, or takes a client that
speaks another version, checks by them again."""


@contextmanager
def receiver(port: int = 0, *, silent: bool = False) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver with what it was sent; a silent one takes everything and never answers."""
    received: list[dict[str, Any]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if silent:
                over.wait(60)
                return
            received.append(json.loads(body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def named(home: Home, table: str) -> tuple[str, str]:
    return "file", f"{home.folder}/data/lake/{table}"


def test_events_of_a_real_run_are_valid_and_say_which_columns_are_made_of_which(home: Home) -> None:
    home.advance()
    with receiver() as (url, received):
        home.environment["OPENLINEAGE_URL"] = url
        said = home.run("run").succeeded().out
        assert "OpenLineage was told of" in said
        home.run("run").succeeded()
        told = [(e["run"]["runId"], e["eventType"], e["eventTime"]) for e in received]
        assert len(told) == len(set(told)), "nothing is told twice"
        (home.folder / "in" / "eur.csv").write_text("no,table\nat,all\n")
        home.run("run")
    checked = jsonschema.Draft202012Validator(
        RUN_EVENT, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    assert [e.message for event in received for e in checked.iter_errors(event)] == []
    kinds = Counter(event["eventType"] for event in received)
    assert kinds["START"] == kinds["COMPLETE"] + kinds["FAIL"]
    jobs = {event["job"]["name"] for event in received}
    assert {"eur_ingest", "eur/prices", "up_predict", "up/predictions"} <= jobs
    written = {
        (one["namespace"], one["name"]): one for event in received for one in event["outputs"]
    }
    prices, raw = (named(home, table) for table in ("prices/eur", "raw_prices/eur"))
    assert {prices, raw, named(home, "predictions/up")} <= set(written)
    parts = written[prices]["facets"]["columnLineage"]["fields"]["close"]["inputFields"]
    assert [(one["namespace"], one["name"], one["field"]) for one in parts] == [(*raw, "close")]
    columns = {one["name"]: one for one in written[prices]["facets"]["schema"]["fields"]}
    assert columns["close"]["type"] == "float64"
    assert "last price" in columns["close"]["description"]
    assert int(written[prices]["facets"]["version"]["datasetVersion"]) >= 0
    steps = [e for e in received if e["outputs"]]
    (of_prices,) = [
        e for e in steps if prices in {(o["namespace"], o["name"]) for o in e["outputs"]}
    ][:1]
    assert raw in {(one["namespace"], one["name"]) for one in of_prices["inputs"]}
    runs = {event["run"]["runId"] for event in received if event["job"]["name"] == "eur_ingest"}
    assert of_prices["run"]["facets"]["parent"]["run"]["runId"] in runs
    failed = [event for event in received if event["eventType"] == "FAIL"]
    assert failed
    why = [event["run"]["facets"]["errorMessage"] for event in failed]
    assert all("eur.csv has neither a header" in one["message"] for one in why)
    assert not any("Traceback" in one["message"] or 'File "' in one["message"] for one in why)
    assert any("prices.py" in one.get("stackTrace", "") for one in why), "of the step"


def test_a_receiver_that_is_away_or_silent_changes_no_run_and_is_told_later(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "BOUND_SECONDS", 0.5)
    port = free_port()
    home.environment["OPENLINEAGE_URL"] = f"http://127.0.0.1:{port}"
    home.advance()
    said = home.run("run").succeeded().out
    assert "The rest waits" in said
    assert "prediction" in said or "P(up)" in said
    with receiver(silent=True) as (url, _):
        home.environment["OPENLINEAGE_URL"] = url
        home.advance()
        assert "no answer within 0.5 s" in home.run("run").succeeded().out
    monkeypatch.setattr(lineage, "BOUND_SECONDS", 120.0)
    with receiver() as (url, received):
        home.environment["OPENLINEAGE_URL"] = url
        home.run("run").succeeded()
    ended = Counter(e["job"]["name"] for e in received if e["eventType"] == "COMPLETE")
    assert ended["eur_ingest"] >= 2


def test_nobody_is_told_unless_a_receiver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    assert not lineage.wanted()
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    assert lineage.wanted()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert not lineage.wanted()
