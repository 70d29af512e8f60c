"""A client of `/agent/*` for tests that checks what all responses have in common."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from tests.support.serving import Served

Json = dict[str, Any]


class SessionClient:
    """A client of one user."""

    def __init__(self, http: httpx.AsyncClient, user_id: str = "ann") -> None:
        self.http = http
        self.user_id = user_id

    def of(self, user_id: str) -> SessionClient:
        """Return a client of another user."""
        return SessionClient(self.http, user_id)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/agent/{path}", json={"user_id": self.user_id, **body})

    async def invoke(self, query: str, session_id: str | None = "s", **fields: Any) -> Json:
        """Run a turn and return the response."""
        return parse_turn(await self.post("invoke", query=query, session_id=session_id, **fields))

    async def resume(self, session_id: str = "s", **fields: Any) -> Json:
        return parse_turn(await self.post("resume", session_id=session_id, **fields))

    async def stream(self, path: str, session_id: str = "s", **fields: Any) -> list[Json]:
        """Run a streamed turn and return its events."""
        response = await self.post(f"{path}/stream", session_id=session_id, **fields)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = [event for event in map(parse_event, response.text.split("\n\n")) if event]
        assert {event["session_id"] for event in events} == {session_id}
        return events

    @asynccontextmanager
    async def streaming(self, path: str, **fields: Any) -> AsyncIterator[AsyncIterator[Json]]:
        """Run a streamed turn and iterate over its events as they arrive."""
        body = {"user_id": self.user_id, "session_id": "s", **fields}
        async with self.http.stream("POST", f"/agent/{path}/stream", json=body) as response:
            assert response.status_code == 200
            yield (event async for line in response.aiter_lines() if (event := parse_event(line)))

    async def status(self, session_id: str = "s") -> Json:
        return await self.get(f"status/{self.user_id}/{session_id}")

    async def history(self, session_id: str = "s", **page: int) -> list[Json]:
        return list((await self.get(f"history/{self.user_id}/{session_id}", **page))["messages"])

    async def transcript(self, session_id: str = "s") -> list[tuple[str, str]]:
        """Return role and text of all messages of the session."""
        return [(each["role"], each["content"]) for each in await self.history(session_id)]

    async def get(self, path: str, **query: Any) -> Json:
        response = await self.http.get(f"/agent/{path}", params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def memories(self) -> list[str]:
        return [each["content"] for each in (await self.get(f"longterm/{self.user_id}"))["memories"]]


@asynccontextmanager
async def client_of(served: Served, user_id: str = "ann") -> AsyncIterator[SessionClient]:
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=20) as http:
        yield SessionClient(http, user_id)


def parse_turn(response: httpx.Response) -> Json:
    """Check and return the response of a turn that is not streamed."""
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    assert_recent(answer["timestamp"])
    return answer


def parse_event(line: str) -> Json | None:
    """Check and return one event; None for a comment or an empty line."""
    if not line or line.startswith(":"):
        return None
    assert line.startswith("data: ")
    assert "\n" not in line
    event: Json = orjson.loads(line[6:])
    assert_recent(event["timestamp"])
    return event


def text_of(events: list[Json]) -> str:
    """Return the text of a streamed turn."""
    return "".join(event["content"] for event in events if event["type"] == "text_chunk")


def types_of(events: list[Json]) -> list[str]:
    """Return the event types in order, with consecutive text chunks as one."""
    kinds = [event["type"] for event in events]
    return [kind for at, kind in enumerate(kinds) if kind != "text_chunk" or kinds[at - 1 : at] != ["text_chunk"]]


def assert_error(response: httpx.Response, status: int, code: str, says: str = "") -> Mapping[str, Any]:
    """Check the form of an error response; return the error object."""
    assert response.status_code == status, response.text
    error: Json = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert says in error["message"]
    return error


def said_in(response: Mapping[str, Any] | None) -> str:
    """Return the agent's text in the response of a turn."""
    messages = response["result"]["messages"] if response else []
    return "".join(each["content"] for each in messages if each["role"] == "assistant")


def assert_recent(timestamp: float) -> None:
    """Check a time in Unix seconds."""
    assert isinstance(timestamp, float)
    assert abs(time.time() - timestamp) < 60
