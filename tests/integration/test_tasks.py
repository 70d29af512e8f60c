"""Background tasks, the same on both queues: in the server's process, and on Celery with a real worker process.

At the end, only Celery: a worker that is stopped, and a Redis that is away.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from agent.tasks import celery_queue
from router.fake.server.fake_provider import FakeProvider
from tests.support.persona_client import PersonaClient
from tests.support.redis_server import RedisServer, redis_server
from tests.support.server_process import WorkerProcess, running, server_in, worker_of
from tests.support.serving import direct, fake, serving
from tests.support.session_client import assert_error, text_of, types_of
from tests.support.session_rig import eventually
from tests.support.task_client import TaskClient, parse_numbered

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT = {"tools": ["multiply", "book_hotel"], "review": ["book_hotel"]}
MULTIPLY = '/call multiply {"a": 6, "b": 7}\n/then\n/say Forty-two.'


@dataclass(frozen=True, slots=True)
class Rig:
    """A server with its workers."""

    client: TaskClient
    provider: FakeProvider

    def of(self, user: str) -> TaskClient:
        self.provider.log.reset()
        return self.client.of(user)


@dataclass(frozen=True, slots=True)
class CeleryRig(Rig):
    """`worker` drains for a moment only."""

    redis: RedisServer
    worker: WorkerProcess


celery_only = pytest.mark.parametrize("rig", ["celery"], indirect=True)


# "celery" is the first one, as in `celery_only`: pytest groups tests by the index of the parameter.
@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["celery", "process"])
async def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("tasks")
    async with AsyncExitStack() as closing:
        provider = await closing.enter_async_context(FakeProvider())
        models = (
            fake(first_token_timeout=60, stall_timeout=60),
            direct("silent", provider.base_url, "fake-silent", first_token_timeout=30),
        )
        settings: dict[str, Any] = {}
        if request.param == "celery":
            url = request.getfixturevalue("postgres_for_all").migrated_database()
            redis = await closing.enter_async_context(redis_server())
            settings = {"database_url": url, "redis_url": redis.url, "task_queue": "celery", "drain_time": 0.1}
            worker = worker_of(server_in(folder, *models, agent=AGENT, **settings))
            await closing.enter_async_context(running(worker))
            settings |= {"database_url": SecretStr(url), "redis_url": SecretStr(redis.url)}
            # The server, not the worker, waits for a Redis that is frozen.
            closing.enter_context(pytest.MonkeyPatch.context()).setattr(celery_queue, "TIMEOUT", 1.0)
        served = await closing.enter_async_context(serving(folder, *models, agent=AGENT, **settings))
        http = httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=60)
        client = TaskClient(await closing.enter_async_context(http))
        yield CeleryRig(client, provider, redis, worker) if settings else Rig(client, provider)


async def test_a_task_ends_with_the_answer_of_invoke(rig: Rig) -> None:
    client = rig.of("plain")
    task = await client.ended(await client.submit("Hello"))
    assert (task["status"], task["session_id"], task["user_id"], task["steps"]) == ("completed", "s", "plain", [])
    assert task["created"] <= task["started"] <= task["finished"]
    assert task["interrupt_data"] is None
    invoked = await client.invoke("Hello", session_id="other")
    assert set(task["result"]) == set(invoked["result"])
    assert [each["content"] for each in task["result"]["messages"]] == ["You said: Hello"]
    assert task["result"]["usage"]["output_tokens"] == invoked["result"]["usage"]["output_tokens"]
    assert await client.transcript() == [("user", "Hello"), ("assistant", "You said: Hello")]
    status = await client.status()
    assert (status["status"], status["last_query"]) == ("completed", "Hello")
    assert status["last_response"]["result"] == task["result"]
    again = await client.ended(await client.submit("Again"))  # now the first status is in Redis
    status = await client.status()
    assert (status["last_query"], status["last_response"]["result"]) == ("Again", again["result"])


async def test_events_are_those_of_the_stream_and_resume_after_any_of_them(rig: Rig) -> None:
    client = rig.of("events")
    task_id = await client.submit(MULTIPLY)
    numbered = await client.events(task_id)
    numbers, events = [number for number, _ in numbered], [event for _, event in numbered]
    assert numbers == list(range(1, len(numbers) + 1))
    streamed = await client.stream("invoke", session_id="other", query=MULTIPLY)
    assert types_of(events) == types_of(streamed) == ["tool_call", "text_chunk", "completed"]
    assert text_of(events) == text_of(streamed) == "Forty-two."
    assert {event["session_id"] for event in events} == {"s"}
    assert (await client.task(task_id))["steps"] == ["multiply"]
    for after in range(len(numbered) + 1):
        assert await client.events(task_id, after) == numbered[after:]
    response = await client.http.get(f"/agent/task/{task_id}/events", headers={"Last-Event-ID": "first"})
    assert_error(response, 422, "invalid_field", "Last-Event-ID")


async def test_events_come_while_the_task_runs(rig: Rig) -> None:
    client = rig.of("live")
    task_id = await client.submit('/say One.\n/call multiply {"a": 6, "b": 7}\n/then\n/wait 60s\n/say Two.')
    async with client.http.stream("GET", f"/agent/task/{task_id}/events") as response:
        texts = aclosing(response.aiter_text())
        seen = ""
        async with texts as parts, asyncio.timeout(20):
            while "tool_call" not in seen:
                seen += await anext(parts)
    first = [parse_numbered(each) for each in seen.split("\n\n") if each.startswith("id: ")]
    assert types_of([event for _, event in first]) == ["text_chunk", "tool_call"]
    running = await client.task(task_id)
    assert (running["status"], running["steps"], running["result"], running["finished"]) == (
        "running",
        ["multiply"],
        None,
        None,
    )
    assert (await client.cancel_task(task_id))["status"] == "cancelled"
    rest = await client.events(task_id, first[-1][0])
    assert [(event["type"], event.get("code")) for _, event in rest] == [("error", "cancelled")]
    assert [number for number, _ in rest] == [first[-1][0] + 1]


async def test_without_a_session_id_tasks_go_to_the_latest_session(rig: Rig) -> None:
    client = rig.of("latest")
    first = await client.submit("one", session_id=None)
    second = await client.submit("two", session_id=None)
    sessions = {(await client.ended(each))["session_id"] for each in (first, second)}
    third = await client.ended(await client.submit("three", session_id=None))
    assert sessions == {third["session_id"]}
    assert [text for role, text in await client.transcript(third["session_id"]) if role == "user"] == [
        "one",
        "two",
        "three",
    ]


async def test_without_a_session_id_tasks_go_to_the_latest_session_with_their_agent(rig: Rig) -> None:
    client = rig.of("agents")
    chef, other = [(await PersonaClient(client.http).create(model="fake"))["id"] for _ in range(2)]
    plain = await client.submit("/wait 60s", session_id=None)
    first = await client.submit("/wait 60s", session_id=None, agent_id=chef)
    second = await client.submit("two", session_id=None, agent_id=chef)
    begun = await client.ended(await client.submit("three", session_id=None, agent_id=other))
    sessions = [(await client.task(each))["session_id"] for each in (plain, first, second)]
    assert begun["status"] == "completed" and begun["session_id"] not in sessions
    assert sessions[0] != sessions[1] == sessions[2]
    refused = await client.post("invoke/async", query="x", agent_id=chef, on_busy="reject")
    assert_error(refused, 409, "session_busy")
    await client.cancel_task(plain)
    await client.cancel_task(first)
    assert (await client.ended(second))["status"] == "completed"
    again = await client.ended(await client.submit("four", session_id=None, agent_id=chef))
    assert (again["status"], again["session_id"]) == ("completed", sessions[1])


async def test_a_task_with_an_unknown_or_deleted_agent_is_refused_at_once(rig: Rig) -> None:
    client = rig.of("gone")
    chef = (await PersonaClient(client.http).create(model="fake"))["id"]
    await client.invoke("Hi", agent_id=chef)
    await client.http.delete(f"/agents/{chef}")
    unknown = await client.post("invoke/async", query="x", session_id="other", agent_id=chef)
    assert_error(unknown, 404, "agent_not_found", "There is no agent with this id")
    for path in ("invoke/async", "invoke"):
        deleted = await client.post(path, query="x", session_id="s")
        assert_error(deleted, 404, "agent_not_found", "The agent of this session was deleted")
    assert await client.tasks() == []


async def test_tasks_of_a_busy_session_wait_and_run_in_order(rig: Rig) -> None:
    client = rig.of("busy")
    async with client.streaming("invoke", query="/say Now.\n/wait 60s") as events, aclosing(events):
        await anext(events)
        tasks = [await client.submit(f"{n}") for n in range(6)]
        others = await client.ended(await client.submit("Hi", session_id="other"))
        assert others["status"] == "completed"
        assert {(await client.task(each))["result"] for each in tasks} == {None}
        assert_error(
            await client.post("invoke/async", query="x", session_id="s", on_busy="reject"), 409, "session_busy"
        )
    for each in tasks:
        assert (await client.ended(each))["status"] == "completed"
    users = [text for role, text in await client.transcript() if role == "user"]
    assert users == ["/say Now.\n/wait 60s", *(f"{n}" for n in range(6))]


async def test_a_task_that_supersedes_cancels_those_before_it(rig: Rig) -> None:
    client = rig.of("superseded")
    runs = await client.submit("Hi", model="silent")
    await eventually(lambda: len(rig.provider.log) == 1)
    waits = await client.submit("waits", model="fake")
    newest = await client.ended(await client.submit("newest", model="fake", on_busy="supersede"))
    assert newest["status"] == "completed"
    assert [(await client.task(each))["status"] for each in (runs, waits)] == ["cancelled", "cancelled"]
    assert [text for role, text in await client.transcript() if role == "user"] == ["Hi", "newest"]


async def test_a_running_task_is_cancelled_down_to_the_providers_connection(rig: Rig) -> None:
    client = rig.of("cancelled")
    task_id = await client.submit("Hi", model="silent")
    await eventually(lambda: len(rig.provider.log) == 1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    cancelled = await client.cancel_task(task_id)
    await eventually(lambda: rig.provider.log[-1].ended_by == "caller")
    assert loop.time() - began < 2.0  # a second, on a busy machine
    assert cancelled == await client.task(task_id)
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "cancelled")
    assert cancelled["finished"] is not None
    assert (await client.status())["status"] == "idle"
    assert (await client.cancel_task(task_id))["status"] == "cancelled"
    assert (await client.ended(await client.submit("Hello", model="fake")))["status"] == "completed"


async def test_a_queued_task_that_is_cancelled_never_starts(rig: Rig) -> None:
    client = rig.of("queued")
    runs = await client.submit("Hi", model="silent")
    await eventually(lambda: len(rig.provider.log) == 1)
    waits, last = [await client.submit(each, model="fake") for each in ("never", "last")]
    cancelled = await client.cancel_task(waits)
    assert (cancelled["status"], cancelled["started"]) == ("cancelled", None)
    assert [event["code"] for _, event in await client.events(waits)] == ["cancelled"]
    await client.cancel_task(runs)
    assert (await client.ended(last))["status"] == "completed"
    assert [text for role, text in await client.transcript() if role == "user"] == ["Hi", "last"]


async def test_deleting_a_session_cancels_its_tasks(rig: Rig) -> None:
    client = rig.of("deleted")
    runs = await client.submit("Hi", model="silent")
    await eventually(lambda: len(rig.provider.log) == 1)
    waits = [await client.submit("waits", model="silent") for _ in range(2)]
    other = await client.submit("Hi", session_id="other", model="fake")
    assert (await client.http.delete("/agent/session/deleted/s")).json() == {"success": True}
    assert {(await client.task(each))["status"] for each in (runs, *waits)} == {"cancelled"}
    assert (await client.ended(other))["status"] == "completed"
    assert (await client.status())["status"] == "not_found"
    assert len(rig.provider.log) == 1
    assert_error(await client.http.delete("/agent/session/deleted/s"), 404, "session_not_found")


async def test_a_review_interrupts_the_task_and_its_answer_is_another_one(rig: Rig) -> None:
    client = rig.of("reviewed")
    task_id = await client.submit('/call book_hotel {"hotel_name": "Ritz"}')
    asked = await client.ended(task_id)
    assert asked["status"] == "interrupted"
    assert asked["interrupt_data"]["action_request"] == {"action": "book_hotel", "args": {"hotel_name": "Ritz"}}
    assert [event["type"] for _, event in await client.events(task_id)] == ["tool_call", "interrupt"]
    assert_error(await client.post("invoke/async", query="x", session_id="s"), 409, "review_pending", "book_hotel")
    wrong = {"response_type": "edit", "args": {"hotel": "Savoy"}}
    assert_error(await client.post("resume/async", session_id="s", **wrong), 400, "invalid_request", "hotel")
    answered = await client.ended(await client.answer(response_type="edit", args={"hotel_name": "Savoy"}))
    assert answered["status"] == "completed"
    assert "Booked a room at Savoy." in answered["result"]["messages"][-1]["content"]
    assert_error(await client.post("resume/async", session_id="s", response_type="accept"), 409, "not_pending")
    assert_error(await client.post("resume/async", session_id="none", response_type="accept"), 404, "session_not_found")


async def test_an_answer_that_comes_too_late_fails_its_task(rig: Rig) -> None:
    client = rig.of("late")
    await client.ended(await client.submit('/call book_hotel {"hotel_name": "Ritz"}'))
    both = await asyncio.gather(*(client.answer(response_type="reject") for _ in range(2)))
    ends = [await client.ended(each) for each in both]
    assert sorted((each["status"], each.get("error", {}).get("code")) for each in ends) == [
        ("completed", None),
        ("error", "not_pending"),
    ]


async def test_a_turn_that_fails_is_an_error_with_words(rig: Rig) -> None:
    client = rig.of("fails")
    task_id = await client.submit("/fail 400")
    failed = await client.ended(task_id)
    assert failed["status"] == "error"
    assert failed["message"] == failed["error"]["message"] != ""
    assert [event["type"] for _, event in await client.events(task_id)] == ["error"]


async def test_a_users_tasks_newest_first(rig: Rig) -> None:
    client = rig.of("lists")
    submitted = [await client.submit(f"{n}", session_id=f"{n}") for n in range(5)]
    for each in submitted:
        await client.ended(each)
    tasks = await client.tasks()
    assert [each["task_id"] for each in tasks] == submitted[::-1]
    assert tasks[0] == await client.task(submitted[-1])
    assert [each["task_id"] for each in await client.tasks(limit=2, offset=1)] == submitted[3:1:-1]
    assert await client.of("nobody").tasks() == []


@pytest.mark.parametrize("task_id", ["0" * 32, "unknown", "%00", "x" * 300])
async def test_an_unknown_task_is_a_404(rig: Rig, task_id: str) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        response = await rig.client.http.request(method, f"/agent/task/{task_id}{path}")
        assert_error(response, 404, "task_not_found")


async def test_bad_bodies_are_refused_at_once(rig: Rig) -> None:
    client = rig.of("refused")
    assert_error(await client.post("invoke/async", query="x", model="nobody"), 404, "model_not_found")
    assert_error(await client.post("invoke/async", query=" "), 422, "invalid_field", "query")
    assert_error(await client.post("invoke/async", query="x", colour="red"), 422, "invalid_field", "colour")
    assert_error(await client.post("resume/async", session_id="s"), 422, "invalid_field")
    assert await client.tasks() == []
    assert (await client.http.get("/agent/task/x", headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_a_response_in_the_background_runs_and_is_followed(rig: Rig) -> None:
    http = rig.of("responds").http
    asked = {"model": "fake", "input": MULTIPLY, "background": True}
    made = (await http.post("/v1/responses", json=asked)).json()
    assert made["status"] == "queued"
    events = (await http.get(f"/v1/responses/{made['id']}?stream=true")).text
    assert "Forty-two" in events and "event: response.completed" in events
    assert (await http.get(f"/v1/responses/{made['id']}")).json()["status"] == "completed"


async def test_a_response_is_cancelled_down_to_the_providers_connection(rig: Rig) -> None:
    http = rig.of("responds").http
    asked = {"model": "silent", "input": "Hi", "background": True}
    made = (await http.post("/v1/responses", json=asked)).json()
    await eventually(lambda: len(rig.provider.log) == 1)
    assert (await http.post(f"/v1/responses/{made['id']}/cancel")).json()["status"] == "cancelled"
    await eventually(lambda: rig.provider.log[-1].ended_by == "caller")


@celery_only
async def test_a_stopped_worker_hands_its_tasks_back_and_none_that_redis_loses_is_lost(rig: CeleryRig) -> None:
    client = rig.of("stopped")
    runs = await client.submit("Hi", model="silent")
    await eventually(lambda: len(rig.provider.log) == 1)
    await rig.worker.stop()
    assert rig.provider.log[-1].ended_by == "caller"
    assert "tasks_handed_back" in rig.worker.log
    assert (await client.task(runs))["status"] == "queued"
    lost = await client.submit("Hello", session_id="other")
    await rig.redis.kill()
    await rig.redis.start()
    await rig.worker.start()
    assert (await client.ended(lost))["status"] == "completed"
    await eventually(lambda: len(rig.provider.log) == 2)
    await client.cancel_task(runs)
    assert await client.transcript() == [("user", "Hi")]


@celery_only
async def test_without_redis_a_task_is_refused_and_nothing_is_left(rig: CeleryRig) -> None:
    client = rig.of("outage")
    await client.ended(await client.submit("before"))
    rig.redis.freeze()
    await assert_refused(client)
    await rig.redis.kill()
    await assert_refused(client)
    assert len(await client.tasks()) == 1
    response = await client.http.post("/v1/responses", json={"model": "fake", "input": "Hi", "background": True})
    assert_error(response, 503, "queue_unavailable")
    await rig.redis.start()
    assert (await client.ended(await client.submit("after")))["status"] == "completed"
    assert [text for role, text in await client.transcript() if role == "user"] == ["before", "after"]


@celery_only
async def test_a_worker_that_is_told_to_quit_ends(rig: CeleryRig) -> None:
    assert rig.worker.process is not None
    os.kill(rig.worker.process.pid, signal.SIGQUIT)
    async with asyncio.timeout(10):
        await rig.worker.ended()


async def assert_refused(client: TaskClient) -> None:
    for session_id in ("s", "new"):
        async with asyncio.timeout(10):
            refused = await client.post("invoke/async", query="Hello", session_id=session_id)
        assert_error(refused, 503, "queue_unavailable")
        assert refused.headers["retry-after"] == "1"
    assert (await client.status("new"))["status"] == "not_found"
