"""Status 200, and then something that is no good answer."""

from __future__ import annotations

from bench.exam.checks import answered, rescued
from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

OK = (Provider("fake-ok"),)


async def ends_promptly(at: Sitting) -> None:
    await answered()(at)
    at.within(at.heard[-1].seconds, 0, "the end")


ANSWERS = (
    Scenario("malformed", "malformed chunk: skipped", {"main": (Provider("fake-malformed"),), "spare": OK}, answered()),
    Scenario(
        "no-done",
        "no [DONE] but a finish reason: complete",
        {"main": (Provider("fake-no-done"),), "spare": OK},
        ends_promptly,
    ),
    Scenario(
        "inband",
        "error inside the answer before a token",
        {"main": (Provider("fake-inband-error"),), "spare": OK},
        rescued(main=2),
    ),
    Scenario("html", "a web page with status 200", {"main": (Provider("fake-html"),), "spare": OK}, rescued(main=2)),
    Scenario("empty", "an empty answer", {"main": (Provider("fake-empty"),), "spare": OK}, rescued(main=2)),
)
