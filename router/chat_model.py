"""The LangChain chat model of one turn: langchain-litellm's conversions over our router.

langchain-litellm turns messages, tool calls, reasoning, usage and content blocks into OpenAI dicts and back. It reaches
the vendors only through `router.acompletion()`, which is where `RoutedTurn` takes the place of `litellm.Router`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from functools import cached_property
from typing import Any

import router.litellm_import  # noqa: F401  (LiteLLM is set up before langchain-litellm imports it)
from router.failover import RoutedTurn
from router.lanes.base import Chunk

from langchain_litellm import ChatLiteLLMRouter  # isort: skip


class TurnChatModel(ChatLiteLLMRouter):  # type: ignore[misc]  # its package has no types
    """`ChatLiteLLMRouter` without what a turn has no use for: retries of its own, and what only tracers read."""

    async def acompletion_with_retry(self, run_manager: object = None, **kwargs: Any) -> AsyncGenerator[Chunk, None]:
        """Ask the router, once: retries happen there alone."""
        chunks: AsyncGenerator[Chunk, None] = await self.router.acompletion(**kwargs)
        return chunks

    @cached_property
    def _serialized(self) -> dict[str, Any]:
        # LangChain's is the repr of everything that the model refers to, made anew for each turn: 0.5 ms.
        return {"name": "ChatLiteLLMRouter"}


def chat_model(turn: RoutedTurn, params: Mapping[str, Any]) -> TurnChatModel:
    """A chat model for `turn` that sends `params` (OpenAI's names: temperature, tools, ...) with every call."""
    return TurnChatModel(router=turn, model=turn.model, model_kwargs=dict(params), streaming=True)
