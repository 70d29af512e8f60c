"""The session service without HTTP, on the fake model and a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent.events import TextDelta
from agent.sessions.events import SessionEvent
from agent.sessions.lifespan import open_sessions
from agent.sessions.requests import Invocation, OnBusy, Resumption
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.sessions.store import DEFAULT_LEASE
from agent.storage.checkpoints import open_checkpoints
from agent.storage.database import Database
from agent.tools.review import ReviewResponse
from agent.turns import TurnService
from config.models.deployments import Deployment, Registry, RouterSettings
from config.profile.agent_file import AgentProfile
from router.failover import FailoverRouter
from router.fake.fake_lane import FakeLane
from router.health.breakers import Breakers
from router.registry import LiveRegistry

USER, SESSION = "ann", "s"


class _FakeLanes:
    def __init__(self) -> None:
        self._lane = FakeLane()

    def for_deployment(self, _: Deployment) -> FakeLane:
        return self._lane


@dataclass(frozen=True, slots=True)
class SessionRig:
    """One session of one user."""

    service: SessionService

    def invoke(
        self, query: str, *, on_busy: OnBusy = "reject", model: str | None = None, replaces: bool = False
    ) -> TurnReader:
        """Start a turn with a message; it declines a pending review."""
        request = Invocation(USER, query, SESSION, model=model, on_busy=on_busy, on_pending="reject", replaces=replaces)
        return TurnReader(self.service.invoke(request))

    def accept(self) -> TurnReader:
        """Resume the turn by accepting the review."""
        return TurnReader(self.service.resume(Resumption(USER, SESSION, {None: ReviewResponse("accept")})))

    async def history(self) -> list[AnyMessage]:
        return await self.service.history(USER, SESSION)

    async def status(self) -> str:
        return (await self.service.get(USER, SESSION)).status


class TurnReader:
    """Reads the events of a turn; `text` is the text of those read so far."""

    def __init__(self, events: Any) -> None:
        self._events = events
        self.seen: list[SessionEvent] = []

    async def read(self, count: int | None = None) -> list[SessionEvent]:
        """Read up to `count` events in total, or all; return all events read so far."""
        while count is None or len(self.seen) < count:
            try:
                self.seen.append(await anext(self._events))
            except StopAsyncIteration:
                break
        return self.seen

    async def aclose(self) -> None:
        await self._events.aclose()

    async def read_all(self) -> list[SessionEvent]:
        async with aclosing(self._events):
            return await self.read()

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.seen if isinstance(each, TextDelta))


@asynccontextmanager
async def session_rig(
    database: Database, profile: AgentProfile, *, signals: Signals | None = None, lease: float = DEFAULT_LEASE
) -> AsyncIterator[SessionRig]:
    live = LiveRegistry(Registry((Deployment(id="main/fake", group="main", model="fake/echo"),), RouterSettings()))
    router = FailoverRouter(live, _FakeLanes(), Breakers(lambda: live.current.settings))
    async with open_checkpoints(database) as checkpoints:
        turns = TurnService(router, profile, checkpointer=checkpoints)
        async with open_sessions(turns, database, checkpoints, signals or Signals(), ttl=None, lease=lease) as service:
            yield SessionRig(service)


def assert_consistent_history(history: Sequence[AnyMessage]) -> None:
    """Every tool call has exactly one result, directly after its message, and ids are unique."""
    ids = [each.id for each in history]
    assert len(set(ids)) == len(ids) and None not in ids
    at = 0
    while at < len(history):
        message = history[at]
        assert not isinstance(message, ToolMessage), "a result without its call"
        at += 1
        if isinstance(message, AIMessage) and message.tool_calls:
            results = history[at : at + len(message.tool_calls)]
            called = [call["id"] for call in message.tool_calls]
            assert sorted(str(getattr(each, "tool_call_id", None)) for each in results) == sorted(map(str, called))
            at += len(results)


def queries(history: Sequence[AnyMessage]) -> list[str]:
    return [str(each.text) for each in history if isinstance(each, HumanMessage)]


def answer_text(history: Sequence[AnyMessage]) -> str:
    """Return the agent's text without spaces: events have an extra space between two of its messages."""
    return "".join("".join(str(each.text).split()) for each in history if isinstance(each, AIMessage))


async def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until `condition`, a function or a coroutine function, returns true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.005)
