"""A server of phone lines that answers as a test says, also as no server should."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.serving import _Server

Json = dict[str, Any]
INCOMING = (
    '<Response><Connect action="/phone/relay/action"><ConversationRelay url="wss://elsewhere/phone/relay?key=1" '
    'language="en-US" welcomeGreeting="{greeting}"><Parameter name="model" value="fast"/></ConversationRelay></Connect>'
    "</Response>"
)


@dataclass
class SmallRelay:
    """`answer` gets each frame of the phone, and sends. `frames` are all of them, `forms` those of the requests."""

    answer: Callable[[Callable[[Json], Awaitable[None]], Json], Awaitable[None]]
    greeting: str = ""
    incoming: str = INCOMING
    action: str = "<Response><Hangup/></Response>"
    url: str = ""
    query: str = ""
    frames: list[Json] = field(default_factory=list)
    forms: list[Json] = field(default_factory=list)

    async def post(self, request: Request) -> Response:
        self.forms.append({"path": request.url.path, **dict(parse_qsl((await request.body()).decode()))})
        text = self.incoming.format(greeting=self.greeting) if "incoming" in request.url.path else self.action
        return Response(text, media_type="text/xml")

    async def relay(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.query = websocket.url.query

        async def send(frame: Json | str) -> None:
            text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
            await (websocket.close(4000, "told so") if frame == "close" else websocket.send_text(text))

        with suppress(WebSocketDisconnect):
            while True:
                frame = orjson.loads(await websocket.receive_text())
                self.frames.append(frame)
                if frame["type"] == "setup" and self.greeting:
                    await send({"type": "text", "token": self.greeting, "last": True})
                await self.answer(send, frame)


@asynccontextmanager
async def serving_relay(relay: SmallRelay) -> AsyncIterator[SmallRelay]:
    """Serve it on a free port; `url` is set."""
    routes = [
        Route("/phone/incoming", relay.post, methods=["POST"]),
        Route("/phone/relay/action", relay.post, methods=["POST"]),
        WebSocketRoute("/phone/relay", relay.relay),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    relay.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, ws="websockets-sansio", lifespan="off")
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await server.ready.wait()
    try:
        yield relay
    finally:
        server.should_exit = True
        await running
