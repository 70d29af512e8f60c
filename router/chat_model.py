"""The LangChain chat model of one model call: langchain-litellm's message conversion over our router."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import cache
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import Field, PrivateAttr

import router.providers.litellm_import  # noqa: F401  (LiteLLM is set up before langchain-litellm imports it)
from router.lanes.base import Chunk
from router.model_call import ModelCall
from router.routed_turn import RoutedTurn

from langchain_litellm import ChatLiteLLMRouter  # isort: skip


class RoutedChatModel(ChatLiteLLMRouter):  # type: ignore[misc]  # its package has no types
    """`ChatLiteLLMRouter` on a `RoutedTurn` instead of a `litellm.Router`, which would retry on its own.

    `_agenerate`, LangChain's extension point, streams the answer: text goes to `on_text` as it arrives, and the
    message is complete when it returns.
    """

    router: Any = Field(repr=False)
    model_kwargs: dict[str, Any] = Field(default_factory=dict, repr=False)
    _on_text: Callable[[str], None] = PrivateAttr()

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: object = None, **kwargs: Any
    ) -> ChatResult:
        converted, _ = self._create_message_dicts(messages, stop)
        call = ModelCall(self.router, [_without_blank(each) for each in converted], {**self.model_kwargs, **kwargs})
        result: ChatResult = self._create_chat_result(await _completion(call.chunks(), self._on_text))
        return result


def chat_model(turn: RoutedTurn, params: Mapping[str, Any], on_text: Callable[[str], None]) -> RoutedChatModel:
    """A chat model for `turn` that sends `params` (OpenAI's names: temperature, tools, ...) with every call."""
    model: RoutedChatModel = _blank().model_copy(
        update={"router": turn, "model": turn.model, "model_kwargs": dict(params)}
    )
    model._on_text = on_text
    return model


@cache
def _blank() -> RoutedChatModel:
    """Copied for each call: validating the fields that never change costs 0.1 ms.

    `disable_streaming` keeps LangChain on `_agenerate` also when a tracer asks for tokens.
    """
    return RoutedChatModel(router=None, model="", streaming=False, disable_streaming=True)


def _without_blank(message: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's form of a tool call without text is null content.

    Anthropic refuses an empty text; LiteLLM replaces it with words of its own, which the model may repeat.
    """
    if not message.get("tool_calls"):
        return message
    content = message.get("content")
    return {**message, "content": None} if isinstance(content, str) and not content.strip() else message


async def _completion(chunks: AsyncGenerator[Chunk, None], on_text: Callable[[str], None]) -> dict[str, Any]:
    """The chunks folded into an OpenAI chat completion. Usage adds up the attempts that produced text."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: list[dict[str, Any]] = []
    reason: str | None = None
    usage: Mapping[str, Any] = {}
    async with aclosing(chunks):
        async for chunk in chunks:
            if more := chunk.get("usage"):
                usage = _added(usage, more)
            for choice in chunk["choices"]:
                delta = choice["delta"]
                if content := delta.get("content"):
                    on_text(content)
                    text.append(content)
                reasoning.append(delta.get("reasoning_content") or "")
                calls += delta.get("tool_calls") or ()
                reason = choice["finish_reason"] or reason
    message = {
        "role": "assistant",
        "content": "".join(text),
        "reasoning_content": "".join(reasoning),
        "tool_calls": calls,
    }
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}


def _added(usage: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of two OpenAI usage objects; what is not a count is taken from the newer one."""
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
