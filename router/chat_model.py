"""The LangChain chat model of one turn: langchain-litellm's conversions over our router.

langchain-litellm turns messages, tool calls, reasoning, usage and content blocks into OpenAI dicts and back. It reaches
the providers only through `router.acompletion()`, which is where `RoutedTurn` takes the place of `litellm.Router`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import cache, cached_property
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import PrivateAttr

import router.providers.litellm_import  # noqa: F401  (LiteLLM is set up before langchain-litellm imports it)
from router.failover import RoutedTurn
from router.lanes.base import Chunk

from langchain_litellm import ChatLiteLLM, ChatLiteLLMRouter  # isort: skip


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
        messages = input if isinstance(input, list) else self._convert_input(input).to_messages()
        result = await self._agenerate(messages, stop, **kwargs)
        (generation,) = result.generations
        message = cast(AIMessage, generation.message)
        message.response_metadata.update(generation.generation_info or {})
        return message

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: object = None, **kwargs: Any
    ) -> ChatResult:
        """Ask the router, once: retries happen there alone. langchain-litellm's own way would also look for what a
        provider signed of its earlier thoughts, to send it again; the next step may run on another provider.
        """
        asked, params = self._create_message_dicts(messages, stop)
        chunks = await self.router.acompletion(messages=asked, **params, **kwargs)
        result: ChatResult = self._create_chat_result(await _whole(chunks, self._hear))
        return result

    @property
    def _client_params(self) -> dict[str, Any]:
        # langchain-litellm's looks through all its fields for keys and addresses, which models.yaml has, and copies the
        # tools.
        return {"model": self.model, **self.model_kwargs}

    # The Router's makes a default usage at each answer, a pydantic object.
    _create_chat_result = ChatLiteLLM._create_chat_result

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
    return TurnChatModel(router=None, model="", streaming=False)


async def _whole(chunks: AsyncGenerator[Chunk, None], hear: Callable[[str], None]) -> dict[str, Any]:
    """The answer as OpenAI gives one that is not streamed, its text heard as it comes.

    An answer that was continued has the usage of each attempt that spoke.
    """
    said: list[str] = []
    thought: list[str] = []
    calls: list[dict[str, Any]] = []
    reason: str | None = None
    usage: Mapping[str, Any] = {}
    async with aclosing(chunks):
        async for chunk in chunks:
            if more := chunk.get("usage"):
                usage = _added(usage, more)
            for choice in chunk["choices"]:
                delta = choice["delta"]
                if text := delta.get("content"):
                    hear(text)
                    said.append(text)
                thought.append(delta.get("reasoning_content") or "")
                calls += delta.get("tool_calls") or ()
                reason = choice["finish_reason"] or reason
    message = {
        "role": "assistant",
        "content": "".join(said),
        "reasoning_content": "".join(thought),
        "tool_calls": calls,
    }
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}


def _added(usage: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both together: counts and the counts of their details; what is no count is the newer one's."""
    added = {**usage, **more}
    for name, known in usage.items():
        match known, more.get(name):
            case int(), int() as count:
                added[name] = known + count
            case Mapping(), Mapping() as details:
                added[name] = _added(known, details)
            case _, None:
                added[name] = known
    return added


def _is_traced(config: RunnableConfig | None) -> bool:
    callbacks = (config or {}).get("callbacks")
    return bool(callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks)
