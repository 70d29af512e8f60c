"""A caller of background tasks: submits one, and reads its events until it ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from time import perf_counter

import orjson

from bench.soak.callers.rig import Rig, pause, text_of
from bench.soak.gateway import ConnectionCut, Json, Received
from bench.soak.ledger import Message
from bench.soak.traffic import PLAIN, SCRIPT, TEXT, TOKENS, TurnPlan
from bench.soak.verdict import Outcome, judge_error, judge_text

TASK_TIMEOUT = 90.0
"""Seconds until a task must have ended: three turns, a dead worker's lease, a restart of the database."""
ENDS = ("completed", "error", "interrupt")
ENDED = ("interrupted", "completed", "error", "cancelled")
RETRY_PAUSE = 0.5
"""Seconds between two attempts to read the events."""


@dataclass(slots=True)
class TaskEvents:
    """The events of a task over several connections, with the id of the last one."""

    events: list[Json] = field(default_factory=list)
    last_id: int = 0
    doubled: bool = False

    def read(self, raw: bytes) -> None:
        """Add the complete events of a connection. Those without an id belong to the connection, not to the task."""
        for block in raw.split(b"\n\n")[:-1]:
            number, _, data = block.partition(b"\n")
            if number.startswith(b"id: "):
                self.doubled |= int(number[4:]) <= self.last_id
                self.last_id = int(number[4:])
                self.events.append(orjson.loads(data.removeprefix(b"data: ")))

    @property
    def end(self) -> Json | None:
        return self.events[-1] if self.events and self.events[-1]["type"] in ENDS else None

    @property
    def text(self) -> str:
        """The text of the answer: another worker says again what came after the last call of a tool."""
        text, complete = "", 0
        for event in self.events:
            text += text_of(event)
            if event["type"] == "tool_call":
                complete = len(text)
            elif event["type"] == "restarted":
                text = text[:complete]
        return text


@dataclass(slots=True)
class TaskCaller:
    """Each task has a session of its own. To hang up is to cancel the task."""

    rig: Rig
    user: str

    async def turn(self, plan: TurnPlan) -> None:
        """One task."""
        received = Received()
        calls_tool = plan.model == PLAIN and plan.hang_up_after is None
        query = plan.mark
        if calls_tool:
            query = f'/call mark {{"name": "{plan.mark}"}}\n/then\n/tokens {TOKENS}'
            plan = replace(plan, model=SCRIPT)
            self.rig.ledger.expect_calls(plan.mark, at_least=0)
        thread = self.rig.ledger.new_thread("task", f"/agent/history/{self.user}/{plan.mark}")
        message = Message(query)
        thread.messages.append(message)
        body = {"user_id": self.user, "session_id": plan.mark, "query": query, "model": plan.model}
        task_id = await self._submit(plan, body, received)
        if task_id is None:
            return
        if plan.hang_up_after is not None:
            await self._cancel(plan, task_id, received)
            return
        outcome, code = await self._outcome(plan, task_id, received)
        if self.rig.ledger.add("task", plan, received, outcome, code=code) == "whole":
            message.answer = TEXT
            if calls_tool:
                self.rig.ledger.expect_calls(plan.mark, at_least=1)

    async def _submit(self, plan: TurnPlan, body: Json, received: Received) -> str | None:
        """Return the task's id; None if there is none, which is recorded."""
        try:
            await self.rig.gateway.read("POST", "/agent/invoke/async", body, received=received)
            if received.status == 202:
                return str(received.json()["task_id"])
        except (ConnectionCut, TimeoutError) as exc:
            self.rig.ledger.add("task", plan, received, ("cut", str(exc)))
            return None
        await self.rig.record_http_error("task", plan, received)
        return None

    async def _outcome(self, plan: TurnPlan, task_id: str, received: Received) -> tuple[tuple[Outcome, str], str]:
        found = await self._events(task_id, received)
        end = found.end
        if end is None:
            return ("lost", f"no end of the task within {TASK_TIMEOUT:g} s, after {len(found.events)} events"), ""
        if found.doubled or sum(event["type"] in ENDS for event in found.events) > 1:
            return ("doubled", "an event of the task came twice"), ""
        if end["type"] == "error":
            return judge_error(end["code"], fault=plan.fails), end["code"]
        outcome = judge_text(found.text)
        said = [each["content"] for each in end["data"]["result"]["messages"] if each["role"] == "assistant"]
        return (outcome if outcome[0] != "whole" else judge_text("".join(said))), ""

    async def _events(self, task_id: str, received: Received) -> TaskEvents:
        """Read the events until the task ends; connect again, at any server, when the connection ends before."""
        found = TaskEvents()
        deadline = perf_counter() + TASK_TIMEOUT
        while found.end is None and perf_counter() < deadline:
            connection = Received()
            path = f"/agent/task/{task_id}/events"
            try:
                read = self.rig.gateway.read("GET", path, received=connection, last_event_id=str(found.last_id))
                await asyncio.wait_for(read, max(0.1, deadline - perf_counter()))
            except (ConnectionCut, TimeoutError):
                pass  # what has arrived counts
            if connection.status == 200:
                found.read(bytes(connection.raw))
                received.tokens = received.tokens or connection.tokens
            if found.end is None:
                await pause(connection)
                await asyncio.sleep(RETRY_PAUSE)
        return found

    async def _cancel(self, plan: TurnPlan, task_id: str, received: Received) -> None:
        await asyncio.sleep(plan.hang_up_after or 0)
        deadline = perf_counter() + TASK_TIMEOUT
        method = "DELETE"
        while perf_counter() < deadline:
            try:
                answer = await self.rig.gateway.read(method, f"/agent/task/{task_id}")
            except (ConnectionCut, TimeoutError):
                answer = Received()
            if answer.status == 200:
                if method == "DELETE":
                    self.rig.hang_ups.watch(plan.mark, time.time())
                if answer.json()["status"] in ENDED:
                    self.rig.ledger.add("task", plan, received, ("hung up", ""))
                    return
                method = "GET"
            await pause(answer)
            await asyncio.sleep(RETRY_PAUSE)
        self.rig.ledger.add("task", plan, received, ("lost", "the cancelled task did not end"))
