"""The page at ``/``: files that hold no data, which ask the API for it.

The folder ``static/`` is read once. Its address carries a digest of its content, so that a browser
keeps the files for good and never mixes two releases.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response

from serving.http.problems import Problem
from serving.http.responses import Raw
from serving.routes.caching import matches
from serving.state.server import Server

FOLDER = Path(__file__).resolve().parents[1] / "static"
INDEX = "index.html"
DOCS = "docs.html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
FOREVER = "public, max-age=31536000, immutable"
CONTENT_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".NOTICE": b"text/plain; charset=utf-8",
    ".LICENSE": b"text/plain; charset=utf-8",
}
"""Only files of these kinds are served."""


@dataclass(frozen=True)
class Asset:
    """A file in the two forms in which it is sent."""

    content_type: bytes
    plain: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, content_type: bytes, plain: bytes) -> Asset:
        """The file with this content."""
        etag = f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"'
        return cls(content_type, plain, gzip.compress(plain, 6, mtime=0), etag)

    def response(self, request: Request, cache_control: str) -> Raw:
        """The file, packed for clients that unpack, or 304 for those that have it."""
        headers = {
            "etag": self.etag,
            "cache-control": cache_control,
            "vary": "accept-encoding",
            "content-security-policy": POLICY,
        }
        if matches(request.headers.get("if-none-match"), self.etag):
            return Raw(b"", status=304, headers=headers)
        body = self.plain
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = self.packed
            headers["content-encoding"] = "gzip"
        return Raw(body, content_type=self.content_type, headers=headers)


def read_assets(folder: Path = FOLDER) -> tuple[str, dict[str, Asset]]:
    """Digest of the folder, and its files by path; the pages name the digest."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in CONTENT_TYPES
    }
    digest = hashlib.sha256()
    for name, content in found.items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    version = digest.hexdigest()[:16]
    for page in found.keys() & {INDEX, DOCS}:
        found[page] = found[page].replace(b"{static}", f"static/{version}".encode())
    return version, {
        name: Asset.of(CONTENT_TYPES[Path(name).suffix], content) for name, content in found.items()
    }


def include(app: FastAPI, server: Server) -> None:  # noqa: ARG001
    """Add the page and its files to the application."""
    version, assets = read_assets()
    index, docs = assets.pop(INDEX), assets.pop(DOCS)
    routes = APIRouter(include_in_schema=False)

    @routes.get("/", response_class=Response)
    async def page(request: Request) -> Raw:
        return index.response(request, "no-cache")

    @routes.get("/docs", response_class=Response)
    async def description(request: Request) -> Raw:
        return docs.response(request, "no-cache")

    @routes.get("/static/{release}/{file:path}", response_class=Response)
    async def static(release: str, file: str, request: Request) -> Raw:
        asset = assets.get(file)
        if asset is None or release != version:
            raise Problem(
                404,
                "no-such-file",
                f"The page of this release has no file {file!r} under {release!r}.",
                field="path",
                value=request.url.path,
                remedy="Load the page again: it names the files of the release that is running.",
            )
        return asset.response(request, FOREVER)

    app.include_router(routes)
