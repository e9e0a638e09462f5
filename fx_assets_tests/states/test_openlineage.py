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

FACET = {
    "type": "object",
    "required": ["_producer", "_schemaURL"],
    "properties": {
        name: {"type": "string", "format": "uri"} for name in ("_producer", "_schemaURL")
    },
}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1},
        "facets": {
            "additionalProperties": FACET,
            "properties": {
                "schema": {
                    "properties": {
                        "fields": {
                            "type": "array",
                            "items": {
                                "required": ["name"],
                                "properties": {
                                    name: {"type": "string"}
                                    for name in ("name", "type", "description")
                                },
                            },
                        }
                    }
                },
                "columnLineage": {
                    "required": ["fields"],
                    "properties": {
                        "fields": {
                            "additionalProperties": {
                                "required": ["inputFields"],
                                "properties": {
                                    "inputFields": {
                                        "type": "array",
                                        "items": {"required": ["namespace", "name", "field"]},
                                    }
                                },
                            }
                        }
                    },
                },
                "version": {"required": ["datasetVersion"]},
            },
        },
        "outputFacets": {"additionalProperties": FACET},
    },
}
RUN_EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventTime": {"type": "string", "format": "date-time", "pattern": r"(Z|[+-]\d\d:\d\d)$"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {
            "const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        },
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {
            "required": ["runId"],
            "properties": {
                "runId": {"type": "string", "format": "uuid"},
                "facets": {
                    "additionalProperties": FACET,
                    "properties": {
                        "parent": {"required": ["run", "job"]},
                        "errorMessage": {"required": ["message", "programmingLanguage"]},
                        "processing_engine": {"required": ["version"]},
                    },
                },
            },
        },
        "job": {
            "required": ["namespace", "name"],
            "properties": {
                "facets": {
                    "additionalProperties": FACET,
                    "properties": {"jobType": {"required": ["processingType", "integration"]}},
                }
            },
        },
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}
"""What OpenLineage 2-0-2 asks of a run's event, and of the facets that are used here."""


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
    made_of = written[prices]["facets"]["columnLineage"]["fields"]["close"]["inputFields"]
    assert [(one["namespace"], one["name"], one["field"]) for one in made_of] == [(*raw, "close")]
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
    assert all(event["run"]["facets"]["errorMessage"]["message"] for event in failed)


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
