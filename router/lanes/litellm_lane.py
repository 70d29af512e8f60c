"""The lane for every provider that LiteLLM supports, through LiteLLM's own client. Slower than the OpenAI lane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import Any, Final
from uuid import uuid4

import openai

from config.errors import AnswerCut, ProviderTimeout
from config.models.deployments import Deployment
from router.lanes.base import Chunk, LaneRequest
from router.lanes.openai_fields import token_counts, tool_call_fragment
from router.lanes.remote_media import refuse_what_litellm_fetches
from router.lanes.request_params import completion_arguments
from router.providers.litellm_import import litellm
from router.providers.model_facts import describe_to_litellm
from router.providers.provider_errors import from_litellm

LITELLM_TIMEOUT: Final = 3600.0
"""Seconds: longer than any timeout of ours, so that the lane and the router alone decide when an attempt times out."""

_ANSWERS_WHOLE: Final = ("cohere/", "cohere_chat/")
"""LiteLLM 1.106 cannot read the stream of Cohere's chat API, but it reads a whole answer."""
_NO_HEAD: Final = "the provider did not begin to answer in time"
_CONTENT_FIELDS: Final = ("content", "tool_calls", "function_call", "reasoning_content", "thinking_blocks")


class LiteLLMLane:
    """Calls `litellm.acompletion` and yields its chunks as plain dicts."""

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        """Yields the answer's chunks; see `Lane.stream`."""
        provider = await _call(request)
        begun = False
        try:
            while (chunk := await _next(provider, request.timeout)) is not None:
                plain = _plain(chunk)
                if not _has_content(plain):
                    continue
                if _finish_reason(plain) and not _provider_finished(provider):
                    break
                begun = True
                yield plain
            if begun and not _provider_finished(provider):
                raise AnswerCut("the provider's answer ended without a finish reason")
        finally:
            await provider.aclose()

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Make LiteLLM load the modules that its first call would load, which takes two seconds."""
        # The client imports 450 modules when first used. Import them in a thread, since turns may be running.
        await asyncio.to_thread(import_module, "openai.resources")
        ping = {"model": "openai/gpt-4o-mini", "api_key": "none", "messages": [{"role": "user", "content": "ping"}]}
        answer = await litellm.acompletion(**ping, stream=True, mock_response="pong")
        async for _ in answer:
            pass

    async def aclose(self) -> None:
        """Close LiteLLM's open connections."""
        for client in litellm.in_memory_llm_clients_cache.cache_dict.values():
            if isinstance(client, openai.AsyncOpenAI):  # LiteLLM closes the others, but not these
                with suppress(RuntimeError):  # its event loop is closed, and so are its connections
                    await client.close()
        await litellm.close_litellm_async_clients()
        if shared := vars(litellm).get("module_level_aclient"):  # created when first used; it can open again
            with suppress(RuntimeError):
                await shared.close()
        litellm.in_memory_llm_clients_cache.flush_cache()


async def _call(request: LaneRequest) -> Any:
    """Send the request and wait for the response headers."""
    prepared: list[bool] = []

    def note(details: Mapping[str, Any]) -> None:
        # LiteLLM calls this when the request is ready to be sent, and at other times too.
        if details.get("log_event_type") == "pre_api_call":
            prepared.append(True)

    refuse_what_litellm_fetches(request.deployment, request.messages)
    try:
        async with asyncio.timeout(request.timeout):
            return await litellm.acompletion(**_arguments(request), logger_fn=note)
    except TimeoutError as exc:
        raise ProviderTimeout(_NO_HEAD) from exc
    except Exception as exc:  # any error of LiteLLM is mapped and raised
        raise from_litellm(exc, prepared=bool(prepared)) from exc


def _arguments(request: LaneRequest) -> dict[str, Any]:
    overrides = {
        "num_retries": 0,
        "max_retries": 0,
        "timeout": LITELLM_TIMEOUT,
        "stream_timeout": LITELLM_TIMEOUT,
        "no-log": True,
    }
    streaming = {"stream": True, "stream_options": {"include_usage": True}}
    if request.deployment.model.startswith(_ANSWERS_WHOLE):
        streaming["fake_stream"] = True
    describe_to_litellm(request.deployment.model)
    return completion_arguments(request) | overrides | streaming


async def _next(provider: Any, timeout: float) -> Any:
    """The next chunk, None at the end. `timeout` (seconds) bounds the wait for the head of an answer."""
    # LiteLLM sends Gemini's requests only when the first chunk is asked for.
    head_came = provider.completion_stream is not None
    try:
        async with nullcontext() if head_came else asyncio.timeout(timeout):
            return await anext(provider, None)
    except TimeoutError as exc:
        raise ProviderTimeout(_NO_HEAD) from exc
    except Exception as exc:
        raise from_litellm(exc, response_started=provider.completion_stream is not None) from exc


def _provider_finished(provider: Any) -> bool:
    """Whether the provider sent a finish reason. LiteLLM invents one for an answer that was cut off."""
    return bool(provider.received_finish_reason or provider.intermittent_finish_reason)


def _plain(chunk: Any) -> Chunk:
    """LiteLLM's chunk as a plain dict without empty fields; a tool-call fragment keeps all its keys."""
    plain: Chunk = chunk.model_dump(exclude_none=True)
    choice = plain["choices"][0] if plain["choices"] else {}
    delta = choice.get("delta", {})
    if calls := delta.pop("tool_calls", None):
        delta["tool_calls"] = [_fragment(call) for call in calls]
    reason = choice.get("finish_reason")
    if usage := plain.get("usage"):
        plain["usage"] = token_counts(usage)
    # LiteLLM sends the usage in a chunk with an empty choice.
    kept = [{"index": 0, "delta": delta, "finish_reason": reason}] if delta or reason else []
    return plain | {"choices": kept}


def _fragment(call: dict[str, Any]) -> dict[str, Any]:
    fragment = tool_call_fragment(call)
    if fragment["id"] is None and fragment["function"]["name"] and fragment["function"]["arguments"] == "{}":
        # LiteLLM numbers all of Ollama's calls 0, and gives an id only to those with arguments.
        fragment["id"] = f"call_{uuid4().hex[:24]}"
    return fragment


def _finish_reason(plain: Chunk) -> str | None:
    return plain["choices"][0]["finish_reason"] if plain["choices"] else None


def _has_content(plain: Chunk) -> bool:
    if not plain["choices"]:
        return bool(plain.get("usage"))
    delta = plain["choices"][0]["delta"]
    return bool(_finish_reason(plain) or any(delta.get(name) for name in _CONTENT_FIELDS))
