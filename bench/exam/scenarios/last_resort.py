"""No deployment can answer: the caller gets one clear error in bounded time."""

from __future__ import annotations

from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

LONG_TIMEOUT = {"first_token_timeout": 120}


async def all_down(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_error(answer, 503, "all_deployments_failed")
    run.check_within(answer.seconds, 0.75, "the error")
    run.check_requests("main", 3)
    run.check_requests("last", 2)


async def all_limited(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_error(answer, 429, "rate_limit_exceeded")
    after = answer.headers.get("retry-after", "")
    run.require(after.isdigit() and 25 <= int(after) <= 30, f"Retry-After is {after!r}; the provider named 30 s")
    run.check_within(answer.seconds, 0, "the error")


async def deadline(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_error(answer, 504, "deadline_exceeded")
    run.check_within(answer.seconds, run.profile.timeouts.turn_deadline, "the error")
    run.expect(
        answer.seconds >= run.profile.timeouts.turn_deadline * 0.95,
        f"the turn failed early, after {answer.seconds:.2f} s",
    )
    await run.check_closed("main")


async def callers_deadline(run: ScenarioRun) -> None:
    answer = await run.ask(timeout=1)
    run.check_error(answer, 504, "deadline_exceeded")
    run.require(answer.status == 504, f"the status is {answer.status}, not 504")
    run.check_within(answer.seconds, 1, "the error")
    await run.check_closed("main")


LAST_RESORT = (
    Scenario(
        "all-down",
        "all deployments down: one 503 in bounded time",
        {
            "main": (FakeDeployment("fake-503"),),
            "spare": (FakeDeployment("refused"),),
            "last": (FakeDeployment("fake-reset"),),
        },
        all_down,
    ),
    Scenario(
        "all-limited",
        "all deployments limited: 429 with Retry-After",
        {"main": (FakeDeployment("fake-429-retry-after-30"),)},
        all_limited,
    ),
    Scenario(
        "deadline",
        "the turn's deadline: 504",
        {"main": (FakeDeployment("fake-silent", params=LONG_TIMEOUT),)},
        deadline,
    ),
    Scenario(
        "callers-deadline",
        "the caller's own timeout: 504",
        {"main": (FakeDeployment("fake-silent", params=LONG_TIMEOUT),)},
        callers_deadline,
    ),
)
