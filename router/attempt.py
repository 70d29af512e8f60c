"""One exchange with one deployment: watched for silence, judged for being an answer, and told to whoever counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from config.errors import AttemptError, ProviderTimeout, SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Attempt, Chunk
from router.providers.model_facts import cost
from router.stream.answer_collector import AnswerCollector
from router.stream.chunk_timeout import ChunkTimeout
from router.turn_record import AttemptRecord, TurnRecord

if TYPE_CHECKING:
    from router.failover import FailoverRouter


class Exchange:
    """One attempt of a turn at `deployment`, which the model's name `name` led to."""

    def __init__(self, router: FailoverRouter, turn: TurnRecord, name: str, deployment: Deployment) -> None:
        self._router = router
        self._turn = turn
        self.deployment = deployment
        self.record = AttemptRecord(name, deployment.id)

    async def chunks(
        self, messages: Sequence[dict[str, Any]], params: Mapping[str, Any], *, drop_params: bool
    ) -> AsyncGenerator[Chunk, None]:
        """Text as it comes, then the whole tool calls, then the finish and the usage.

        Raises:
            AttemptError: the provider failed, was silent, or its answer is none; the breaker has counted it.
            RequestError: the provider says that the request is wrong.
        """
        router, deployment = self._router, self.deployment
        self._turn.attempts.append(self.record)
        trial = router.breakers.begin(deployment.id)
        router.rate_limits.count_request(deployment)
        stats, began = router.stats[deployment.id], router.clock()
        attempt = Attempt(
            deployment, list(messages), params, timeout=deployment.limits.first_token_timeout, drop_params=drop_params
        )
        stats.in_flight += 1
        answer = AnswerCollector()
        try:
            stream = router.lanes.for_deployment(deployment).stream(attempt)
            async with aclosing(stream), aclosing(self._watched(stream)) as chunks:
                async for chunk in chunks:
                    if (kept := answer.take(chunk)) is not None:
                        yield kept
            for chunk in answer.final_chunks():
                self._count(chunk.get("usage"))
                yield chunk
            self.record.outcome = "ok"
            trial.succeeded()
            stats.answered(self.record.first_token or router.clock() - began)
        except AttemptError as exc:
            trial.failed(exc)
            self.record.outcome = stats.last_error = exc.code
            if (paid := answer.paid) is not None:
                # Another attempt goes on with the text, and the turn's usage is what both cost.
                self._count(paid["usage"])
                yield paid
            raise
        except SwitchboardError as exc:
            self.record.outcome = exc.code
            raise
        finally:
            trial.cancelled()  # after any other end it changes nothing
            stats.in_flight -= 1
            self.record.seconds = router.clock() - began

    async def _watched(self, stream: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        """The lane's chunks, with the first-token and the stall timeout over the waiting for them."""
        clock, limits, record = self._router.clock, self.deployment.limits, self.record
        began = waiting = clock()
        patience = ChunkTimeout()
        try:
            while True:
                speaking = record.first_token is not None
                seconds = limits.stall_timeout if speaking else began + limits.first_token_timeout - waiting
                try:
                    chunk = await patience.next(stream, seconds)
                except TimeoutError as exc:
                    raise ProviderTimeout("the answer stalled" if speaking else "no first token in time") from exc
                finally:
                    now = clock()
                    self._turn.provider_seconds += now - waiting
                if chunk is None:
                    return
                if not speaking and has_token(chunk):
                    record.first_token = now - began
                    self._turn.served_model, self._turn.served_deployment = record.model, record.deployment
                yield chunk
                waiting = clock()
        finally:
            patience.close()

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        if not usage:
            return
        sent, answered = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        self._router.rate_limits.count_tokens(self.deployment, sent + answered)
        self.record.cost = cost(self.deployment, sent, answered)


def has_token(chunk: Chunk) -> bool:
    """Whether a chunk says something. A model that thinks aloud is alive, though nobody hears its reasoning."""
    return any(
        choice["delta"].get("content") or choice["delta"].get("tool_calls") or choice["delta"].get("reasoning_content")
        for choice in chunk["choices"]
    )
