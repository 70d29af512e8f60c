"""One scenario being sat: it asks, looks into the provider's log, and notes what was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

from bench.exam.caller import Caller, Heard
from bench.exam.profile import Profile
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from router.fake.server.recorded_requests import RecordedRequest

Verdict = Literal["pass", "partial", "fail"]
HANG_UP = 1.0
"""Seconds within which a provider's line must close once the caller has hung up."""


@dataclass(slots=True)
class Sitting:
    """`faults` make it fail; `slips` (the caller was served well, but not as it should be done) make it partial."""

    model: str
    profile: Profile
    caller: Caller
    provider: FakeProvider
    heard: list[Heard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    slips: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return "fail" if self.faults else "partial" if self.slips else "pass"

    # Asking

    async def ask(self, **more: Any) -> Heard:
        """One turn, which must keep to the wire contract."""
        heard = await self.caller.ask(self.model, **more)
        self.heard.append(heard)
        self.require(heard.broken is None, f"the answer breaks the wire contract: {heard.broken}")
        return heard

    async def hang_up(self, when: Callable[[asyncio.Event], bool], **more: Any) -> None:
        """Ask, and hang up as soon as `when` says so; it is given an event that is set when a token was heard."""
        listening = asyncio.Event()
        turn = asyncio.create_task(self.caller.ask(self.model, listening=listening, **more))
        try:
            async with asyncio.timeout(self.caller.patience):
                while not when(listening) and not turn.done():
                    await asyncio.sleep(0.005)
        finally:
            self.require(not turn.done(), "the answer was over before the caller hung up")
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)

    def log(self, provider: str = "") -> list[RecordedRequest]:
        """What the providers of this scenario were asked, or one of them: `main1`, `spare1` ..."""
        wanted = f"{self.model}.{provider}"
        return [each for each in self.provider.log if each.model.partition("?")[0].partition(":")[2].startswith(wanted)]

    # Judging

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.faults.append(otherwise)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.slips.append(otherwise)

    def whole(self, heard: Heard, *, by: str = "main") -> None:
        """The caller heard the whole text once, and was told which group it came from."""
        self.require(heard.error is None, f"an error instead of an answer: {heard.code}")
        self.require(heard.text == ANSWER, f"not the whole answer, once: {heard.text!r}")
        self.require(heard.finish == "stop", f"the finish reason is {heard.finish!r}")
        self.served(heard, by)

    def served(self, heard: Heard, by: str) -> None:
        """The body and the header name that role's group; the header only when it went out with the first token."""
        group = self.model if by == "main" else f"{self.model}-{by}"
        named = (heard.model, group if heard.head_was_early else heard.headers.get("x-switchboard-model"))
        self.require(named == (group, group), f"{group} served, but model and header say {named}")

    def refused(self, heard: Heard, status: int, code: str) -> None:
        """The caller got one clear error, and nothing that looks like an answer."""
        self.require(heard.code == code, f"the error is {heard.code}, not {code}")
        # Once a keep-alive has gone out the status is 200 already, and the error comes inside.
        self.require(heard.status in (status, 200), f"the status is {heard.status}, not {status}")
        self.require(heard.finish is None and not heard.calls, "the answer looks like a finished one")

    def asked(self, provider: str, times: int) -> None:
        """That provider saw so many requests."""
        seen = len(self.log(provider))
        self.require(seen <= times, f"{provider} was asked {seen} times, not {times}")
        self.expect(seen >= times, f"{provider} was asked {seen} times, not {times}")

    def attempts(self, heard: Heard, number: int) -> None:
        """The header counts the attempts that came before the first token."""
        known = heard.head_was_early or heard.attempts == number
        self.expect(known, f"x-switchboard-attempts is {heard.attempts}, not {number}")

    def within(self, seconds: float | None, limit: float, what: str = "the first token") -> None:
        """Not later than the limit and what any answer may take besides."""
        limit += self.profile.slack
        shown = "never" if seconds is None else f"after {seconds:.2f} s"
        self.require(seconds is not None and seconds <= limit, f"{what} came {shown}, not within {limit:.2f} s")

    async def closed(self, provider: str) -> None:
        """The provider sees within a second that nobody listens any more."""
        began = perf_counter()
        while not (ended := all(each.ended_by == "caller" for each in self.log(provider))):
            if perf_counter() - began > HANG_UP:
                break
            await asyncio.sleep(0.005)
        self.require(ended, f"the line to {provider} was open a second after the caller had hung up")
