"""A lane that plays one script per attempt: chunks to yield, an error to raise, or an endless wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from config.models.deployments import Deployment, Registry, RouterSettings
from router.failover import FailoverRouter
from router.health.breakers import Breakers
from router.lanes.base import Chunk, LaneRequest
from router.registry import LiveRegistry

HANG = object()
"""A step of a script: wait for ever."""

Script = Iterable[Any]


def text(content: str) -> Chunk:
    return delta({"content": content})


def delta(value: dict[str, Any], finish_reason: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": value, "finish_reason": finish_reason}]}


def finish(reason: str = "stop") -> Chunk:
    return delta({}, reason)


def fragment(index: int, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def call(name: str, arguments: str = "{}", call_id: str = "call_1", index: int = 0) -> Chunk:
    return delta({"tool_calls": [fragment(index, call_id, name, arguments)]})


def usage(prompt: int, completion: int) -> Chunk:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"choices": [], "usage": counted}


class ScriptedLane:
    """Plays the scripts of `scripts[deployment.model]` in turn, one per attempt; the last one repeats."""

    def __init__(self, scripts: dict[str, list[Script]]) -> None:
        self.scripts = scripts
        self.attempts: list[LaneRequest] = []
        self.closed = 0

    def for_deployment(self, _: Deployment) -> ScriptedLane:
        return self

    @property
    def tried(self) -> list[str]:
        return [attempt.deployment.model for attempt in self.attempts]

    async def stream(self, attempt: LaneRequest) -> AsyncGenerator[Chunk, None]:
        scripts = self.scripts[attempt.deployment.model]
        number = self.tried.count(attempt.deployment.model)
        self.attempts.append(attempt)
        try:
            for step in scripts[min(number, len(scripts) - 1)]:
                if step is HANG:
                    await asyncio.Event().wait()
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed += 1

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        pass

    async def aclose(self) -> None:
        pass


def deployment(model: str, group: str = "main", **fields: Any) -> Deployment:
    return Deployment(id=f"{group}/{model}", group=group, model=model, **fields)


def router_over(lane: ScriptedLane, *deployments: Deployment, **settings: Any) -> FailoverRouter:
    """Return a router that does not wait; `router.sleep.calls` records its back-offs."""
    live = LiveRegistry(Registry(deployments, RouterSettings(**settings)))
    return FailoverRouter(live, lane, Breakers(lambda: live.current.settings), sleep=RecordedSleep())


class RecordedSleep:
    def __init__(self) -> None:
        self.calls: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.calls.append(seconds)
