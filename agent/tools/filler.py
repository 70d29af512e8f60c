"""Says something to the caller while one of the agent's own tools runs: see `filler` in agent.yaml.

A timer tells the turn's reader, as the model does with its text. Nothing waits for the timer, and a turn without
fillers has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from agent.events import Filler
from agent.tools.review import Execute, WrapCall
from router.sized_cache import SizedCache

CONVERSATIONS: Final = 4096
"""Of how many conversations the server knows which sentence is next."""


class SentenceTurns:
    """Which of several sentences is next in each conversation. Conversations without an id share one order."""

    def __init__(self) -> None:
        self._spoken: SizedCache[str | None, int] = SizedCache(CONVERSATIONS, CONVERSATIONS)

    def next(self, conversation: str | None, sentences: Sequence[str]) -> str:
        number = self._spoken.get(conversation) or 0
        self._spoken.put(conversation, number + 1, 1)
        return sentences[number % len(sentences)]


class StepFiller:
    """The fillers of one turn: at most one in each step, when the first of its tools has run for `after` seconds.

    Tools of one step run side by side, and so would their sentences.
    """

    def __init__(self, after: float, next_sentence: Callable[[], str]) -> None:
        self._after = after
        self._next_sentence = next_sentence
        self._last_step: int | None = None

    @contextmanager
    def while_running(self, call_id: str, step: int, say: Callable[[Filler], None]) -> Iterator[None]:
        """`say` a filler if the block takes longer. The block runs as it would without."""
        timer = asyncio.get_running_loop().call_later(self._after, self._speak, call_id, step, say)
        try:
            yield
        finally:
            timer.cancel()

    def _speak(self, call_id: str, step: int, say: Callable[[Filler], None]) -> None:
        if step != self._last_step:
            self._last_step = step
            say(Filler(self._next_sentence(), call_id))


class FillerContext(Protocol):
    """The part of the turn's context that fillers need. `steps` is the number of its model calls so far."""

    @property
    def filler(self) -> StepFiller | None: ...

    @property
    def steps(self) -> int: ...

    @property
    def say(self) -> Callable[[Filler], None]: ...


def filled_calls(wrap_call: WrapCall) -> WrapCall:
    """`wrap_call` with a filler where a tool takes long."""

    async def fill_call(request: ToolCallRequest, execute: Execute) -> ToolMessage | Command[Any]:
        context: FillerContext = request.runtime.context  # type: ignore[assignment]  # LangGraph types it as None
        if context.filler is None:
            return await wrap_call(request, execute)
        with context.filler.while_running(str(request.tool_call["id"]), context.steps, context.say):
            return await wrap_call(request, execute)

    return fill_call
