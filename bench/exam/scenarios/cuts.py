"""The answer breaks after 25 of its 60 words, which the caller has heard."""

from __future__ import annotations

from bench.exam.checks import Sit, continued, interrupted
from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

CUT = (Provider("fake-cut?gap=5ms"),)
PREFILL = {"supports_assistant_prefill": True}


async def cut_twice(at: Sitting) -> None:
    at.whole(await at.ask())
    at.asked("main", 1)
    at.asked("spare", 1)
    at.asked("last", 1)


async def by_neighbour(at: Sitting) -> None:
    at.whole(await at.ask())
    at.asked("main1", 1)
    at.asked("main2", 1)


def continued_after(role: str) -> Sit:
    """Continued, by a request whose last message is that role's."""

    async def sit(at: Sitting) -> None:
        await continued()(at)
        ends = [each.body["messages"][-1]["role"] for each in at.log("spare")]
        at.expect(ends == [role], f"the last messages that were sent are of {ends}")

    return sit


CUTS = (
    Scenario(
        "cut-prefill",
        "cut; the fallback goes on from a prefill",
        {"main": CUT, "spare": (Provider("fake-continue", info=PREFILL),)},
        continued_after("assistant"),
    ),
    Scenario(
        "cut-asked",
        "cut; the fallback is asked in words and goes on",
        {"main": CUT, "spare": (Provider("fake-continue"),)},
        continued_after("user"),
    ),
    Scenario(
        "cut-restart",
        "cut; the fallback begins again",
        {"main": CUT, "spare": (Provider("fake-restart"),)},
        continued(),
    ),
    Scenario(
        "cut-restart-prefill",
        "cut; the fallback ignores the prefill and begins again",
        {"main": CUT, "spare": (Provider("fake-restart", info=PREFILL),)},
        continued(),
    ),
    Scenario(
        "cut-think",
        "cut; the fallback thinks aloud and begins again",
        {"main": CUT, "spare": (Provider("fake-think"),)},
        continued(),
    ),
    Scenario(
        "cut-overlap",
        "cut; the fallback repeats the last words",
        {"main": CUT, "spare": (Provider("fake-overlap"),)},
        continued(),
    ),
    Scenario(
        "cut-no-prefill",
        "cut; the fallback refuses a prefill and is asked without it",
        {"main": CUT, "spare": (Provider("fake-no-prefill", info=PREFILL),)},
        continued(spare=2),
    ),
    Scenario(
        "cut-twice",
        "cut; the fallback is cut too, the next one finishes",
        {"main": CUT, "spare": (Provider("fake-cut", info=PREFILL),), "last": (Provider("fake-continue"),)},
        cut_twice,
    ),
    Scenario(
        "cut-unstreamed",
        "cut; a caller that does not stream gets it whole",
        {"main": CUT, "spare": (Provider("fake-continue"),)},
        continued(stream=False),
    ),
    Scenario(
        "cut-neighbour",
        "cut; another deployment of the same group goes on",
        {"main": (*CUT, Provider("fake-continue"))},
        by_neighbour,
    ),
    Scenario(
        "inband-late",
        "error inside the answer after 25 words: continued",
        {"main": (Provider("fake-inband-error-late?gap=5ms"),), "spare": (Provider("fake-continue"),)},
        continued(),
    ),
    Scenario("cut-alone", "cut with no fallback: an error, never a success", {"main": CUT}, interrupted()),
    Scenario(
        "cut-on-cut-error",
        "cut with on_cut: error: an error, the fallback is left alone",
        {"main": (Provider("fake-cut", params={"on_cut": "error"}),), "spare": (Provider("fake-continue"),)},
        interrupted(),
    ),
)
