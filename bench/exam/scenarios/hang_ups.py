"""The caller hangs up: the provider's line closes, and nobody blames the provider."""

from __future__ import annotations

from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

OK = (Provider("fake-ok"),)
PATIENT = {"first_token_timeout": 60, "stall_timeout": 60}


async def before_a_token(at: Sitting) -> None:
    await at.hang_up(lambda _: bool(at.log("main")))
    await at.closed("main")
    at.asked("spare", 0)


async def in_the_middle(at: Sitting) -> None:
    await at.hang_up(lambda listening: listening.is_set())
    await at.closed("main")
    at.asked("spare", 0)


async def while_it_is_continued(at: Sitting) -> None:
    await at.hang_up(lambda _: bool(at.log("spare")))
    await at.closed("spare")


async def uncounted(at: Sitting) -> None:
    """More hang-ups than a breaker allows failures, before a token and in the middle; then one turn to its end."""
    for number in range(2 * at.profile.settings.allowed_fails):
        asked = len(at.log("main"))
        if number % 2:
            await at.hang_up(lambda listening: listening.is_set())
        else:
            await at.hang_up(lambda _, asked=asked: len(at.log("main")) > asked)  # type: ignore[misc]
    at.whole(await at.ask())
    at.asked("spare", 0)


HANG_UPS = (
    Scenario(
        "hang-up-early",
        "hang-up before the first token: the line closes",
        {"main": (Provider("fake-silent", params=PATIENT),), "spare": OK},
        before_a_token,
    ),
    Scenario(
        "hang-up-middle",
        "hang-up in mid-answer: the line closes",
        {"main": (Provider("fake-ok?gap=100ms", params=PATIENT),), "spare": OK},
        in_the_middle,
    ),
    Scenario(
        "hang-up-continued",
        "hang-up while a cut answer is continued",
        {"main": (Provider("fake-cut"),), "spare": (Provider("fake-silent", params=PATIENT),)},
        while_it_is_continued,
    ),
    Scenario(
        "hang-ups-uncounted",
        "hang-ups never count against a provider",
        {"main": (Provider("fake-ok?first=100ms&gap=20ms", params=PATIENT),), "spare": OK},
        uncounted,
    ),
)
