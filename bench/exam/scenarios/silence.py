"""The provider is reached, and says nothing or says it late."""

from __future__ import annotations

from bench.exam.checks import continued, rescued
from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

OK = (Provider("fake-ok"),)


async def in_time(at: Sitting) -> None:
    heard = await at.ask()
    at.whole(heard)
    at.asked("main", 1)
    at.asked("spare", 0)


SILENCE = (
    Scenario(
        "silent",
        "silent provider: asked once, the fallback answers in time",
        {"main": (Provider("fake-silent"),), "spare": OK},
        rescued(waits="first_token_timeout"),
    ),
    Scenario(
        "late",
        "head at once, first token far too late",
        {"main": (Provider("fake-slow-first-token"),), "spare": OK},
        rescued(waits="first_token_timeout"),
    ),
    Scenario(
        "role-only",
        "stall before a token: a role is not a word",
        {"main": (Provider("fake-stall-early"),), "spare": OK},
        rescued(waits="first_token_timeout"),
    ),
    Scenario(
        "patience",
        "a first token that is slow but in time is waited for",
        {"main": (Provider("fake-ok?first=200ms"),), "spare": OK},
        in_time,
    ),
    Scenario(
        "stall",
        "stall after 25 of 60 words: continued",
        {"main": (Provider("fake-stall"),), "spare": (Provider("fake-continue"),)},
        continued(waits="stall_timeout"),
    ),
)
