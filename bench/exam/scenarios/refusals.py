"""The provider refuses the request, or cannot be reached."""

from __future__ import annotations

from bench.exam.checks import answers, falls_back, is_rejected
from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

OK = (FakeDeployment("fake-ok"),)


async def waits_for_retry_after(run: ScenarioRun) -> None:
    """Without another deployment, the router waits for a short Retry-After."""
    run.check_whole(await run.ask())
    run.check_requests("main", 2)
    if len(log := run.requests("main")) > 1:
        run.require(log[1].time - log[0].time >= 0.99, "the next request came before the Retry-After time")


async def respects_retry_after(run: ScenarioRun) -> None:
    """The fallback answers at once, and the deployment gets no request before the Retry-After time."""
    for _ in range(3):
        answer = await run.ask()
        run.check_whole(answer, group="spare")
        run.check_within(answer.first_token, 0)
    run.check_requests("main", 1)


async def unreachable(run: ScenarioRun) -> None:
    """A closed port records no requests, so the attempts header has to show the two attempts at it."""
    answer = await run.ask()
    run.check_whole(answer, group="spare")
    run.check_requests("spare", 1)
    run.check_attempts(answer, 3)
    run.check_within(answer.first_token, 0)


async def flapping(run: ScenarioRun) -> None:
    for _ in range(4):
        answer = await run.ask()
        run.check_whole(answer, group="spare" if answer.model != run.model else "main")
    run.require(len(run.requests("main")) <= 8, f"{len(run.requests('main'))} requests in 4 turns")


async def misconfigured(run: ScenarioRun) -> None:
    """Only the operator can fix it: the deployment gets no second request during the cooldown."""
    for _ in range(2):
        run.check_whole(await run.ask(), group="spare")
    run.check_requests("main", 1)


async def too_long(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_whole(answer, group="context")
    run.check_requests("main", 1)
    run.check_requests("spare", 0)
    run.check_requests("context", 1)


async def refused_content(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_whole(answer, group="policy")
    run.check_requests("main", 1)
    run.check_requests("spare", 0)


FILTER, CONTEXT = (FakeDeployment("fake-filter"),), (FakeDeployment("fake-context"),)

REFUSALS = (
    Scenario(
        "429-short",
        "429 with a short Retry-After, nobody else",
        {"main": (FakeDeployment("fake-429-retry-after"),)},
        waits_for_retry_after,
    ),
    Scenario(
        "429-long",
        "429 with a long Retry-After: the fallback at once",
        {"main": (FakeDeployment("fake-429-retry-after-30"),), "spare": OK},
        respects_retry_after,
    ),
    Scenario(
        "429-bare",
        "429 without a time: backed off",
        {"main": (FakeDeployment("fake-429"),), "spare": OK},
        falls_back(main=3),
    ),
    Scenario(
        "500-once",
        "500 once: the same provider answers",
        {"main": (FakeDeployment("fake-500-once"),), "spare": OK},
        answers(main=2),
    ),
    Scenario(
        "503", "503 always: the fallback", {"main": (FakeDeployment("fake-503"),), "spare": OK}, falls_back(main=3)
    ),
    Scenario(
        "reset", "reset before the answer", {"main": (FakeDeployment("fake-reset"),), "spare": OK}, falls_back(main=2)
    ),
    Scenario("refused", "connection refused", {"main": (FakeDeployment("refused"),), "spare": OK}, unreachable),
    Scenario(
        "flap",
        "a provider that fails every other time",
        {"main": (FakeDeployment("fake-flap"),), "spare": OK},
        flapping,
    ),
    Scenario(
        "401", "401: the next deployment at once", {"main": (FakeDeployment("fake-401"),), "spare": OK}, misconfigured
    ),
    Scenario(
        "404",
        "404, no such model: the next at once",
        {"main": (FakeDeployment("fake-404"),), "spare": OK},
        misconfigured,
    ),
    Scenario(
        "context",
        "messages too long: context_window_fallbacks",
        {"main": CONTEXT, "spare": OK, "context": OK},
        too_long,
    ),
    Scenario(
        "context-fallbacks",
        "messages too long, only fallbacks: those",
        {"main": CONTEXT, "spare": OK},
        falls_back(main=1),
    ),
    Scenario(
        "context-both",
        "messages too long: a group in both lists",
        {"main": CONTEXT, "both": OK},
        falls_back(main=1, to="both"),
    ),
    Scenario(
        "context-alone",
        "messages too long, nobody else: 400",
        {"main": CONTEXT},
        is_rejected(400, "context_length_exceeded"),
    ),
    Scenario(
        "filter",
        "content refused: 400 with the category, no fallback",
        {"main": FILTER, "spare": OK},
        is_rejected(400, "content_policy_violation", says="violence"),
    ),
    Scenario(
        "filter-policy",
        "content refused: content_policy_fallbacks",
        {"main": FILTER, "spare": OK, "policy": OK},
        refused_content,
    ),
    Scenario(
        "filter-both",
        "content refused: a group in both lists",
        {"main": FILTER, "both": OK},
        falls_back(main=1, to="both"),
    ),
    Scenario(
        "400",
        "400: one provider's opinion, the next answers",
        {"main": (FakeDeployment("fake-400"),), "spare": OK},
        falls_back(main=1),
    ),
    Scenario(
        "400-all",
        "400 of all providers: the caller's request is wrong",
        {"main": (FakeDeployment("fake-400"),), "spare": (FakeDeployment("fake-400"),)},
        is_rejected(400, "request_rejected", spare=1),
    ),
)
