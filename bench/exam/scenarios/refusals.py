"""The provider refuses, or is not there."""

from __future__ import annotations

from bench.exam.checks import answered, rejected, rescued
from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

OK = (Provider("fake-ok"),)


async def waited_for(at: Sitting) -> None:
    """A short Retry-After with nobody else to ask is waited for, to the second."""
    at.whole(await at.ask())
    at.asked("main", 2)
    if len(log := at.log("main")) > 1:
        at.require(log[1].time - log[0].time >= 0.99, "the provider was asked again before the time that it named")


async def left_alone(at: Sitting) -> None:
    """The provider named a time: somebody else answers at once, and it is not asked again before."""
    for _ in range(3):
        heard = await at.ask()
        at.whole(heard, by="spare")
        at.within(heard.first, 0)
    at.asked("main", 1)


async def unreachable(at: Sitting) -> None:
    """Nobody logs what came to a closed port: the header counts the two attempts and the fallback's."""
    heard = await at.ask()
    at.whole(heard, by="spare")
    at.asked("spare", 1)
    at.attempts(heard, 3)
    at.within(heard.first, 0)


async def flapping(at: Sitting) -> None:
    for _ in range(4):
        heard = await at.ask()
        at.whole(heard, by="spare" if heard.model != at.model else "main")
    at.require(len(at.log("main")) <= 8, f"the provider was asked {len(at.log('main'))} times in 4 turns")


async def wrong_key(at: Sitting) -> None:
    """The operator has to mend it: nobody tries again before the rest is over."""
    for _ in range(2):
        at.whole(await at.ask(), by="spare")
    at.asked("main", 1)


async def too_long(at: Sitting) -> None:
    heard = await at.ask()
    at.whole(heard, by="context")
    at.asked("main", 1)
    at.asked("spare", 0)
    at.asked("context", 1)


async def refused_content(at: Sitting) -> None:
    heard = await at.ask()
    at.whole(heard, by="policy")
    at.asked("main", 1)
    at.asked("spare", 0)


FILTER, CONTEXT = (Provider("fake-filter"),), (Provider("fake-context"),)

REFUSALS = (
    Scenario(
        "429-short",
        "429 with a short Retry-After, nobody else",
        {"main": (Provider("fake-429-retry-after"),)},
        waited_for,
    ),
    Scenario(
        "429-long",
        "429 with a long Retry-After: the fallback at once",
        {"main": (Provider("fake-429-retry-after-30"),), "spare": OK},
        left_alone,
    ),
    Scenario(
        "429-bare", "429 without a time: backed off", {"main": (Provider("fake-429"),), "spare": OK}, rescued(main=3)
    ),
    Scenario(
        "500-once",
        "500 once: the same provider answers",
        {"main": (Provider("fake-500-once"),), "spare": OK},
        answered(main=2),
    ),
    Scenario("503", "503 always: the fallback", {"main": (Provider("fake-503"),), "spare": OK}, rescued(main=3)),
    Scenario("reset", "reset before the answer", {"main": (Provider("fake-reset"),), "spare": OK}, rescued(main=2)),
    Scenario("refused", "connection refused", {"main": (Provider("refused"),), "spare": OK}, unreachable),
    Scenario(
        "flap", "a provider that fails every other time", {"main": (Provider("fake-flap"),), "spare": OK}, flapping
    ),
    Scenario("401", "401: the next deployment at once", {"main": (Provider("fake-401"),), "spare": OK}, wrong_key),
    Scenario("404", "404, no such model: the next at once", {"main": (Provider("fake-404"),), "spare": OK}, wrong_key),
    Scenario(
        "context",
        "messages too long: context_window_fallbacks",
        {"main": CONTEXT, "spare": OK, "context": OK},
        too_long,
    ),
    Scenario(
        "context-alone",
        "messages too long, nobody else: 400",
        {"main": CONTEXT},
        rejected(400, "context_length_exceeded"),
    ),
    Scenario(
        "filter",
        "content refused: 400 with the category, no fallback",
        {"main": FILTER, "spare": OK},
        rejected(400, "content_policy_violation", says="violence"),
    ),
    Scenario(
        "filter-policy",
        "content refused: content_policy_fallbacks",
        {"main": FILTER, "spare": OK, "policy": OK},
        refused_content,
    ),
    Scenario(
        "400",
        "the request is wrong: 400 at once",
        {"main": (Provider("fake-400"),), "spare": OK},
        rejected(400, "request_rejected"),
    ),
)
