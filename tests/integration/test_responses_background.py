"""Responses in the background: submitted, polled, followed, cancelled and deleted, with OpenAI's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import Response
from sqlalchemy import literal, select

from agent.responses.store import ResponseStore
from agent.tasks.event_log import EventLog
from agent.tasks.record import Progress
from agent.tasks.store import TaskStore
from router.fake.server.fake_provider import FakeProvider
from tests.integration.test_responses_api import LOOKUP
from tests.support.response_types import IN_BACKGROUND, valid_events
from tests.support.serving import TOKEN, direct, fake, serving
from tests.support.session_client import assert_error
from tests.support.session_rig import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONCURRENCY = 2


@dataclass(frozen=True, slots=True)
class Rig:
    http: httpx.AsyncClient
    openai: AsyncOpenAI
    provider: FakeProvider

    async def submit(self, text: str = "Hi", **fields: Any) -> Response:
        asked = {"model": "fake", "input": text, "background": True, **fields}
        made: Response = await self.openai.responses.create(**asked)
        assert (made.status, made.output, made.background) == ("queued", [], True)
        return made

    async def silent(self) -> Response:
        """A response whose provider has its request, and never answers."""
        before = len(self.provider.log)
        made = await self.submit(model="silent")
        await eventually(lambda: len(self.provider.log) > before)
        return made

    async def ended(self, made: Response) -> Response:
        async def has_ended() -> bool:
            return (await self.openai.responses.retrieve(made.id)).status not in ("queued", "in_progress")

        await eventually(has_ended)
        return await self.openai.responses.retrieve(made.id)

    async def events(self, response_id: str, **query: Any) -> list[dict[str, Any]]:
        got = await self.http.get(f"/v1/responses/{response_id}", params={"stream": "true", **query})
        return events_in(got)


def events_in(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = [each.split("\n") for each in response.text.split("\n\n")[:-1] if not each.startswith(":")]
    events = [orjson.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [name for name, _ in frames] == [f"event: {each['type']}" for each in events]
    return events


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("background")
    async with FakeProvider() as provider:
        silent = direct("silent", provider.base_url, "fake-silent", first_token_timeout=60)
        models = (fake(), fake("slow", "fake/echo?gap=20ms"), direct("direct", provider.base_url, "fake-ok"), silent)
        agent = {"tools": ["multiply"]}
        async with (
            serving(folder, *models, agent=agent, task_concurrency=CONCURRENCY) as served,
            httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=20) as http,
            AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN, max_retries=0) as openai,
        ):
            yield Rig(http, openai, provider)


async def test_it_is_answered_at_once_and_polled_to_its_end(rig: Rig) -> None:
    made = await rig.submit("Hello", metadata={"room": "7"})
    ended = await rig.ended(made)
    assert (ended.status, ended.output_text, ended.metadata) == ("completed", "You said: Hello", {"room": "7"})
    assert ended.usage is not None and ended.usage.output_tokens > 0
    assert ended.completed_at is not None and (ended.created_at, ended.id) == (made.created_at, made.id)
    stored = (await rig.http.get(f"/v1/responses/{made.id}")).json()
    assert (stored["store"], stored["background"], stored["model"]) == (True, True, "fake")


async def test_one_that_has_ended_is_gone_on_with(rig: Rig) -> None:
    first = await rig.ended(await rig.submit("One", model="direct", instructions="Be brief."))
    second = await rig.ended(await rig.submit("Two", model="direct", previous_response_id=first.id))
    said = [each["content"] for each in rig.provider.log[-1].body["messages"]]
    assert said[-3:] == ["One", first.output_text, "Two"] and "Be brief." not in said
    third = await rig.openai.responses.create(model="direct", input="Three", previous_response_id=second.id)
    assert third.status == "completed"
    items = [item.id async for item in rig.openai.responses.input_items.list(second.id, order="asc")]
    assert len(items) == 3 and items[1] == first.output[0].id


async def test_tools_of_the_agent_run_and_a_call_of_the_callers_ends_it(rig: Rig) -> None:
    script = '/call multiply {"a": 6, "b": 7}\n/then\n/say One moment.\n/call lookup {"name": "Ada"}'
    ended = await rig.ended(await rig.submit(script, tools=[LOOKUP]))
    assert ended.status == "completed"
    said, call = ended.output
    assert (ended.output_text, said.type, call.type) == ("One moment.", "message", "function_call")
    assert call.type == "function_call" and orjson.loads(call.arguments) == {"name": "Ada"}


async def test_a_tools_output_answers_its_call(rig: Rig) -> None:
    first = await rig.ended(await rig.submit('/call lookup {"name": "Ada"}', tools=[LOOKUP]))
    [call] = first.output
    assert call.type == "function_call"
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Ada Lovelace"}
    answered = await rig.submit(input=[output], previous_response_id=first.id, tools=[LOOKUP])
    assert "Ada Lovelace" in (await rig.ended(answered)).output_text


async def test_its_stream_is_that_of_a_response_and_resumes_after_any_event(rig: Rig) -> None:
    asked = {"model": "fake", "input": "/say One.\n/call lookup {}", "tools": [LOOKUP], "background": True}
    streamed = events_in(await rig.http.post("/v1/responses", json={**asked, "stream": True}))
    kinds = valid_events(streamed, begin=IN_BACKGROUND)
    in_foreground = events_in(await rig.http.post("/v1/responses", json={**asked, "background": False, "stream": True}))
    assert [each for each in kinds if each != "response.queued"] == [each["type"] for each in in_foreground]
    whole = streamed[-1]["response"]
    assert (await rig.http.get(f"/v1/responses/{whole['id']}")).json() == whole
    assert await rig.events(whole["id"]) == streamed
    for number in range(len(streamed)):
        assert await rig.events(whole["id"], starting_after=number) == streamed[number + 1 :]
    assert_error(await rig.http.get(f"/v1/responses/{whole['id']}?stream=true&starting_after=-1"), 422, "invalid_field")


async def test_a_lost_connection_ends_nothing(rig: Rig) -> None:
    stream = await rig.openai.responses.create(
        model="slow", input="/tokens 40\n/say The end.", background=True, stream=True
    )
    async with stream:
        async for event in stream:
            if event.type == "response.created":
                response_id = event.response.id
            if event.type == "response.output_text.delta":
                break
    running = await rig.openai.responses.retrieve(response_id)
    assert running.status == "in_progress"
    rest = await rig.openai.responses.retrieve(response_id, stream=True, starting_after=event.sequence_number)
    events = [each async for each in rest]
    assert events[0].sequence_number == event.sequence_number + 1
    last = events[-1]
    assert last.type == "response.completed" and last.response.output_text.endswith("The end.")


async def test_cancelled_it_ends_down_to_the_providers_connection(rig: Rig) -> None:
    made = await rig.silent()
    assert (await rig.openai.responses.retrieve(made.id)).status == "in_progress"
    loop = asyncio.get_running_loop()
    began = loop.time()
    cancelled = await rig.openai.responses.cancel(made.id)
    await eventually(lambda: rig.provider.log[-1].ended_by == "caller")
    assert loop.time() - began < 2.0  # a second, on a busy machine
    assert (cancelled.status, cancelled.error, cancelled.output) == ("cancelled", None, [])
    assert await rig.openai.responses.cancel(made.id) == await rig.openai.responses.retrieve(made.id) == cancelled
    events = await rig.events(made.id)
    assert [each["type"] for each in events] == [*IN_BACKGROUND, "response.incomplete"]
    assert events[-1]["response"]["status"] == "cancelled"
    assert [each["sequence_number"] for each in events] == [0, 1, 2, 3]
    with pytest.raises(BadRequestError) as caught:
        await rig.submit(previous_response_id=made.id)
    assert caught.value.param == "previous_response_id"


async def test_what_was_said_before_it_was_cancelled_is_kept(rig: Rig) -> None:
    made = await rig.submit("/say One moment.\n/wait 60s", model="slow")

    async def has_spoken() -> bool:
        async with rig.http.stream("GET", f"/v1/responses/{made.id}?stream=true") as response:
            async for line in response.aiter_lines():
                if "output_text.delta" in line:
                    return True
        return False

    await eventually(has_spoken)
    cancelled = await rig.openai.responses.cancel(made.id)
    [item] = cancelled.output
    assert (item.type, item.status) == ("message", "incomplete")
    assert cancelled.output_text.startswith("One")
    valid = await rig.events(made.id)
    assert valid[-2]["item"] == valid[-1]["response"]["output"][0]


async def test_one_that_waits_is_cancelled_before_it_begins(rig: Rig) -> None:
    running = [await rig.silent() for _ in range(CONCURRENCY)]
    waits = await rig.submit("never")
    assert (await rig.openai.responses.retrieve(waits.id)).status == "queued"
    assert (await rig.openai.responses.cancel(waits.id)).status == "cancelled"
    kinds = [each["type"] for each in await rig.events(waits.id)]
    assert kinds == ["response.created", "response.queued", "response.incomplete"]
    for each in running:
        await rig.openai.responses.cancel(each.id)


async def test_deleted_it_ends_and_nothing_of_it_is_left(rig: Rig) -> None:
    made = await rig.silent()
    await rig.openai.responses.delete(made.id)
    await eventually(lambda: rig.provider.log[-1].ended_by == "caller")
    for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
        gone = await rig.http.request(method, f"/v1/responses/{made.id}{path}")
        assert_error(gone, 404, "response_not_found")
    done = await rig.ended(await rig.submit())
    await rig.openai.responses.delete(done.id)
    with pytest.raises(NotFoundError):
        await rig.openai.responses.retrieve(done.id)


async def test_one_that_fails_says_so_and_is_kept(rig: Rig) -> None:
    made = await rig.submit("/fail 400")
    failed = await rig.ended(made)
    assert failed.status == "failed" and failed.error is not None and failed.error.message
    events = await rig.events(made.id)
    assert valid_events(events, begin=IN_BACKGROUND)[-1] == "response.failed"
    assert events[-1]["response"] == (await rig.http.get(f"/v1/responses/{made.id}")).json()
    assert events[-1]["response"]["store"] is True


async def test_one_that_is_cut_short_is_incomplete(rig: Rig) -> None:
    ended = await rig.ended(await rig.submit("One two three four", max_output_tokens=2))
    assert ended.status == "incomplete" and ended.incomplete_details is not None
    assert ended.incomplete_details.reason == "max_output_tokens"


async def test_who_sees_the_last_event_can_go_on_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored in one transaction with the response, not with the events before it."""
    appended: list[str] = []
    append = TaskStore.append

    async def recording(store: TaskStore, claim_id: str, progress: Progress) -> bool:
        appended.extend(progress.lines)
        return await append(store, claim_id, progress)

    async def all_stored(log: EventLog) -> None:
        assert log._flushing is not None
        await log._flushing

    monkeypatch.setattr(TaskStore, "append", recording)
    monkeypatch.setattr(EventLog, "close", all_stored)
    made = await rig.ended(await rig.submit())
    assert made.status == "completed"
    assert "response.in_progress" in "".join(appended) and "response.completed" not in "".join(appended)
    assert (await rig.events(made.id))[-1]["type"] == "response.completed"


async def test_one_whose_worker_knows_no_responses_has_failed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of an earlier version ends the task, and not the response."""
    monkeypatch.setattr(ResponseStore, "change", lambda *_: select(literal(1)))
    failed = await rig.ended(await rig.submit())
    assert failed.status == "failed" and failed.error is not None
    assert (failed.error.code, (await rig.openai.responses.cancel(failed.id)).status) == ("server_error", "failed")


async def test_what_cannot_be_is_refused_and_nothing_is_stored(rig: Rig) -> None:
    post = partial(rig.http.post, "/v1/responses")
    asked = {"model": "fake", "input": "Hi", "background": True}
    assert_error(await post(json={**asked, "store": False}), 400, "invalid_request", "background requires store")
    assert_error(await post(json={**asked, "model": "nobody"}), 404, "model_not_found")
    assert_error(await post(json={**asked, "tools": [{"type": "web_search"}]}), 400, "invalid_request")
    plain = (await post(json={**asked, "background": False})).json()["id"]
    refused = await rig.http.get(f"/v1/responses/{plain}?stream=true")
    assert_error(refused, 400, "invalid_request", "background=true")
    assert refused.json()["error"]["param"] == "stream"
    assert_error(await rig.http.post(f"/v1/responses/{plain}/cancel"), 400, "invalid_request", "synchronous")
    runs = await rig.silent()
    waiting = await post(json={**asked, "previous_response_id": runs.id})
    assert_error(waiting, 400, "invalid_request", "has not ended")
    for path in ("", "/events"):
        task = await rig.http.get(f"/agent/task/{runs.id.removeprefix('resp_')}{path}")
        assert_error(task, 404, "task_not_found")
    await rig.openai.responses.cancel(runs.id)
