"""Nothing is left: one clear error, in bounded time."""

from __future__ import annotations

from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

PATIENT = {"first_token_timeout": 120}


async def all_down(at: Sitting) -> None:
    heard = await at.ask()
    at.refused(heard, 503, "all_deployments_failed")
    at.within(heard.seconds, 0.75, "the error")
    at.asked("main", 3)
    at.asked("last", 2)


async def all_limited(at: Sitting) -> None:
    heard = await at.ask()
    at.refused(heard, 503, "all_deployments_failed")
    after = heard.headers.get("retry-after", "")
    at.require(after.isdigit() and 25 <= int(after) <= 30, f"Retry-After is {after!r}; the provider named 30 s")
    at.within(heard.seconds, 0, "the error")


async def deadline(at: Sitting) -> None:
    heard = await at.ask()
    at.refused(heard, 504, "deadline_exceeded")
    at.within(heard.seconds, at.profile.timeouts.turn_deadline, "the error")
    at.expect(heard.seconds >= at.profile.timeouts.turn_deadline * 0.95, f"it gave up after {heard.seconds:.2f} s")
    await at.closed("main")


async def callers_deadline(at: Sitting) -> None:
    heard = await at.ask(timeout=1)
    at.refused(heard, 504, "deadline_exceeded")
    at.require(heard.status == 504, f"the status is {heard.status}, not 504")
    at.within(heard.seconds, 1, "the error")
    await at.closed("main")


LAST_RESORT = (
    Scenario(
        "all-down",
        "all deployments down: one 503 in bounded time",
        {"main": (Provider("fake-503"),), "spare": (Provider("refused"),), "last": (Provider("fake-reset"),)},
        all_down,
    ),
    Scenario(
        "all-limited",
        "all deployments limited: 503 with Retry-After",
        {"main": (Provider("fake-429-retry-after-30"),)},
        all_limited,
    ),
    Scenario("deadline", "the turn's deadline: 504", {"main": (Provider("fake-silent", params=PATIENT),)}, deadline),
    Scenario(
        "callers-deadline",
        "the caller's own timeout: 504",
        {"main": (Provider("fake-silent", params=PATIENT),)},
        callers_deadline,
    ),
)
