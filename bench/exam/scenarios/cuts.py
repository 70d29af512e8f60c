"""The answer breaks after the caller has received 25 of its 60 words."""

from __future__ import annotations

from bench.exam.checks import continues, is_interrupted
from bench.exam.scenario import Check, FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

CUT = (FakeDeployment("fake-cut?gap=5ms"),)
PREFILL = {"supports_assistant_prefill": True}


async def cut_twice(run: ScenarioRun) -> None:
    run.check_whole(await run.ask())
    run.check_requests("main", 1)
    run.check_requests("spare", 1)
    run.check_requests("last", 1)


async def by_other_deployment(run: ScenarioRun) -> None:
    run.check_whole(await run.ask())
    run.check_requests("main1", 1)
    run.check_requests("main2", 1)


def continued_after(role: str) -> Check:
    """The answer continues; the last message of the continuation request has this role."""

    async def check(run: ScenarioRun) -> None:
        await continues()(run)
        roles = [each.body["messages"][-1]["role"] for each in run.requests("spare")]
        run.expect(roles == [role], f"the last messages of the requests have the roles {roles}")

    return check


CUTS = (
    Scenario(
        "cut-prefill",
        "cut; the fallback goes on from a prefill",
        {"main": CUT, "spare": (FakeDeployment("fake-continue", info=PREFILL),)},
        continued_after("assistant"),
    ),
    Scenario(
        "cut-asked",
        "cut; the fallback is asked in words and goes on",
        {"main": CUT, "spare": (FakeDeployment("fake-continue"),)},
        continued_after("user"),
    ),
    Scenario(
        "cut-restart",
        "cut; the fallback begins again",
        {"main": CUT, "spare": (FakeDeployment("fake-restart"),)},
        continues(),
    ),
    Scenario(
        "cut-restart-prefill",
        "cut; the fallback ignores the prefill and begins again",
        {"main": CUT, "spare": (FakeDeployment("fake-restart", info=PREFILL),)},
        continues(),
    ),
    Scenario(
        "cut-think",
        "cut; the fallback thinks aloud and begins again",
        {"main": CUT, "spare": (FakeDeployment("fake-think"),)},
        continues(),
    ),
    Scenario(
        "cut-overlap",
        "cut; the fallback repeats the last words",
        {"main": CUT, "spare": (FakeDeployment("fake-overlap"),)},
        continues(),
    ),
    Scenario(
        "cut-no-prefill",
        "cut; the fallback refuses a prefill and is asked without it",
        {"main": CUT, "spare": (FakeDeployment("fake-no-prefill", info=PREFILL),)},
        continues(spare=2),
    ),
    Scenario(
        "cut-twice",
        "cut; the fallback is cut too, the next one finishes",
        {"main": CUT, "spare": (FakeDeployment("fake-cut", info=PREFILL),), "last": (FakeDeployment("fake-continue"),)},
        cut_twice,
    ),
    Scenario(
        "cut-unstreamed",
        "cut; a caller that does not stream gets it whole",
        {"main": CUT, "spare": (FakeDeployment("fake-continue"),)},
        continues(stream=False),
    ),
    Scenario(
        "cut-neighbour",
        "cut; another deployment of the same group goes on",
        {"main": (*CUT, FakeDeployment("fake-continue"))},
        by_other_deployment,
    ),
    Scenario(
        "inband-late",
        "error inside the answer after 25 words: continued",
        {"main": (FakeDeployment("fake-inband-error-late?gap=5ms"),), "spare": (FakeDeployment("fake-continue"),)},
        continues(),
    ),
    Scenario("cut-alone", "cut with no fallback: an error, never a success", {"main": CUT}, is_interrupted()),
    Scenario(
        "cut-on-cut-error",
        "cut with on_cut: error: an error, the fallback is left alone",
        {
            "main": (FakeDeployment("fake-cut", params={"on_cut": "error"}),),
            "spare": (FakeDeployment("fake-continue"),),
        },
        is_interrupted(),
    ),
)
