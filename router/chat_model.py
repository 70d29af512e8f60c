"""The LangChain chat model of one turn: langchain-litellm's conversions over our router.

langchain-litellm turns messages, tool calls, reasoning, usage and content blocks into OpenAI dicts and back. It reaches
the vendors only through `router.acompletion()`, which is where `RoutedTurn` takes the place of `litellm.Router`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import cache, cached_property
from typing import Any, Final, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

import router.litellm_import  # noqa: F401  (LiteLLM is set up before langchain-litellm imports it)
from router.failover import RoutedTurn
from router.lanes.base import Chunk

from langchain_litellm import ChatLiteLLMRouter  # isort: skip


PLAIN_DELTA: Final = frozenset({"role", "content"})
NO_CHOICE: Final[Mapping[str, Any]] = {"delta": {}, "finish_reason": None}


class TurnChatModel(ChatLiteLLMRouter):  # type: ignore[misc]  # its package has no types
    """`ChatLiteLLMRouter` without what a turn has no use for: retries of its own, and what only tracers read.

    Text goes to `_hear` as it comes. LangChain sees it when it is whole, since its objects cost more than the chunk.
    """

    _hear: Callable[[str], None] = PrivateAttr()

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """The whole message. LangChain's own way there calls back at every step: taken when somebody listens."""
        if _is_traced(config):
            traced: AIMessage = await super().ainvoke(input, config, stop=stop, **kwargs)
            return traced
        messages = self._convert_input(input).to_messages()
        async with aclosing(self._astream(messages, stop, **kwargs)) as stream:
            chunks = [generation.message async for generation in stream]
        return cast(AIMessage, message_chunk_to_message(add_ai_message_chunks(*chunks)))

    async def acompletion_with_retry(self, run_manager: object = None, **kwargs: Any) -> AsyncGenerator[Chunk, None]:
        """Ask the router, once: retries happen there alone."""
        return _heard(await self.router.acompletion(**kwargs), self._hear)

    @cached_property
    def _serialized(self) -> dict[str, Any]:
        # LangChain's is the repr of everything that the model refers to, made anew for each turn: 0.5 ms.
        return {"name": "ChatLiteLLMRouter"}


def chat_model(turn: RoutedTurn, params: Mapping[str, Any], hear: Callable[[str], None]) -> TurnChatModel:
    """A chat model for `turn` that sends `params` (OpenAI's names: temperature, tools, ...) with every call.

    `hear` gets the text of an answer as it comes; `ainvoke` then returns the whole message.
    """
    known = {"router": turn, "model": turn.model, "model_kwargs": dict(params)}
    model: TurnChatModel = _blank().model_copy(update=known)
    model._hear = hear
    return model


@cache
def _blank() -> TurnChatModel:
    """Copied for each step, since checking what never changes would cost 0.1 ms."""
    return TurnChatModel(router=None, model="", streaming=True)


async def _heard(chunks: AsyncGenerator[Chunk, None], hear: Callable[[str], None]) -> AsyncGenerator[Chunk, None]:
    """The chunks, once their text is heard. Plain ones go on as one: most answers are a single chunk to LangChain.

    The finish reason and the usage come last, as `router.answer` has them.
    """
    said: list[str] = []
    reason = usage = None
    async with aclosing(chunks):
        async for chunk in chunks:
            choice = chunk["choices"][0] if chunk["choices"] else NO_CHOICE
            delta = choice["delta"]
            if text := delta.get("content"):
                hear(text)
            if delta.keys() <= PLAIN_DELTA:
                said.append(text or "")
                reason = choice["finish_reason"] or reason
                usage = chunk.get("usage") or usage
                continue
            if said:
                yield _plain("".join(said))
                said.clear()
            yield chunk
    if said:
        yield _plain("".join(said), reason, usage)


def _plain(content: str, reason: str | None = None, usage: object = None) -> Chunk:
    delta = {"role": "assistant", "content": content}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": usage}


def _is_traced(config: RunnableConfig | None) -> bool:
    callbacks = (config or {}).get("callbacks")
    return bool(callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks)
