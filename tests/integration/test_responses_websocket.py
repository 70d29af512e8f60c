"""`wss://HOST/v1/responses`, as OpenAI's client and as a careless one use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai import AsyncOpenAI
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.integration.test_callers import clients_of, entry, token_of, write
from tests.support.response_types import valid_events, valid_response
from tests.support.serving import TOKEN, Served, direct, fake, serving

KEY = {"x-session-id": "call-1"}
MAX_BYTES = 100_000
ENDS = ("response.completed", "response.incomplete", "response.failed")


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("direct", provider.base_url, "fake-ok"),
        direct("broken", provider.base_url, "fake-503"),
        direct("cut", provider.base_url, "fake-cut"),
        direct("silent", provider.base_url, "fake-silent"),
        direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=20"),
        direct("long", provider.base_url, "fake-ok?gap=50ms&tokens=600"),
    ]
    router = {"num_retries": 0, "first_token_timeout": 20}
    async with serving(tmp_path, *models, router=router, max_body_bytes=MAX_BYTES) as served:
        yield served


@asynccontextmanager
async def connected(server: Served, **headers: str) -> AsyncIterator[ClientConnection]:
    address = f"{server.url.replace('http', 'ws', 1)}/v1/responses"
    async with connect(address, additional_headers={**server.headers, **headers}, proxy=None) as websocket:
        yield websocket


async def ask(websocket: ClientConnection, model: str, said: Any, **more: Any) -> None:
    await websocket.send(orjson.dumps({"type": "response.create", "model": model, "input": said, **more}).decode())


async def response_on(websocket: ClientConnection) -> dict[str, Any]:
    """The next response, its events checked."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ENDS:
        events.append(orjson.loads(await websocket.recv()))
        assert events[-1]["type"] != "error", events[-1]
    valid_events(events)
    whole: dict[str, Any] = events[-1]["response"]
    return whole


async def error_on(websocket: ClientConnection) -> dict[str, Any]:
    event = orjson.loads(await websocket.recv())
    assert event["type"] == "error"
    assert event["error"].keys() == {"message", "type", "param", "code"}
    return {"status": event["status"], **event["error"]}


async def test_openais_client_asks_again_on_the_same_connection(server: Served) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN) as client:
        async with client.responses.connect(websocket_connection_options={"proxy": None}) as connection:
            await connection.response.create(model="direct", input="One")
            ids: list[str] = []
            async for event in connection:
                if event.type == "response.completed":
                    assert event.response.output_text == ANSWER
                    ids.append(event.response.id)
                    if len(ids) == 2:
                        break
                    await connection.response.create(model="direct", input="Two", previous_response_id=ids[0])


async def test_messages_are_answered_one_after_the_other(server: Served, provider: FakeProvider) -> None:
    async with connected(server) as websocket:
        for said in ("One", "Two"):
            await ask(websocket, "paced", said)
        first, second = await response_on(websocket), await response_on(websocket)
    assert first["id"] != second["id"]
    assert [each.body["messages"][-1]["content"] for each in provider.log] == ["One", "Two"]


async def test_a_response_that_is_not_stored_is_remembered_while_it_is_the_newest(
    server: Served, provider: FakeProvider
) -> None:
    async with connected(server) as websocket:
        await ask(websocket, "direct", "One", store=False)
        first = await response_on(websocket)
        await ask(websocket, "direct", "Two", store=False, previous_response_id=first["id"])
        second = await response_on(websocket)
        said = [each["content"] for each in provider.log[-1].body["messages"]]
        assert said[-3:] == ["One", ANSWER, "Two"]
        await ask(websocket, "direct", "Three", previous_response_id=first["id"])
        assert (await error_on(websocket))["code"] == "previous_response_not_found"
        await ask(websocket, "direct", "Three", previous_response_id=second["id"])
        stored = await response_on(websocket)
    async with connected(server) as websocket:
        await ask(websocket, "direct", "Two", previous_response_id=first["id"])
        assert (await error_on(websocket))["code"] == "previous_response_not_found"
        await ask(websocket, "direct", "Four", previous_response_id=stored["id"])
        await response_on(websocket)
    said = [each["content"] for each in provider.log[-1].body["messages"]]
    assert said[-7:] == ["One", ANSWER, "Two", ANSWER, "Three", ANSWER, "Four"]


@pytest.mark.parametrize("store", [True, False])
async def test_a_connection_is_warmed_up_without_an_answer(server: Served, provider: FakeProvider, store: bool) -> None:
    async with connected(server) as websocket:
        await ask(websocket, "direct", [], generate=False, store=store)
        warm = valid_response(await response_on(websocket))
        assert (warm.status, warm.output, warm.store, len(provider.log)) == ("completed", [], store, 0)
        await ask(websocket, "direct", "Be brief.", generate=False, store=store, previous_response_id=warm.id)
        warmer = await response_on(websocket)
        await ask(websocket, "direct", "Hi", store=store, previous_response_id=warmer["id"])
        await response_on(websocket)
        assert [each["content"] for each in provider.log[-1].body["messages"]][-2:] == ["Be brief.", "Hi"]
        await ask(websocket, "unknown", "Hi", generate=False)
        assert (await error_on(websocket))["code"] == "model_not_found"


async def test_a_conversation_that_no_request_could_bring_is_not_remembered(server: Served) -> None:
    async with connected(server) as websocket:
        await ask(websocket, "direct", "x" * (MAX_BYTES - 200), store=False)
        await ask(websocket, "direct", "Hi", store=False, previous_response_id=(await response_on(websocket))["id"])
        assert (await error_on(websocket))["code"] == "previous_response_not_found"


async def test_a_newer_message_of_the_session_supersedes_the_older(server: Served, provider: FakeProvider) -> None:
    async with connected(server, **KEY) as websocket:
        await ask(websocket, "silent", "One")
        while not provider.log:
            await asyncio.sleep(0.01)
        await ask(websocket, "silent", "Two")
        await ask(websocket, "direct", "Three")
        answers = [valid_response(await response_on(websocket)).output_text for _ in range(3)]
    assert answers == ["", "", ANSWER]
    assert provider.log[0].ended_by == "caller"


@pytest.mark.parametrize("model", ["silent", "long"])
async def test_a_hang_up_closes_the_providers_connection(server: Served, provider: FakeProvider, model: str) -> None:
    async with connected(server) as websocket:
        await ask(websocket, model, "Hi")
        async with asyncio.timeout(5):
            while not provider.log:
                await asyncio.sleep(0.001)
        if model == "long":
            await websocket.recv()
    async with asyncio.timeout(1):
        while provider.open_connections or provider.log[-1].ended_by is None:
            await asyncio.sleep(0.001)
    assert provider.log[-1].ended_by == "caller"


async def test_errors_leave_the_connection_open(server: Served) -> None:
    async with connected(server) as websocket:
        await ask(websocket, "broken", "Hi")
        assert (await error_on(websocket))["code"] == "all_deployments_failed"
        await ask(websocket, "cut", "Hi")
        failed = await response_on(websocket)
        assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
        await ask(websocket, "fake", "Hi", previous_response_id="resp_unknown")
        error = await error_on(websocket)
        assert (error["status"], error["code"]) == (404, "previous_response_not_found")
        await ask(websocket, "fake", "Hi", tools=[{"type": "web_search"}])
        assert (await error_on(websocket))["param"] == "tools[0].type"
        await ask(websocket, "fake", "Hi", background=True)
        assert (await error_on(websocket))["param"] == "background"
        for frame in ("{", "[]", b"\xff\xfe", '{"type": "response.create", "input": "\\ud800"}'):
            await websocket.send(frame)
            assert (await error_on(websocket))["status"] == 400
        await ask(websocket, "direct", "Hi")
        assert (await response_on(websocket))["status"] == "completed"


async def test_a_message_of_an_unknown_type_is_ignored_with_one_log_line(server: Served) -> None:
    with capture_logs() as logged:
        async with connected(server) as websocket:
            for kind in ("session.update", "session.update", 7, None, "x" * 1000):
                await websocket.send(orjson.dumps({"type": kind}).decode())
            await ask(websocket, "direct", "Hi")
            assert (await response_on(websocket))["status"] == "completed"
    ignored = [each for each in logged if each["event"] == "websocket_message_ignored"]
    assert [each["type"] for each in ignored] == ["session.update"]


async def test_too_much_is_refused(server: Served) -> None:
    async with connected(server) as websocket:
        await ask(websocket, "silent", "Hi")
        for _ in range(8):
            await ask(websocket, "direct", "Hi")
        assert "At most 4" in (await error_on(websocket))["message"]
    async with connected(server) as websocket:
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.send(" " * (MAX_BYTES + 1))
            await websocket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    async with connected(server) as websocket:
        for _ in range(10_000_000 // MAX_BYTES):
            await websocket.send(orjson.dumps({"type": "x" * (MAX_BYTES - 100)}).decode())
        await ask(websocket, "direct", "Hi")
        assert (await response_on(websocket))["status"] == "completed"


async def test_a_connection_needs_a_token(server: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connected(server, Authorization="Bearer wrong"):
            pass
    assert caught.value.response.status_code == 401
    assert orjson.loads(caught.value.response.body or b"")["error"]["code"] == "invalid_api_key"
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{server.url.replace('http', 'ws', 1)}/v1/models", proxy=None):
            pass
    assert caught.value.response.status_code == 404
    assert orjson.loads(caught.value.response.body or b"")["error"]["code"] == "not_found"


async def test_each_message_counts_against_the_limits_of_its_caller(tmp_path: Path) -> None:
    file = write(tmp_path, entry("a", requests_per_minute=2, parallel_turns=1, models=["fake"]))
    async with serving(tmp_path, fake(), fake("other"), callers_file=file) as served:
        async with connected(served, Authorization=f"Bearer {token_of('a')}") as websocket:
            await ask(websocket, "fake", "Hi")
            made = await response_on(websocket)
            await ask(websocket, "other", "Hi")
            assert (await error_on(websocket))["code"] == "model_not_found"
            await ask(websocket, "fake", "Hi")
            error = await error_on(websocket)
            assert (error["status"], error["code"]) == (429, "rate_limit_exceeded")
        async with clients_of(served.url) as clients:
            path = f"/v1/responses/{made['id']}"
            assert (await (await clients.of("a")).get(path)).status_code == 200
            assert (await (await clients.of(TOKEN)).get(path)).status_code == 404


async def test_a_response_is_finished_before_the_server_stops(tmp_path: Path, provider: FakeProvider) -> None:
    async def listen(served: Served, begun: asyncio.Event) -> dict[str, Any]:
        async with connected(served) as websocket:
            await ask(websocket, "paced", "Hi")
            while not provider.log:
                await asyncio.sleep(0.001)
            begun.set()
            whole = await response_on(websocket)
            with pytest.raises(ConnectionClosed) as caught:
                await websocket.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
            return whole

    begun = asyncio.Event()
    async with serving(tmp_path, direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=20")) as served:
        listening = asyncio.create_task(listen(served, begun))
        await begun.wait()
    assert (await listening)["status"] == "completed"
