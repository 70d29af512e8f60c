"""The attempt loop: one model call, on as many deployments as it takes.

Text is passed on as it arrives. A failed attempt before the first text is invisible: `policy.decide` says whether it is
retried, moved to the next deployment or to a fallback group. After the first text, the next attempt is asked to
continue it, and what it repeats is left out. An answer that cannot be continued ends in an error, never as complete.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import structlog

from config.errors import (
    AllDeploymentsFailed,
    AnswerCut,
    AnswerInterrupted,
    AttemptError,
    ContextWindowExceeded,
    CredentialsRefused,
    RateLimited,
    RateLimitReached,
    RequestError,
    RequestRejected,
    SwitchboardError,
)
from config.log_content import quoted
from config.models.deployments import Deployment
from router.attempt import Attempt
from router.attempt_plan import AttemptPlan
from router.hedge import raced
from router.lanes.base import Chunk
from router.policy import Decision, GiveUp, NextGroup, RetryHere, decide
from router.providers.model_facts import supports_prefill
from router.routed_turn import RoutedTurn
from router.stream.json_splice import JsonSplice, is_json
from router.stream.splice import Splice, continuation_messages

log = structlog.get_logger(__name__)

ADDRESS: Final = re.compile(r"\b(?:[a-z][a-z0-9+.-]*://|data:)[^\s\"'<>]+", re.IGNORECASE)

MAX_LOGGED_TEXT: Final = 500


class ModelCall:
    """`messages` and `params` are OpenAI's. Read `chunks()` once."""

    def __init__(self, turn: RoutedTurn, messages: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> None:
        turn.record.model_calls += 1
        self._turn = turn
        self._messages = messages
        self._params = params
        self._plan = AttemptPlan(turn, sum(_text_length(message.get("content")) for message in messages))
        self._spoken: list[str] = []
        self._splice: Splice | JsonSplice | None = None
        self._refuses = False
        self._unfit: AnswerCut | None = None
        """Why the whole answer of an attempt does not continue what was spoken. It is raised after its usage."""
        self._refused_prefill: set[str] = set()
        self._failures: dict[tuple[str, str], SwitchboardError] = {}

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """OpenAI chunks as dicts. Closing the generator closes everything down to the provider's connection.

        Raises, while it is read:
            RequestError: the request is wrong: our checks say so, or every provider that was asked.
            AllDeploymentsFailed: nothing is left to try. A RateLimitReached if a provider's rate limit is reached.
            AnswerInterrupted: the answer broke off after its first text, and nothing could continue it.
        """
        error: SwitchboardError | None = None
        while (step := self._plan.next()) is not None:
            model, deployment = step
            retries = 0
            while True:
                try:
                    async with aclosing(self._attempt(model, deployment)) as chunks:
                        async for chunk in chunks:
                            for each in self._joined(chunk):
                                yield each
                    if self._unfit is None:
                        return
                    self._turn.record.attempts[-1].failed(self._unfit)
                    raise self._unfit
                except (AttemptError, RequestError) as exc:
                    error = self._failures[model, deployment.id] = exc
                    _log_failure(deployment, exc)
                if isinstance(error, RequestRejected) and self._prefills(deployment):
                    # The 400 may be about the prefill only: ask the same deployment without it.
                    self._refused_prefill.add(deployment.id)
                    continue
                if self._spoken and self._on_cut(deployment) == "error":
                    self._plan.stop()
                    break
                match self._decide(error, retries):
                    case RetryHere(delay) if not self._plan.has_more or self._turn.router.may_try(deployment):
                        retries += 1
                        await self._turn.router.sleep(delay)
                        continue
                    case NextGroup(kind):
                        self._plan.use_only_fallbacks(kind)
                    case GiveUp():
                        self._plan.stop()
                break
        raise self._final_error(error) from error

    def _attempt(self, model: str, deployment: Deployment) -> AsyncGenerator[Chunk, None]:
        """One attempt, or an attempt and its hedge."""
        spoken = "".join(self._spoken)
        splice = JsonSplice if is_json(spoken, self._params) else Splice
        self._splice = splice(spoken, prefilled=self._prefills(deployment)) if spoken else None
        self._unfit = None
        attempt = Attempt(self._turn, model, deployment, continues=bool(spoken))
        messages = self._messages
        if spoken:
            messages = continuation_messages(messages, spoken, prefill=self._prefills(deployment))
        chunks = attempt.chunks(messages, self._params)
        after = self._turn.registry.settings.hedge_after
        if after is None or spoken or deployment.info.get("bills_on_cancel"):
            return chunks
        return raced(chunks, lambda: self._hedge(attempt), after)

    def _hedge(self, late: Attempt) -> AsyncGenerator[Chunk, None] | None:
        """A second attempt to race against `late`, if there is a deployment and the budget allows it."""
        if late.record.first_token is not None or not self._turn.may_hedge():
            return None
        step = self._plan.next(lambda each: not each.info.get("bills_on_cancel"))
        return Attempt(self._turn, *step, hedge=True).chunks(self._messages, self._params) if step else None

    def _joined(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunk as it follows what was spoken: without the words that a continuation repeats."""
        delta = chunk["choices"][0]["delta"] if chunk["choices"] else None
        text = delta.get("content") if delta else None
        if self._splice is None or delta is None or (delta.get("reasoning_content") and not text):
            # Usage and reasoning say nothing about where the words begin.
            if text:
                self._spoken.append(text)
            yield chunk
            return
        if text:
            self._refuses = bool(delta.get("refusal"))
            new = self._splice.take(text)
        else:
            ended_early = chunk["choices"][0]["finish_reason"] in ("length", "content_filter")
            splice, self._splice = self._splice, None
            try:
                new = splice.end(complete=not ended_early)
            except AnswerCut as exc:
                self._unfit = exc
                return
        if new:
            self._spoken.append(new)
            yield _text(new, self._refuses)
        if not text:
            yield chunk

    def _decide(self, error: SwitchboardError, retries: int) -> Decision:
        turn = self._turn
        return decide(
            error,
            retries=retries,
            alternatives=self._plan.has_more,
            remaining=turn.deadline - turn.router.clock(),
            settings=turn.registry.settings,
            random=turn.router.random,
        )

    def _final_error(self, error: SwitchboardError | None) -> SwitchboardError:
        """The caller's error when nothing is left; `error` is the last failure."""
        if self._spoken:
            return AnswerInterrupted("The answer broke off and could not be continued.")
        if error is None and self._plan.too_long:
            return ContextWindowExceeded()
        failures = list(self._failures.values())
        if failures and all(isinstance(each, RequestError) for each in failures):
            return failures[0]
        if isinstance(error, RequestError) and not isinstance(error, RequestRejected):
            return error
        limits = [each for each in failures if isinstance(each, RateLimited)]
        known = self._turn.router.breakers.retry_after(self._plan.seen)
        times = [known, *(each.retry_after for each in limits)]
        soonest = min((each for each in times if each is not None), default=None)
        if limits:
            return RateLimitReached("The rate limit of this model is reached. Please try again.", retry_after=soonest)
        return AllDeploymentsFailed("No provider could answer this request. Please try again.", retry_after=soonest)

    def _prefills(self, deployment: Deployment) -> bool:
        return bool(self._spoken) and deployment.id not in self._refused_prefill and supports_prefill(deployment)

    def _on_cut(self, deployment: Deployment) -> str:
        return deployment.on_cut or self._turn.registry.settings.on_cut


def _text_length(content: Any) -> int:
    """Characters of text. Images are priced by pixels, so their data does not count."""
    if isinstance(content, list):
        return sum(len(part.get("text") or "") for part in content if isinstance(part, dict))
    return len(content or "")


def _text(content: str, refuses: bool) -> Chunk:
    delta = {"role": "assistant", "content": content} | ({"refusal": content} if refuses else {})
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _without_addresses(text: str) -> str:
    """Providers quote the addresses of a caller's images, which may give access to them, and the images themselves."""
    return ADDRESS.sub("(address)", text)


def _log_failure(deployment: Deployment, error: AttemptError | RequestError) -> None:
    # Only the operator can fix a refused key, so it must stand out among the warnings.
    write = log.error if isinstance(error, CredentialsRefused) else log.warning
    write(
        "attempt_failed",
        deployment=deployment.id,
        error=error.code,
        status=getattr(error, "status", None),
        # The fake model quotes its script, which is the caller's message.
        reason=quoted(str(error)) if deployment.model.startswith("fake/") else str(error),
        provider_text=quoted(_without_addresses(getattr(error, "provider_text", "")[:MAX_LOGGED_TEXT])),
    )
