"""The provider responds with status 200, but the answer is malformed, incomplete or missing."""

from __future__ import annotations

from bench.exam.checks import answers, falls_back
from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

OK = (FakeDeployment("fake-ok"),)


async def ends_promptly(run: ScenarioRun) -> None:
    await answers()(run)
    run.check_within(run.answers[-1].seconds, 0, "the end")


ANSWERS = (
    Scenario(
        "malformed", "malformed chunk: skipped", {"main": (FakeDeployment("fake-malformed"),), "spare": OK}, answers()
    ),
    Scenario(
        "no-done",
        "no [DONE] but a finish reason: complete",
        {"main": (FakeDeployment("fake-no-done"),), "spare": OK},
        ends_promptly,
    ),
    Scenario(
        "inband",
        "error inside the answer before a token",
        {"main": (FakeDeployment("fake-inband-error"),), "spare": OK},
        falls_back(main=2),
    ),
    Scenario(
        "html", "a web page with status 200", {"main": (FakeDeployment("fake-html"),), "spare": OK}, falls_back(main=2)
    ),
    Scenario("empty", "an empty answer", {"main": (FakeDeployment("fake-empty"),), "spare": OK}, falls_back(main=2)),
)
