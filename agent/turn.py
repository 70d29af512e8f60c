"""One running turn: its deadline, its end from outside, its log line and its statistics. Errors become events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from langchain_core.messages import AnyMessage

from agent.events import Event, HandOff, ReviewRequested, TextDelta, TurnFailed, TurnFinished, Usage
from agent.statistics.statistics import OWN_WORK, Statistics
from agent.statistics.turn_counts import EndedTurn
from agent.stream import AgentRun
from agent.turn_content import log_turn_content
from agent.turn_ids import TurnIds
from config.errors import DeadlineExceeded, SwitchboardError, TurnSuperseded
from router.routed_turn import RoutedTurn
from router.stream.interruptible_wait import InterruptibleWait
from router.turn_record import TurnRecord

log = structlog.get_logger(__name__)


class Turn:
    """Read `events()` once, to its end or to `aclose()`; `record` fills up meanwhile.

    It `began` at that time of the router's clock; `first_token` is the time until the first text, hand-off or review.
    `caller` is who asked for the turn, for the `statistics`; None is the agent itself.
    """

    def __init__(
        self, ids: TurnIds, routed: RoutedTurn, run: AgentRun, statistics: Statistics, caller: str | None
    ) -> None:
        self.ids = ids
        self._routed = routed
        self._run = run
        self._statistics = statistics
        self._caller = caller or OWN_WORK
        self.began = routed.router.clock()
        self.first_token: float | None = None
        self._wait = InterruptibleWait()
        self._ended: Event | None = None
        self._usage = Usage()
        self.superseded = False

    @property
    def record(self) -> TurnRecord:
        return self._routed.record

    @property
    def seconds(self) -> float:
        """How long the turn has been running."""
        return self._routed.router.clock() - self.began

    @property
    def produced(self) -> Sequence[AnyMessage]:
        """The agent's messages and its tools' results, as far as they are complete."""
        return self._run.produced

    @property
    def unfinished(self) -> str:
        """The text of the agent's message that is not complete yet."""
        return self._run.unfinished

    async def events(self) -> AsyncGenerator[Event, None]:
        """The turn's events, ending with `TurnFinished` or `TurnFailed`.

        Closing the iterator cancels the turn, down to the provider's connection.
        """
        clock = self._routed.router.clock
        self.began = clock()
        self.ids.bind_to_log()
        self._statistics.turn_began()
        deadline = asyncio.get_running_loop().call_later(self._routed.deadline - self.began, self._expire)
        try:
            async with aclosing(self._run.events()) as events:
                while (event := await self._wait.next(events)) is not None:
                    if self.first_token is None and isinstance(event, TextDelta | HandOff | ReviewRequested):
                        self.first_token = clock() - self.began
                    self._note(event)
                    yield event
        except SwitchboardError as error:
            self._ended = TurnFailed(error)
            yield self._ended
        except Exception:
            # A bug is ours, and the caller on the line still needs an end.
            log.exception("turn_crashed", model=self.record.asked)
            crash = SwitchboardError("Internal error. The server's log has the details.")
            self._ended = TurnFailed(crash)
            yield self._ended
        finally:
            deadline.cancel()
            seconds, outcome = self.seconds, self._outcome()
            self._log_turn(outcome, seconds)
            log_turn_content(self._run.asked, self.produced, self.unfinished)
            self._statistics.turn_ended(
                EndedTurn(
                    self.record.asked,
                    self._caller,
                    outcome,
                    self.record,
                    seconds,
                    self.first_token,
                    self.began,
                    self.ids,
                    self._run.tool_records,
                )
            )

    def supersede(self) -> None:
        """End the turn now, or before it begins: a newer request on its session took over."""
        self.superseded = True
        self.end(TurnSuperseded("A newer request on this session took over."))

    def end(self, error: SwitchboardError) -> None:
        """End the turn now, from outside, with `error`."""
        self._wait.interrupt(error)

    def _expire(self) -> None:
        self.end(DeadlineExceeded("The answer did not come within the time that a turn may take."))

    def _note(self, event: Event) -> None:
        match event:
            case Usage():
                self._usage = event
            case TurnFinished():
                self._ended = event

    def _outcome(self) -> str:
        """The finish reason, the code of the error, or "cancelled" when the caller hung up."""
        match self._ended:
            case TurnFinished(reason):
                return reason
            case TurnFailed(error):
                return error.code
            case _:
                return "cancelled"

    def _log_turn(self, outcome: str, seconds: float) -> None:
        """One line for each turn: who served, how it went, how long it took. No content and no keys."""
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
