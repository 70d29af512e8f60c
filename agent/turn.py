"""One running turn: its deadline, its end from outside, its one line in the log. It never raises late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from langchain_core.messages import AnyMessage

from agent.events import Event, TurnFailed, TurnFinished, Usage
from agent.graph import AgentGraph, End, TurnContext
from agent.stream import Start, run_agent
from config.errors import DeadlineExceeded, SwitchboardError, TurnSuperseded
from router.chat_model import chat_model
from router.failover import RoutedTurn
from router.turn_record import TurnRecord

log = structlog.get_logger(__name__)


class Turn:
    """One running turn. Read `events()` once, to its end or to `aclose()`; `record` fills up meanwhile."""

    def __init__(self, routed: RoutedTurn, graph: AgentGraph, start: Start, context: TurnContext):
        self._routed = routed
        self._graph = graph
        self._start = start
        self._context = context
        self._deadline = asyncio.get_running_loop().time() + routed.deadline - routed.router.clock()
        self._ended: Event | None = None
        self._usage = Usage()

    @property
    def record(self) -> TurnRecord:
        return self._routed.record

    @property
    def produced(self) -> Sequence[AnyMessage]:
        """The agent's messages and its tools' results, so far as they are whole."""
        return self._context.produced

    @property
    def unfinished(self) -> str:
        """What the agent has said of a message that is not whole."""
        return self._context.unfinished

    async def ask(self, messages: Sequence[AnyMessage]) -> str:
        """The answer of this turn's model to `messages`, without tools; for work beside the conversation."""
        answer = await chat_model(self._routed.again(), {}, lambda _: None).ainvoke(list(messages))
        return str(answer.text)

    async def events(self) -> AsyncGenerator[Event, None]:
        """What happens, ending with `TurnFinished` or `TurnFailed`. Cancelling it cancels everything down to the
        provider.
        """
        began = self._routed.router.clock()
        deadline = asyncio.get_running_loop().call_at(self._deadline, self._expire)
        try:
            async with aclosing(run_agent(self._graph, self._start, self._context)) as events:
                async for event in events:
                    self._note(event)
                    yield event
        except SwitchboardError as error:
            self._ended = TurnFailed(error)
            yield self._ended
        except Exception:
            # A bug is ours, and the caller on the line still needs an end.
            log.exception("turn_crashed", model=self.record.asked)
            crash = SwitchboardError("Something went wrong here. The operator finds the reason in the log.")
            self._ended = TurnFailed(crash)
            yield self._ended
        finally:
            deadline.cancel()
            self._log_turn(self._routed.router.clock() - began)

    def supersede(self) -> None:
        """End the turn now, from outside: a newer request on its session took over."""
        self.end(TurnSuperseded("A newer request on this session took over."))

    def end(self, error: SwitchboardError) -> None:
        """End the turn now, from outside, for the reason that `error` tells."""
        self._context.said.put_nowait(End(error))

    def _expire(self) -> None:
        self.end(DeadlineExceeded("The answer did not come within the time that a turn may take."))

    def _note(self, event: Event) -> None:
        match event:
            case Usage():
                self._usage = event
            case TurnFinished():
                self._ended = event

    def _log_turn(self, seconds: float) -> None:
        """One line for each turn: who served, how it went, how long it took. No content and no keys."""
        match self._ended:
            case TurnFinished(reason):
                outcome: str = reason
            case TurnFailed(error):
                outcome = error.code
            case _:
                outcome = "cancelled"
        log.info(
            "turn",
            outcome=outcome,
            model=self.record.asked,
            served=self.record.served_model,
            deployment=self.record.served_deployment,
            attempts=[f"{each.deployment} {each.outcome} {each.seconds * 1000:.0f}ms" for each in self.record.attempts],
            ms=round(seconds * 1000),
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            cost=self.record.cost,
            first_token_ms=None if (first := self.record.first_token) is None else round(first * 1000),
        )
