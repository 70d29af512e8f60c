"""What many scenarios ask for in the same words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bench.exam.sitting import Sitting
from config.models.deployments import Timeouts
from router.fake.sample_text import ANSWER, WORDS_BEFORE_CUT

Sit = Callable[[Sitting], Awaitable[None]]


def rescued(*, main: int = 1, by: str = "spare", waits: str | None = None) -> Sit:
    """The first provider is asked `main` times, then the other group answers; `waits` names the timeout that passes."""

    async def sit(at: Sitting) -> None:
        heard = await at.ask()
        at.whole(heard, by=by)
        at.asked("main", main)
        at.asked(by, 1)
        at.attempts(heard, main + 1)
        at.within(heard.first, getattr(at.profile.timeouts, waits) if waits else _backoffs(main))

    return sit


def answered(*, main: int = 1) -> Sit:
    """The provider is asked `main` times and answers itself."""

    async def sit(at: Sitting) -> None:
        heard = await at.ask()
        at.whole(heard)
        at.asked("", main)
        at.attempts(heard, main)
        at.within(heard.first, _backoffs(main))

    return sit


def continued(*, spare: int = 1, waits: str | None = None, stream: bool = True) -> Sit:
    """The answer breaks after 25 words, and the caller hears all 60 of them once."""

    async def sit(at: Sitting) -> None:
        heard = await at.ask(stream=stream)
        # A stream's head goes out with its first token, that of an unstreamed answer after the last.
        at.whole(heard, by="main" if stream else "spare")
        at.asked("main", 1)
        at.asked("spare", spare)
        timeouts: Timeouts = at.profile.timeouts
        at.within(heard.seconds, getattr(timeouts, waits) if waits else 0, "the end")

    return sit


def interrupted() -> Sit:
    """Nobody can go on: the caller hears what was said, and that it is not the whole."""

    async def sit(at: Sitting) -> None:
        heard = await at.ask()
        at.refused(heard, 502, "answer_interrupted")
        at.require(ANSWER.startswith(heard.text), f"words were added or lost: {heard.text!r}")
        at.expect(len(heard.text.split()) == WORDS_BEFORE_CUT, f"{len(heard.text.split())} words were heard, not 25")

    return sit


def rejected(status: int, code: str, *, says: str = "") -> Sit:
    """The request is wrong everywhere: one attempt, one clear error at once, nobody else is asked."""

    async def sit(at: Sitting) -> None:
        heard = await at.ask()
        at.refused(heard, status, code)
        at.require(heard.status == status, f"the status is {heard.status}, not {status}")
        at.asked("main", 1)
        at.asked("spare", 0)
        at.within(heard.seconds, 0, "the error")
        at.expect(says in str(heard.error), f"the error does not say {says!r}: {heard.error}")

    return sit


def _backoffs(attempts: int) -> float:
    """The longest that the pauses between the attempts at one provider may add up to."""
    return sum(min(2.0, 0.25 * 2**number) for number in range(attempts - 1))
