"""A real local HTTP server that speaks the ECB's formats, and every way in which it can fail."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from fx_assets.testing.vendors.answers import Answer, listening, raw

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in to WiFi</title></head><body/></html>"


def zipped(text: str | bytes, name: str = "eurofxref-hist.csv") -> bytes:
    """A history zip with this CSV."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def daily_xml(day: str, **rates: str) -> bytes:
    """The daily file with these rates."""
    cubes = "\n".join(f"<Cube currency='{code}' rate='{rate}'/>" for code, rate in rates.items())
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject>
<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
<Cube><Cube time='{day}'>{cubes}</Cube></Cube></gesmes:Envelope>""".encode()


def ok(content: bytes, etag: str = "") -> Answer:
    """200 with the content, or 304 to who already holds that ETag."""

    if not etag:
        return raw(content)

    def answer(request: BaseHTTPRequestHandler) -> None:
        held = request.headers.get("If-None-Match") == etag
        (raw(b"", 304, ETag=etag) if held else raw(content, ETag=etag))(request)

    return answer


def status(code: int, **headers: str) -> Answer:
    """This status, with nothing in it."""
    return raw(b"", code, declared=None, **headers)


class EcbServer:
    """Answers each path with its script, the last answer for ever."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, float]] = []
        self.url = ""

    def script(self, path: str, *answers: Answer) -> None:
        """What the path answers from now on."""
        self.scripts[path] = list(answers)

    def count(self, path: str) -> int:
        """How often the path was asked for."""
        return sum(asked == path for asked, _ in self.requests)


@contextmanager
def running() -> Iterator[EcbServer]:
    """A server on a free local port."""
    server = EcbServer()

    def answer(request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?", 1)[0]
        server.requests.append((path, time.monotonic()))
        answers = server.scripts.get(path) or [status(404)]
        (answers.pop(0) if len(answers) > 1 else answers[0])(request)

    with listening(answer) as server.url:
        yield server
