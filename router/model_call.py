"""One call of the model, whichever deployments it takes: the attempt loop.

Text goes through as it comes. A failed attempt before it is invisible: it is retried, moved to the next deployment,
then along the fallbacks, as `policy.decide` says. After it, the next attempt is asked to go on from what was spoken,
and what it repeats is left out. Nothing that could not be continued is ever passed off as whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import structlog

from config.errors import (
    AllDeploymentsFailed,
    AnswerInterrupted,
    AttemptError,
    ContextWindowExceeded,
    CredentialsRefused,
    RateLimited,
    RequestError,
    RequestRejected,
    SwitchboardError,
)
from config.models.deployments import Deployment
from router.attempt import Exchange
from router.hedge import raced
from router.lanes.base import Chunk
from router.policy import Decision, GiveUp, NextGroup, RetryHere, decide
from router.providers.model_facts import supports_prefill
from router.stream.splice import Splice, continuation_messages

if TYPE_CHECKING:
    from router.failover import RoutedTurn

log = structlog.get_logger(__name__)


class ModelCall:
    """`messages` and `params` are OpenAI's. Read `chunks()` once."""

    def __init__(self, turn: RoutedTurn, messages: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> None:
        self._turn = turn
        self._messages = messages
        self._params = params
        self._route = turn.route(sum(_text_length(message.get("content")) for message in messages))
        self._spoken: list[str] = []
        self._refused_prefill: set[str] = set()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """See `RoutedTurn.acompletion`."""
        error: SwitchboardError | None = None
        while (step := self._route.next()) is not None:
            name, deployment = step
            retries = 0
            while True:
                try:
                    async with aclosing(self._try(name, deployment)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    return
                except (AttemptError, RequestError) as exc:
                    error = exc
                    _log_failure(deployment, exc)
                if isinstance(error, RequestRejected) and self._prefills(deployment):
                    # A 400 that may be about nothing but the prefill: the same deployment is asked without it.
                    self._refused_prefill.add(deployment.id)
                    continue
                if self._spoken and self._on_cut(deployment) == "error":
                    self._route.close()
                    break
                match self._decide(error, retries):
                    case RetryHere(delay) if not self._route.has_more or self._turn.may_try(deployment):
                        retries += 1
                        await self._turn.router.sleep(delay)
                        continue
                    case NextGroup(kind):
                        self._route.detour(kind)
                    case GiveUp():
                        self._route.close()
                break
        raise self._exhausted(error) from error

    def _decide(self, error: SwitchboardError, retries: int) -> Decision:
        turn = self._turn
        return decide(
            error,
            retries=retries,
            alternatives=self._route.has_more,
            remaining=turn.deadline - turn.router.clock(),
            settings=turn.registry.settings,
            random=turn.router.random,
        )

    def _exhausted(self, error: SwitchboardError | None) -> SwitchboardError:
        if self._spoken:
            return AnswerInterrupted("The answer broke off and could not be continued.")
        if isinstance(error, RequestError):
            return error
        if error is None and self._route.too_long:
            return ContextWindowExceeded("The messages are longer than any model here can read.", param="messages")
        after = error.retry_after if isinstance(error, RateLimited) else None
        known = self._turn.router.breakers.retry_after(self._route.seen)
        soonest = min((each for each in (after, known) if each is not None), default=None)
        return AllDeploymentsFailed("No provider could answer this request. Please try again.", retry_after=soonest)

    async def _try(self, name: str, deployment: Deployment) -> AsyncGenerator[Chunk, None]:
        """One attempt, or one and its hedge. What it says goes on where the caller's text ends."""
        spoken = "".join(self._spoken)
        splice = Splice(spoken, prefilled=self._prefills(deployment)) if spoken else None
        async with aclosing(self._exchanged(name, deployment, spoken)) as chunks:
            async for chunk in chunks:
                delta = chunk["choices"][0]["delta"] if chunk["choices"] else None
                text = delta.get("content") if delta else None
                if delta is None or (delta.get("reasoning_content") and not text):
                    yield chunk  # usage, or a thought before the words: neither says where they begin
                    continue
                if splice is None:
                    new = text or ""
                elif text:
                    new = splice.take(text)
                    chunk = _text(new)
                else:
                    new, splice = splice.end(), None
                    if new:
                        self._spoken.append(new)
                        yield _text(new)
                    new = ""
                if text and not new:
                    continue
                if new:
                    self._spoken.append(new)
                yield chunk

    def _exchanged(self, name: str, deployment: Deployment, spoken: str) -> AsyncGenerator[Chunk, None]:
        exchange = self._turn.exchange(name, deployment)
        first = self._sent(exchange, spoken)
        after = self._turn.registry.settings.hedge_after
        if after is None or spoken or deployment.info.get("bills_on_cancel"):
            return first
        return raced(first, lambda: self._hedge(exchange), after)

    def _hedge(self, late: Exchange) -> AsyncGenerator[Chunk, None] | None:
        """The deployment to race, when there is one and the budget allows it; a call is hedged at most once."""
        if late.record.first_token is not None or not self._turn.may_hedge():
            return None
        step = self._route.next(lambda each: not each.info.get("bills_on_cancel"))
        return self._sent(self._turn.exchange(*step), "") if step else None

    def _sent(self, exchange: Exchange, spoken: str) -> AsyncGenerator[Chunk, None]:
        messages = self._messages
        if spoken:
            messages = continuation_messages(messages, spoken, prefill=self._prefills(exchange.deployment))
        return exchange.chunks(messages, self._params, drop_params=self._turn.registry.settings.drop_params)

    def _prefills(self, deployment: Deployment) -> bool:
        return bool(self._spoken) and deployment.id not in self._refused_prefill and supports_prefill(deployment)

    def _on_cut(self, deployment: Deployment) -> str:
        return deployment.on_cut or self._turn.registry.settings.on_cut


def _text_length(content: Any) -> int:
    """Characters of text. An image is paid for by its size in pixels, so its data does not count."""
    if isinstance(content, list):
        return sum(len(part.get("text") or "") for part in content if isinstance(part, dict))
    return len(content or "")


def _text(content: str) -> Chunk:
    return {"choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": None}]}


def _log_failure(deployment: Deployment, error: AttemptError | RequestError) -> None:
    # A refused key is the operator's to mend, so it must not drown among the warnings.
    write = log.error if isinstance(error, CredentialsRefused) else log.warning
    write(
        "attempt_failed",
        deployment=deployment.id,
        error=error.code,
        status=getattr(error, "status", None),
        reason=str(error),
        provider_text=getattr(error, "provider_text", "")[:500] or None,
    )
