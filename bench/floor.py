"""The floor, the cheapest plausible gateway in Python: `python -m bench.floor PORT MODELS_FILE`.

A FastAPI app that relays the provider's bytes, without agent, validation or failover.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import uvicorn
import yaml
from fastapi import FastAPI, Request, Response
from starlette.responses import StreamingResponse


@dataclass(frozen=True, slots=True)
class Upstream:
    """The provider's URL and model name."""

    url: str
    model: str


def create_app(upstreams: dict[str, Upstream]) -> FastAPI:
    """Build the app; `upstreams` is keyed by the model name that callers use."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield {"session": session}

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/chat/completions")
    async def relay(request: Request) -> Response:
        body = orjson.loads(await request.body())
        upstream = upstreams[body["model"]]
        session: aiohttp.ClientSession = request.state.session
        forwarded = orjson.dumps({**body, "model": upstream.model})
        headers = {"content-type": "application/json", "authorization": "Bearer any"}
        answer = await session.post(upstream.url, data=forwarded, headers=headers, timeout=aiohttp.ClientTimeout(None))
        if body.get("stream"):
            return StreamingResponse(_stream(answer), answer.status, media_type="text/event-stream")
        async with answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    return app


async def _stream(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with answer:
        async for piece in answer.content.iter_any():
            yield piece


def _upstreams(models_file: Path) -> dict[str, Upstream]:
    entries = yaml.safe_load(models_file.read_text())["model_list"]
    return {
        entry["model_name"]: Upstream(
            f"{entry['litellm_params']['api_base']}/chat/completions",
            entry["litellm_params"]["model"].removeprefix("openai/"),
        )
        for entry in entries
    }


if __name__ == "__main__":
    uvicorn.run(
        create_app(_upstreams(Path(sys.argv[2]))),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
