"""FastAPI's hello-world: the floor under every server that is built on FastAPI."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """The example of FastAPI's documentation."""
    return {"message": "Hello World"}
