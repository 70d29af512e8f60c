"""Any provider that LiteLLM knows, through LiteLLM's own client. Slower than a direct lane, and it goes everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import openai

from config.errors import AnswerCut, ProviderTimeout
from config.models.deployments import Deployment
from router.lanes.arguments import completion_arguments
from router.lanes.base import Chunk, LaneRequest
from router.providers.litellm_import import litellm
from router.providers.provider_errors import from_litellm

UNHURRIED: Final = 3600.0
"""Seconds that LiteLLM may take. The lane and the router keep the time; a second clock would only blur whose it was."""

_SAID: Final = ("content", "tool_calls", "function_call", "reasoning_content")


class LiteLLMLane:
    """One call of `litellm.acompletion`, its chunks as plain dicts."""

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        """The answer's chunks; see `Lane.stream`."""
        provider = await _call(request)
        begun = False
        try:
            while (chunk := await _next(provider)) is not None:
                plain = _plain(chunk)
                if not _says_anything(plain):
                    continue
                if _finish_reason(plain) and not _provider_finished(provider):
                    break
                begun = True
                yield plain
            if begun and not _provider_finished(provider):
                raise AnswerCut("the provider's answer ended before it was finished")
        finally:
            await provider.aclose()

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Have LiteLLM load what it loads with its first call (two seconds), before a caller waits for it."""
        # 450 modules, which its client imports when it is first used; in a thread, since turns may be running.
        await asyncio.to_thread(import_module, "openai.resources")
        ping = {"model": "openai/gpt-4o-mini", "api_key": "none", "messages": [{"role": "user", "content": "ping"}]}
        answer = await litellm.acompletion(**ping, stream=True, mock_response="pong")
        async for _ in answer:
            pass

    async def aclose(self) -> None:
        """Close the connections that LiteLLM keeps for the next call."""
        for client in litellm.in_memory_llm_clients_cache.cache_dict.values():
            if isinstance(client, openai.AsyncOpenAI):  # LiteLLM closes the others, but leaves these to the collector
                with suppress(RuntimeError):  # it belongs to a loop that has gone, and its connections with it
                    await client.close()
        await litellm.close_litellm_async_clients()
        if shared := vars(litellm).get("module_level_aclient"):  # it is made when it is first used, and opens again
            with suppress(RuntimeError):
                await shared.close()
        litellm.in_memory_llm_clients_cache.flush_cache()


async def _call(request: LaneRequest) -> Any:
    """Send the request and wait for the head of the answer."""
    steering = {"num_retries": 0, "max_retries": 0, "timeout": UNHURRIED, "stream_timeout": UNHURRIED, "no-log": True}
    asking = {"stream": True, "stream_options": {"include_usage": True}}
    arguments = completion_arguments(request) | steering | asking
    try:
        async with asyncio.timeout(request.timeout):
            return await litellm.acompletion(**arguments)
    except TimeoutError as exc:
        raise ProviderTimeout("the provider did not begin to answer in time") from exc
    except Exception as exc:  # whatever comes out of LiteLLM is mapped, and raised
        raise from_litellm(exc) from exc


async def _next(provider: Any) -> Any:
    """The next chunk, None at the end."""
    try:
        return await anext(provider, None)
    except Exception as exc:
        raise from_litellm(exc, answering=True) from exc


def _provider_finished(provider: Any) -> bool:
    """Whether the provider itself gave a finish reason: LiteLLM makes one up for an answer that was cut."""
    return bool(provider.received_finish_reason or provider.intermittent_finish_reason)


def _plain(chunk: Any) -> Chunk:
    """LiteLLM's chunk as a plain dict without empty fields; a tool-call fragment keeps all its keys."""
    plain: Chunk = chunk.model_dump(exclude_none=True)
    choice = plain["choices"][0] if plain["choices"] else {}
    delta = choice.get("delta", {})
    if calls := delta.pop("tool_calls", None):
        delta["tool_calls"] = [_fragment(call) for call in calls]
    reason = choice.get("finish_reason")
    # LiteLLM hangs the usage on one more chunk with an empty choice.
    kept = [{"index": 0, "delta": delta, "finish_reason": reason}] if delta or reason else []
    return plain | {"choices": kept}


def _fragment(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    named = {"name": function.get("name") or None, "arguments": function.get("arguments")}
    return {"index": call.get("index"), "id": call.get("id") or None, "type": "function", "function": named}


def _finish_reason(plain: Chunk) -> str | None:
    return plain["choices"][0]["finish_reason"] if plain["choices"] else None


def _says_anything(plain: Chunk) -> bool:
    if not plain["choices"]:
        return bool(plain.get("usage"))
    delta = plain["choices"][0]["delta"]
    return bool(_finish_reason(plain) or any(delta.get(name) for name in _SAID))
