"""One message of a conversation with a persona, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from agent.events import Event, TextDelta, TurnFinished, Usage
from agent.personas.answer import Answer
from agent.personas.conversations import ConversationStore
from agent.personas.persona import Exchange, Persona
from agent.personas.prompt import conversation, is_enough, trims
from agent.personas.shape import parse_shape
from agent.shielded_work import run_shielded
from agent.turn import Turn
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from config.errors import ConversationBusy
from router.failover import RoutingOverrides

OVER: Final = "This conversation is over, good bye."

ASK_AGAIN: Final = "This answer does not fit the shape: {problem}. Answer again, with nothing but JSON of that shape."

BUSY_TIMEOUT: Final = 60.0
"""Seconds that a message waits for the answers to earlier messages of its conversation."""


class PersonaTurn:
    """Read `events()` once, to its end or to `aclose()`. Both messages are stored at its end, or nothing is.

    `caller` is the id of the caller's token. `turns` are the turns that ran: one, or two when an answer did not fit the
    shape and was asked for once more. `shape` is "mismatch" when the answer still does not fit. The text of an answer
    that is checked comes in one piece.
    """

    def __init__(
        self,
        service: TurnService,
        store: ConversationStore,
        lock: asyncio.Lock,
        persona: Persona,
        conversation_id: str,
        message: str,
        caller: str | None = None,
    ) -> None:
        self._service = service
        self._store = store
        self._lock = lock
        self._persona = persona
        self.conversation_id = conversation_id
        self._message = message
        self._caller = caller
        self.turns: list[Turn] = []
        self.shape: Literal["unchecked", "match", "mismatch"] = "unchecked"

    async def events(self) -> AsyncGenerator[Event, None]:
        """The events of a turn. Closing the iterator cancels the turn, and nothing is stored.

        Raises:
            ConversationBusy: the answers to earlier messages take too long.
            ConversationNotFound: the conversation was deleted meanwhile.
            StorageUnavailable, and what `TurnService.begin` raises.
        """
        async with self._alone():
            past = await self._past()
            if past and past[-1].number >= (self._persona.max_turns or past[-1].number + 1):
                yield TextDelta(OVER)
                yield Usage()
                yield TurnFinished("stop")
                return
            messages = conversation(self._persona, past, self._message, trims(self._service.profile.trim))
            async with aclosing(self._answer(messages)) as events:
                async for event in events:
                    yield event

    async def _answer(self, messages: Sequence[AnyMessage]) -> AsyncGenerator[Event, None]:
        shape = parse_shape(self._persona.response_shape)
        began = asyncio.get_running_loop().time()
        answer = Answer(holds_text=shape is not None)
        async with aclosing(self._run(messages, answer)) as events:
            async for event in events:
                yield event
        if shape is not None and (problem := answer.problem(shape)) is not None:
            again, usage = Answer(holds_text=True), answer.usage
            said = [AIMessage(answer.text)] if answer.text else []
            request = [*messages, *said, HumanMessage(ASK_AGAIN.format(problem=problem))]
            spent = asyncio.get_running_loop().time() - began
            async with aclosing(self._run(request, again, spent)) as events:
                async for event in events:
                    yield event
            answer = again if again.is_complete and (again.text or again.hands_off) else answer
            answer.usage = _added(usage, again.usage)
        if shape is not None and answer.is_complete and not answer.hands_off:
            self.shape = "match" if answer.problem(shape) is None else "mismatch"
        for event in answer.release():
            yield event
        if answer.is_complete:
            await run_shielded(self._store.add(self.conversation_id, self._message, answer.text))
        yield answer.usage
        if answer.final is not None:
            yield answer.final

    async def _run(
        self, messages: Sequence[AnyMessage], answer: Answer, spent: float = 0.0
    ) -> AsyncGenerator[Event, None]:
        """One turn. `spent` is how much of its deadline, in seconds, is used up already."""
        persona = self._persona
        deadline = self._service.router.registry.current.settings.timeouts.turn_deadline
        turn = self._service.begin(
            TurnRequest(
                model=persona.model,
                messages=messages,
                params=persona.params,
                system_prompt=persona.context,
                agent_tools=persona.tools,
                agent=persona.shown_name,
                session_id=self.conversation_id,
                caller=self._caller,
                allowed_as=persona.model_names,
                overrides=RoutingOverrides(turn_deadline=max(0.0, deadline - spent)),
            )
        )
        self.turns.append(turn)
        async with aclosing(self._service.run(turn)) as events:
            async for event in events:
                for each in answer.add(event):
                    yield each

    async def _past(self) -> Sequence[Exchange]:
        """As many of the newest exchanges as may be sent, oldest first, so that old ones cost nothing."""
        limits = trims(self._service.profile.trim)
        found: list[Exchange] = []
        async with aclosing(self._store.newest_first(self.conversation_id)) as pages:
            async for page in pages:
                found += page
                if is_enough(found, limits):
                    break
        return found[::-1]

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the conversation: its messages are answered one after the other, in their order of arrival."""
        try:
            async with asyncio.timeout(BUSY_TIMEOUT):
                await self._lock.acquire()
        except TimeoutError:
            raise ConversationBusy("An earlier message of this conversation is still being answered.") from None
        try:
            yield
        finally:
            self._lock.release()


def _added(first: Usage, second: Usage) -> Usage:
    """The usage of both turns; the cost is known if it is known of both."""
    cost = None if first.cost is None or second.cost is None else first.cost + second.cost
    return replace(first + second, cost=cost)
