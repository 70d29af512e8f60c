"""Runs one attempt: enforces timeouts, validates the answer, reports metrics."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from config.errors import AttemptError, ProviderTimeout, SwitchboardError
from config.models.deployments import Deployment
from router.history import host_of, messages_for, origin_provider
from router.lanes.base import Chunk, LaneRequest
from router.providers.prices import cost
from router.providers.supported_params import supported_params
from router.routed_turn import RoutedTurn
from router.stream.answer_collector import AnswerCollector
from router.stream.chunk_timeout import ChunkTimeout
from router.token_estimate import estimated_usage
from router.turn_record import AttemptRecord

MAX_NAME: Final = 64
"""Characters of a service tier or a fingerprint."""

_TOKENS: Final = ("content", "tool_calls", "reasoning_content", "reasoning")


class Attempt:
    """One exchange of a turn with `deployment`, reached under the model name `model`.

    `hedge` and `continues` are noted in its record.
    """

    def __init__(
        self, turn: RoutedTurn, model: str, deployment: Deployment, *, hedge: bool = False, continues: bool = False
    ) -> None:
        self._turn = turn
        self.deployment = deployment
        self.record = AttemptRecord(
            model,
            deployment.id,
            deployment.model,
            host_of(deployment.api_base) if deployment.api_base else None,
            step=turn.record.model_calls,
            hedge=hedge,
            continues=continues,
        )

    async def chunks(
        self, messages: Sequence[dict[str, Any]], params: Mapping[str, Any]
    ) -> AsyncGenerator[Chunk, None]:
        """Text as it comes, then complete tool calls, then the finish reason and the usage.

        Raises:
            AttemptError: the provider failed, timed out, or sent no valid answer; the breaker has counted it.
            RequestError: the provider, or the lane, refuses the request. That never counts.
        """
        router, deployment, record = self._turn.router, self.deployment, self.record
        params = supported_params(deployment, params)
        self._turn.record.attempts.append(record)
        trial = router.breakers.begin(deployment.breaker_id)
        router.rate_limits.count_request(deployment)
        stats, began = router.stats[deployment.id], router.clock()
        record.began = began
        request = LaneRequest(
            deployment,
            messages_for(deployment, messages, params, router.origins),
            params,
            timeout=deployment.timeouts.first_token_timeout,
            drop_params=self._turn.registry.settings.drop_params,
        )
        stats.in_flight += 1
        answer = AnswerCollector(origin_provider(deployment), has_stop=bool(params.get("stop")))
        timeout = ChunkTimeout()
        usage: Mapping[str, Any] | None = None
        try:
            async with aclosing(router.lanes.for_deployment(deployment).stream(request)) as stream:
                while (chunk := await self._next(stream, timeout, began)) is not None:
                    if (passed := answer.take(chunk)) is not None:
                        yield passed
            final = answer.final_chunks()
            router.origins.add(answer.call_ids, answer.origin)
            self._turn.serving = record.model, deployment
            for chunk in final:
                yield chunk
            record.outcome, record.finish_reason = "ok", answer.finish_reason
            trial.succeeded()
            stats.answered(record.first_token or router.clock() - began)
            usage = self._usage(answer, request)
            if answer.usage is None:
                yield {"choices": [], "usage": usage}
        except AttemptError as exc:
            if exc.counts:
                trial.failed(exc)
            record.failed(exc)
            stats.last_error = exc.code
            usage = self._usage(answer, request)
            if answer.has_text and usage:
                # Another attempt continues the text, and the turn's usage is that of both.
                yield {"choices": [], "usage": usage}
            raise
        except SwitchboardError as exc:
            record.failed(exc)
            raise
        finally:
            timeout.close()
            trial.cancelled()  # has no effect after any other end
            stats.in_flight -= 1
            record.seconds = router.clock() - began
            self._count(usage or self._usage(answer, request), params)

    async def _next(self, stream: AsyncIterator[Chunk], timeout: ChunkTimeout, began: float) -> Chunk | None:
        """The next chunk, within the first-token timeout or, after the first token, the stall timeout."""
        clock, timeouts = self._turn.router.clock, self.deployment.timeouts
        record, turn = self.record, self._turn.record
        waiting = clock()
        has_begun = record.first_token is not None
        seconds = timeouts.stall_timeout if has_begun else began + timeouts.first_token_timeout - waiting
        try:
            chunk = await timeout.next(stream, seconds)
        except TimeoutError as exc:
            raise ProviderTimeout("the answer stalled" if has_begun else "no first token in time") from exc
        finally:
            now = clock()
            turn.provider_seconds += now - waiting
        if chunk is not None and not has_begun and has_token(chunk):
            record.first_token = now - began
            record.answered_as = _name(chunk.get("model"))
            turn.served_model, turn.served_deployment = record.model, record.deployment
        if chunk is not None:
            record.system_fingerprint = _name(chunk.get("system_fingerprint")) or record.system_fingerprint
            record.service_tier = _name(chunk.get("service_tier")) or record.service_tier
        return chunk

    def _usage(self, answer: AnswerCollector, request: LaneRequest) -> Mapping[str, Any] | None:
        """What the provider reports, or else an estimate; None if it has not answered anything.

        A provider that is cut or left in mid-answer charges for it all the same, and has no chance to say how much.
        """
        record = self.record
        if answer.usage is not None or (record.first_token is None and record.outcome != "ok"):
            return answer.usage
        return estimated_usage(request.messages, request.params.get("tools"), answer.answered)

    def _count(self, usage: Mapping[str, Any] | None, params: Mapping[str, Any]) -> None:
        record = self.record
        if usage is None:
            record.cost = 0.0
            return
        record.input_tokens, record.output_tokens = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        self._turn.router.rate_limits.count_tokens(self.deployment, record.input_tokens + record.output_tokens)
        record.cost = cost(self.deployment, usage, record.service_tier or _name(params.get("service_tier")))


def has_token(chunk: Chunk) -> bool:
    """Whether a chunk carries text, a tool call or reasoning. Reasoning counts: the provider is working."""
    return any(choice["delta"].get(name) for choice in chunk["choices"] for name in _TOKENS)


def _name(value: object) -> str | None:
    """`value` if it can be a name of OpenAI's. Callers and providers send it, and prices are cached by it."""
    return value if isinstance(value, str) and value.isascii() and len(value) <= MAX_NAME else None
