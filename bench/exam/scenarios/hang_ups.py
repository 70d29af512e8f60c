"""The caller hangs up: the provider's connection closes, and the hang-up does not count as a failure."""

from __future__ import annotations

from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

OK = (FakeDeployment("fake-ok"),)
LONG_TIMEOUTS = {"first_token_timeout": 60, "stall_timeout": 60}


async def before_the_first_token(run: ScenarioRun) -> None:
    await run.hang_up(lambda _: bool(run.requests("main")))
    await run.check_closed("main")
    run.check_requests("spare", 0)


async def during_the_answer(run: ScenarioRun) -> None:
    await run.hang_up(lambda first_token: first_token.is_set())
    await run.check_closed("main")
    run.check_requests("spare", 0)


async def during_the_continuation(run: ScenarioRun) -> None:
    await run.hang_up(lambda _: bool(run.requests("spare")))
    await run.check_closed("spare")


async def not_counted(run: ScenarioRun) -> None:
    """After twice as many hang-ups as the breaker allows failures, the deployment still serves."""
    for number in range(2 * run.profile.settings.allowed_fails):
        before = len(run.requests("main"))
        if number % 2:
            await run.hang_up(lambda first_token: first_token.is_set())
        else:
            await run.hang_up(lambda _, before=before: len(run.requests("main")) > before)  # type: ignore[misc]
    run.check_whole(await run.ask())
    run.check_requests("spare", 0)


HANG_UPS = (
    Scenario(
        "hang-up-early",
        "hang-up before the first token: the line closes",
        {"main": (FakeDeployment("fake-silent", params=LONG_TIMEOUTS),), "spare": OK},
        before_the_first_token,
    ),
    Scenario(
        "hang-up-middle",
        "hang-up in mid-answer: the line closes",
        {"main": (FakeDeployment("fake-ok?gap=100ms", params=LONG_TIMEOUTS),), "spare": OK},
        during_the_answer,
    ),
    Scenario(
        "hang-up-continued",
        "hang-up while a cut answer is continued",
        {"main": (FakeDeployment("fake-cut"),), "spare": (FakeDeployment("fake-silent", params=LONG_TIMEOUTS),)},
        during_the_continuation,
    ),
    Scenario(
        "hang-ups-uncounted",
        "hang-ups never count against a provider",
        {"main": (FakeDeployment("fake-ok?first=100ms&gap=20ms", params=LONG_TIMEOUTS),), "spare": OK},
        not_counted,
    ),
)
