"""One run of a scenario: sends turns, reads the provider's log, and records what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

from bench.exam.caller import Caller, ReceivedAnswer
from bench.exam.profile import ExamProfile
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from router.fake.server.recorded_requests import RecordedRequest

Verdict = Literal["pass", "partial", "fail"]
CLOSE_TIMEOUT = 1.0
"""Seconds within which the provider's connection must close after the caller hangs up."""


@dataclass(slots=True)
class ScenarioRun:
    """A failure fails the scenario. A warning makes it partial: the caller was served well, but something was off."""

    model: str
    profile: ExamProfile
    caller: Caller
    provider: FakeProvider
    answers: list[ReceivedAnswer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return "fail" if self.failures else "partial" if self.warnings else "pass"

    async def ask(self, **fields: Any) -> ReceivedAnswer:
        """Send one turn and check the wire format of the answer."""
        answer = await self.caller.ask(self.model, **fields)
        self.answers.append(answer)
        self.require(answer.violation is None, f"the answer breaks the wire contract: {answer.violation}")
        return answer

    async def hang_up(self, when: Callable[[asyncio.Event], bool], **fields: Any) -> None:
        """Send one turn and hang up as soon as `when` is true; its argument is set with the first token."""
        first_token_received = asyncio.Event()
        turn = asyncio.create_task(self.caller.ask(self.model, first_token_received=first_token_received, **fields))
        try:
            async with asyncio.timeout(self.caller.timeout):
                while not when(first_token_received) and not turn.done():
                    await asyncio.sleep(0.005)
        finally:
            self.require(not turn.done(), "the answer ended before the caller hung up")
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)

    def requests(self, deployment: str = "") -> list[RecordedRequest]:
        """Return the requests to the scenario's deployments whose name starts like this: `main`, `spare1` ..."""
        prefix = f"{self.model}.{deployment}"
        return [each for each in self.provider.log if each.model.partition("?")[0].partition(":")[2].startswith(prefix)]

    def require(self, condition: bool, failure: str) -> None:
        if not condition:
            self.failures.append(failure)

    def expect(self, condition: bool, warning: str) -> None:
        if not condition:
            self.warnings.append(warning)

    def check_whole(self, answer: ReceivedAnswer, *, group: str = "main") -> None:
        """The answer is the whole text, exactly once, and names the group that served it."""
        self.require(answer.error is None, f"an error instead of an answer: {answer.error_code}")
        self.require(answer.text == ANSWER, f"not the whole answer, once: {answer.text!r}")
        self.require(answer.finish_reason == "stop", f"the finish reason is {answer.finish_reason!r}")
        self.check_served_by(answer, group)

    def check_served_by(self, answer: ReceivedAnswer, group: str) -> None:
        """The body names the group, and so do the headers unless they were sent early."""
        name = self.model if group == "main" else f"{self.model}-{group}"
        in_headers = name if answer.headers_sent_early else answer.headers.get("x-switchboard-model")
        named = (answer.model, in_headers)
        self.require(named == (name, name), f"{name} served, but model and header say {named}")

    def check_error(self, answer: ReceivedAnswer, status: int, code: str) -> None:
        """The answer is one error, and does not look like a finished answer."""
        self.require(answer.error_code == code, f"the error is {answer.error_code}, not {code}")
        # After a keep-alive the status is 200 already, and the error comes in the stream.
        self.require(answer.status in (status, 200), f"the status is {answer.status}, not {status}")
        finished = answer.finish_reason is not None or bool(answer.tool_calls)
        self.require(not finished, "the answer looks like a finished one")

    def check_requests(self, deployment: str, count: int) -> None:
        """The deployment received this number of requests."""
        received = len(self.requests(deployment))
        self.require(received <= count, f"{deployment} received {received} requests, not {count}")
        self.expect(received >= count, f"{deployment} received {received} requests, not {count}")

    def check_attempts(self, answer: ReceivedAnswer, count: int) -> None:
        """The header counts the attempts up to the first token."""
        correct = answer.headers_sent_early or answer.attempts == count
        self.expect(correct, f"x-switchboard-attempts is {answer.attempts}, not {count}")

    def check_within(self, seconds: float | None, limit: float, event: str = "the first token") -> None:
        """The event comes within the limit plus the profile's slack."""
        limit += self.profile.slack
        shown = "never" if seconds is None else f"after {seconds:.2f} s"
        self.require(seconds is not None and seconds <= limit, f"{event} came {shown}, not within {limit:.2f} s")

    async def check_closed(self, deployment: str) -> None:
        """The connections to the deployment close within `CLOSE_TIMEOUT`."""
        start = perf_counter()
        while not (closed := all(each.ended_by == "caller" for each in self.requests(deployment))):
            if perf_counter() - start > CLOSE_TIMEOUT:
                break
            await asyncio.sleep(0.005)
        self.require(closed, f"the connection to {deployment} was still open {CLOSE_TIMEOUT:g} s after the hang-up")
