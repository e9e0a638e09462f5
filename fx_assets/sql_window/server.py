"""The page and its one route, on a port of its own."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from fx_assets.errors import FxAssetsError
from fx_assets.lake import Lake
from fx_assets.settings import Settings
from fx_assets.sql_window.queries import Queries

PAGE = files("fx_assets.sql_window").joinpath("page.html").read_text("utf-8")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Question(BaseModel):
    """What is asked."""

    sql: str = Field(min_length=1, max_length=20_000)


def create_app() -> FastAPI:
    """The window on the lake of the environment."""
    app = FastAPI(title="SQL over the lake", docs_url=None, redoc_url=None, openapi_url=None)
    queries = Queries(Lake.from_settings(Settings()))

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers=HEADERS)

    @app.get("/health")
    def health() -> Response:
        return Response(status_code=204)

    # JSON only, so that another site's form cannot ask in the name of who is logged in.
    @app.post("/query")
    def query(question: Question) -> JSONResponse:
        try:
            answer = queries.ask(question.sql)
        except FxAssetsError as error:
            return JSONResponse({"error": str(error)}, status_code=400, headers=HEADERS)
        return JSONResponse(answer._asdict(), headers=HEADERS)

    return app


def serve(host: str, port: int) -> int:
    """Run until stopped."""
    import uvicorn

    uvicorn.run(create_app(), host=host, port=port, log_level="warning", server_header=False)
    return 0
