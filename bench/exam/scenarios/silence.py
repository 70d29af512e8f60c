"""The provider accepts the request, but sends nothing, stalls or is late."""

from __future__ import annotations

from bench.exam.checks import continues, falls_back
from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

OK = (FakeDeployment("fake-ok"),)


async def in_time(run: ScenarioRun) -> None:
    answer = await run.ask()
    run.check_whole(answer)
    run.check_requests("main", 1)
    run.check_requests("spare", 0)


SILENCE = (
    Scenario(
        "silent",
        "silent provider: asked once, the fallback answers in time",
        {"main": (FakeDeployment("fake-silent"),), "spare": OK},
        falls_back(after="first_token_timeout"),
    ),
    Scenario(
        "late",
        "head at once, first token far too late",
        {"main": (FakeDeployment("fake-slow-first-token"),), "spare": OK},
        falls_back(after="first_token_timeout"),
    ),
    Scenario(
        "role-only",
        "stall before a token: a role is not a word",
        {"main": (FakeDeployment("fake-stall-early"),), "spare": OK},
        falls_back(after="first_token_timeout"),
    ),
    Scenario(
        "patience",
        "a first token that is slow but in time is waited for",
        {"main": (FakeDeployment("fake-ok?first=200ms"),), "spare": OK},
        in_time,
    ),
    Scenario(
        "stall",
        "stall after 25 of 60 words: continued",
        {"main": (FakeDeployment("fake-stall"),), "spare": (FakeDeployment("fake-continue"),)},
        continues(after="stall_timeout"),
    ),
)
