"""Servers and workers that are killed in the middle of tasks: others finish them, and no tool runs twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import httpx
import orjson
import pytest
import pytest_asyncio
from pydantic import SecretStr

from agent.tools.review import OUTCOME_UNKNOWN
from tests.support.marks import Marks
from tests.support.redis_server import redis_server
from tests.support.server_process import LEASE, ServerProcess, WorkerProcess, running, server_in, worker_of
from tests.support.serving import TOKEN, fake, serving
from tests.support.session_client import Json, text_of
from tests.support.session_rig import eventually
from tests.support.task_client import TaskClient, parse_numbered

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = 30.0
"""Seconds: a lease lapses, another process takes the task up, and the machine is busy."""


KEEP_ALIVE = 0.2

MODELS = (fake(), fake("slow", "fake/echo?gap=50ms"))


class CeleryProcess(WorkerProcess):
    """The worker as Celery's users start it."""

    program: ClassVar[tuple[str, ...]] = (str(Path(sys.executable).with_name("celery")), "-A", "api.worker_app")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was submitted by user before the kill, and the events that one reader had received."""

    client: TaskClient
    marks: Marks
    tasks: dict[str, str]
    responses: dict[str, str]
    received: list[tuple[int, Json]]


QUEUES = ("process", "celery")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_both_queues(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Recovered]]:
    """At the same time, because both mostly wait for processes to start."""
    folders = [tmp_path_factory.mktemp(f"tasks-{queue}") for queue in QUEUES]
    async with AsyncExitStack() as closing:
        redis = await closing.enter_async_context(redis_server())
        database_url = request.getfixturevalue("postgres_for_all").migrated_database()
        celery = {"database_url": database_url, "redis_url": redis.url, "task_queue": "celery"}
        yield dict(
            zip(
                QUEUES,
                await asyncio.gather(server_killed(closing, folders[0]), worker_killed(closing, folders[1], celery)),
                strict=True,
            )
        )


@pytest.fixture(params=QUEUES)
def recovered(request: pytest.FixtureRequest, on_both_queues: dict[str, Recovered]) -> Recovered:
    return on_both_queues[request.param]


async def server_killed(closing: AsyncExitStack, folder: Path) -> Recovered:
    """A server that runs the tasks itself is killed, and another one on the same database goes on."""
    marks, settings = Marks(folder), {"keep_alive_interval": KEEP_ALIVE, "data_dir": folder}
    process = server_in(folder, *MODELS, agent=marks.agent, **settings)
    await closing.enter_async_context(running(process))
    begins = await begun(await closing.enter_async_context(task_client(process.url)), marks)
    await kill(process, marks)
    other = serving(folder, *MODELS, agent=marks.agent, finds_blocking=False, session_lease=LEASE, **settings)
    client = await closing.enter_async_context(task_client((await closing.enter_async_context(other)).url))
    return Recovered(client, marks, *begins)


async def worker_killed(closing: AsyncExitStack, folder: Path, celery: dict[str, str]) -> Recovered:
    """A worker is killed, and another one goes on."""
    marks = Marks(folder)
    secret = {key: SecretStr(value) if key.endswith("url") else value for key, value in celery.items()}
    worker = worker_of(server_in(folder, *MODELS, agent=marks.agent, **celery))
    settings = {"keep_alive_interval": KEEP_ALIVE, "session_lease": LEASE, **secret}
    served = serving(folder, *MODELS, agent=marks.agent, finds_blocking=False, **settings)
    client = await closing.enter_async_context(task_client((await closing.enter_async_context(served)).url))
    await closing.enter_async_context(running(worker))
    begins = await begun(client, marks)
    await kill(worker, marks)
    other = CeleryProcess(folder, worker.port, worker.settings)
    await closing.enter_async_context(running(other))
    return Recovered(client, marks, *begins)


async def kill(process: ServerProcess, marks: Marks) -> None:
    """Kill the process. A tool that were called again would return at once."""
    await process.kill()
    for name in ("calls", "accepts", "response_calls"):
        marks.release(name)


@asynccontextmanager
async def task_client(url: str) -> AsyncIterator[TaskClient]:
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as http:
        yield TaskClient(http)


async def begun(client: TaskClient, marks: Marks) -> tuple[dict[str, str], dict[str, str], list[tuple[int, Json]]]:
    """Every user is in the middle of something; their tasks, the responses in the background, and the events of the
    user who listens.
    """
    tasks = {
        "calls": await client.of("calls").submit('/call mark {"name": "calls"}'),
        "behind": await client.of("calls").submit("Hello"),
        "finishes": await client.of("finishes").submit(
            '/call mark {"name": "finishes"}\n/then\n/say One\n/wait 4s\n/say two.'
        ),
        "waits": await client.of("waits").submit('/call mark_if_allowed {"name": "waits"}'),
    }
    await client.of("accepts").ended(await client.of("accepts").submit('/call mark_if_allowed {"name": "accepts"}'))
    tasks["accepts"] = await client.of("accepts").answer(response_type="accept")
    responses = {
        "response_calls": await respond(client, '/say Wait.\n/call mark {"name": "response_calls"}'),
        "response_finishes": await respond(
            client,
            '/say Wait.\n/call mark {"name": "response_finishes"}\n/then\n/say One\n/wait 4s\n/say two.',
        ),
    }
    for name in ("finishes", "response_finishes"):
        marks.release(name)
    for name in ("calls", "accepts", "finishes", *responses):
        await eventually(partial(marks.count, name))
    await client.of("waits").ended(tasks["waits"])
    await stored_events(client, tasks["finishes"], 2)
    await stored_frames(client, responses["response_finishes"], "One")
    responses["response_says"] = await respond(client, "/tokens 30\n/say The end.", model="slow")
    await stored_frames(client, responses["response_says"], "output_text.delta")
    tasks["listens"] = await client.of("listens").submit("/tokens 30\n/say The end.", model="slow")
    return tasks, responses, await stored_events(client, tasks["listens"], 5)


async def respond(client: TaskClient, text: str, model: str = "fake") -> str:
    """The id of a response in the background."""
    asked = {"model": model, "input": text, "background": True}
    return str((await client.http.post("/v1/responses", json=asked)).json()["id"])


async def stored_frames(client: TaskClient, response_id: str, until: str) -> None:
    """Wait until the stored events of a response have this text."""
    async with client.http.stream("GET", f"/v1/responses/{response_id}?stream=true") as response:
        async with aclosing(response.aiter_lines()) as lines:
            async for line in lines:
                if until in line:
                    return


async def stored_events(client: TaskClient, task_id: str, count: int) -> list[tuple[int, Json]]:
    """The first `count` events of a running task."""
    seen = ""
    async with client.http.stream("GET", f"/agent/task/{task_id}/events") as response:
        async with aclosing(response.aiter_text()) as parts:
            while seen.count("\n\n") - seen.count(": keep-alive") < count:
                seen += await anext(parts)
    return [parse_numbered(each) for each in seen.split("\n\n") if each.startswith("id: ")][:count]


async def test_a_tool_that_ran_when_its_worker_died_is_not_run_again(recovered: Recovered) -> None:
    client = recovered.client.of("calls")
    task = await client.ended(recovered.tasks["calls"], LONG)
    assert (task["status"], task["steps"]) == ("completed", ["mark"])
    assert recovered.marks.count("calls") == 1
    said = await client.transcript()
    assert [role for role, _ in said[:4]] == ["user", "assistant", "tool", "assistant"]
    assert said[2][1] == OUTCOME_UNKNOWN
    messages = task["result"]["messages"]
    assert [each["role"] for each in messages] == ["assistant", "tool", "assistant"]
    counted = [each["usage_metadata"]["total_tokens"] for each in messages if each["role"] == "assistant"]
    usage = task["result"]["usage"]
    assert (usage["total_tokens"], usage["total_cost"]) == (sum(counted), None) and len(counted) == 2


async def test_a_queued_task_runs_after_the_one_before_it(recovered: Recovered) -> None:
    client = recovered.client.of("calls")
    assert (await client.ended(recovered.tasks["behind"], LONG))["status"] == "completed"
    assert [text for role, text in await client.transcript() if role == "user"][1:] == ["Hello"]


async def test_a_step_that_was_complete_is_not_repeated(recovered: Recovered) -> None:
    client = recovered.client.of("finishes")
    task_id = recovered.tasks["finishes"]
    task = await client.ended(task_id, LONG)
    assert (task["status"], task["steps"]) == ("completed", ["mark"])
    assert "restarted" in [event["type"] for _, event in await client.events(task_id)]
    assert recovered.marks.count("finishes") == 1
    said = await client.transcript()
    assert [role for role, _ in said] == ["user", "assistant", "tool", "assistant"]
    assert said[2][1] == "marked finishes" and said[3][1].startswith("One") and said[3][1].endswith("two.")


async def test_a_reader_goes_on_with_the_last_event_that_it_received(recovered: Recovered) -> None:
    client = recovered.client.of("listens")
    task_id = recovered.tasks["listens"]
    task = await client.ended(task_id, LONG)
    last = recovered.received[-1][0]
    rest = await client.events(task_id, last)
    assert [number for number, _ in rest] == list(range(last + 1, last + 1 + len(rest)))
    types = [event["type"] for _, event in rest]
    assert types.count("restarted") == 1 and types[-1] == "completed"
    (answer,) = task["result"]["messages"]
    assert text_of([event for _, event in rest[types.index("restarted") :]]) == answer["content"]
    assert answer["content"].endswith("The end.")
    assert [role for role, _ in await client.transcript()] == ["user", "assistant"]
    assert (await client.events(task_id))[: len(recovered.received)] == recovered.received


async def test_a_review_still_waits(recovered: Recovered) -> None:
    client = recovered.client.of("waits")
    assert (await client.task(recovered.tasks["waits"]))["status"] == "interrupted"
    recovered.marks.release("waits")
    assert (await client.ended(await client.answer(response_type="accept"), LONG))["status"] == "completed"
    assert recovered.marks.count("waits") == 1


async def test_a_call_that_was_accepted_is_not_made_again(recovered: Recovered) -> None:
    client = recovered.client.of("accepts")
    task = await client.ended(recovered.tasks["accepts"], LONG)
    assert task["status"] == "completed"
    assert recovered.marks.count("accepts") == 1
    assert [each["role"] for each in task["result"]["messages"]] == ["tool", "assistant"]
    assert (await client.status())["last_response"]["result"] == task["result"]
    said = await client.transcript()
    assert [role for role, _ in said] == ["user", "assistant", "tool", "assistant"]
    assert said[2][1] == OUTCOME_UNKNOWN


async def ended_response(recovered: Recovered, name: str) -> tuple[Json, list[Json]]:
    """The response at its end, and its events; their numbers have no gap."""
    path = f"/v1/responses/{recovered.responses[name]}"
    async with asyncio.timeout(LONG):
        followed = await recovered.client.http.get(path, params={"stream": "true"})
    frames = [each.partition("\ndata: ")[2] for each in followed.text.split("\n\n") if each.startswith("event: ")]
    events = [orjson.loads(each) for each in frames]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    stored = (await recovered.client.http.get(path)).json()
    assert stored == events[-1]["response"]
    return stored, events


async def test_a_tool_that_a_response_called_is_not_run_again(recovered: Recovered) -> None:
    response, _ = await ended_response(recovered, "response_calls")
    assert response["status"] == "completed"
    assert recovered.marks.count("response_calls") == 1
    [said] = response["output"]
    assert said["content"][0]["text"].startswith("Wait. ") and OUTCOME_UNKNOWN[:20] in said["content"][0]["text"]


async def test_a_response_goes_on_after_its_last_complete_step(recovered: Recovered) -> None:
    response, events = await ended_response(recovered, "response_finishes")
    assert response["status"] == "completed"
    assert recovered.marks.count("response_finishes") == 1
    [said] = response["output"]
    text = said["content"][0]["text"]
    assert text.startswith("Wait. One") and text.endswith("two.") and text.count("One") == 1
    done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    assert [each["status"] for each in done] == ["incomplete", "completed"] and done[1] == said
    assert len({each["id"] for each in done}) == 2


async def test_a_response_without_a_complete_step_is_asked_for_again(recovered: Recovered) -> None:
    response, events = await ended_response(recovered, "response_says")
    [said] = response["output"]
    assert said["content"][0]["text"].endswith("The end.")
    deltas = [each for each in events if each["type"] == "response.output_text.delta"]
    again = [each["delta"] for each in deltas if each["output_index"] == 1]
    assert "".join(again) == said["content"][0]["text"]
    assert [each["type"] for each in events].count("response.in_progress") == 2
