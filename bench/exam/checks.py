"""Checks that several scenarios share."""

from __future__ import annotations

from bench.exam.scenario import Check
from bench.exam.scenario_run import ScenarioRun
from config.models.deployments import Timeouts
from router.fake.sample_text import ANSWER, WORDS_BEFORE_CUT


def falls_back(*, main: int = 1, to: str = "spare", after: str | None = None) -> Check:
    """The main group gets `main` requests, then the group `to` answers, `after` this timeout if one is named."""

    async def check(run: ScenarioRun) -> None:
        answer = await run.ask()
        run.check_whole(answer, group=to)
        run.check_requests("main", main)
        run.check_requests(to, 1)
        run.check_attempts(answer, main + 1)
        run.check_within(answer.first_token, getattr(run.profile.timeouts, after) if after else _max_backoff(main))

    return check


def answers(*, main: int = 1) -> Check:
    """The main group answers the last of `main` requests."""

    async def check(run: ScenarioRun) -> None:
        answer = await run.ask()
        run.check_whole(answer)
        run.check_requests("", main)
        run.check_attempts(answer, main)
        run.check_within(answer.first_token, _max_backoff(main))

    return check


def continues(*, spare: int = 1, after: str | None = None, stream: bool = True) -> Check:
    """The answer breaks after 25 words, and the spare group continues it."""

    async def check(run: ScenarioRun) -> None:
        answer = await run.ask(stream=stream)
        # The headers of a stream go out with its first token, those of a plain answer after the last.
        run.check_whole(answer, group="main" if stream else "spare")
        run.check_requests("main", 1)
        run.check_requests("spare", spare)
        timeouts: Timeouts = run.profile.timeouts
        run.check_within(answer.seconds, getattr(timeouts, after) if after else 0, "the end")

    return check


def is_interrupted() -> Check:
    """Nothing can continue the answer: the caller gets its first words and an error."""

    async def check(run: ScenarioRun) -> None:
        answer = await run.ask()
        run.check_error(answer, 502, "answer_interrupted")
        run.require(ANSWER.startswith(answer.text), f"words were added or lost: {answer.text!r}")
        words = len(answer.text.split())
        run.expect(words == WORDS_BEFORE_CUT, f"the answer has {words} words, not {WORDS_BEFORE_CUT}")

    return check


def is_rejected(status: int, code: str, *, says: str = "", spare: int = 0) -> Check:
    """The caller gets this error after one attempt at the main group, and `spare` at the spare group."""

    async def check(run: ScenarioRun) -> None:
        answer = await run.ask()
        run.check_error(answer, status, code)
        run.require(answer.status == status, f"the status is {answer.status}, not {status}")
        run.check_requests("main", 1)
        run.check_requests("spare", spare)
        run.check_within(answer.seconds, 0, "the error")
        run.expect(says in str(answer.error), f"the error does not contain {says!r}: {answer.error}")

    return check


def _max_backoff(attempts: int) -> float:
    """The greatest total pause between this number of attempts at one deployment, in seconds."""
    return sum(min(2.0, 0.25 * float(2**number)) for number in range(attempts - 1))
