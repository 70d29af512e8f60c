"""The LangChain chat model of the agent: langchain-litellm's message conversion over our router."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.runtime import get_runtime
from pydantic import PrivateAttr

import router.providers.litellm_import  # noqa: F401  (LiteLLM is set up before langchain-litellm imports it)
from agent.events import ReasoningDelta, TextDelta
from agent.turn_context import TurnContext
from config.errors import RequestError
from router.history import ORIGIN, Origin
from router.lanes.base import Chunk
from router.model_call import ModelCall
from router.routed_turn import RoutedTurn

from langchain_litellm import ChatLiteLLMRouter  # isort: skip

OnDelta = Callable[[TextDelta | ReasoningDelta], None]


class RoutedChatModel(ChatLiteLLMRouter):  # type: ignore[misc]  # its package has no types
    """`ChatLiteLLMRouter` over a `RoutedTurn` instead of a `litellm.Router`, which would retry on its own.

    One instance serves all turns with the same tools. In a graph it reads the turn from the run-time context, and tells
    it the text as it arrives.
    """

    _tools: list[dict[str, Any]] = PrivateAttr()

    def __init__(self, tools: Iterable[dict[str, Any]] = ()) -> None:
        """`tools` are OpenAI's."""
        # `disable_streaming` keeps LangChain on `_agenerate` when a tracer asks for tokens.
        super().__init__(router=None, model="routed", streaming=False, disable_streaming=True)
        self._tools = list(tools)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Self:
        """Return this model: it already has the tools, in the callers' own words, which LangChain would change."""
        return self

    async def answer(
        self,
        turn: RoutedTurn,
        messages: Sequence[BaseMessage],
        params: Mapping[str, Any],
        on_delta: OnDelta = lambda _: None,
    ) -> ChatResult:
        """Make one model call with OpenAI's `params`. `on_delta` gets text and reasoning as they arrive.

        Raises as `ModelCall.chunks` does, and RequestError for a part of a message that LangChain does not convert.
        """
        try:
            converted, _ = self._create_message_dicts(list(messages), None)
        except (KeyError, TypeError, ValueError) as exc:  # LangChain has parts of its own, with keys of its own
            raise RequestError("A message has a part that cannot be sent to a provider.") from exc
        call = ModelCall(turn, [_as_sent(*each) for each in zip(messages, converted, strict=True)], params)
        completion, origin = await _completion(call.chunks(), on_delta)
        result: ChatResult = self._create_chat_result(completion)
        message = result.generations[0].message
        message.response_metadata["model_name"] = turn.record.model
        if origin is not None:
            message.additional_kwargs[ORIGIN] = origin
        return result

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: object = None, **kwargs: Any
    ) -> ChatResult:
        context = get_runtime(TurnContext).context
        bound = kwargs or ({"tools": self._tools} if self._tools else {})  # response_format brings its own
        params = context.next_params(**bound)

        def pass_on(delta: TextDelta | ReasoningDelta) -> None:
            if context.shows_reasoning or isinstance(delta, TextDelta):
                context.say(delta)

        return await self.answer(context.turn, messages, params, pass_on)


# LangChain asks for this signature at every call; working it out anew takes 5 % of a turn (PEP 362).
RoutedChatModel._agenerate.__signature__ = inspect.signature(RoutedChatModel._agenerate)  # type: ignore[attr-defined]


def _as_sent(message: BaseMessage, converted: dict[str, Any]) -> dict[str, Any]:
    """The router's form of a message: what only its own provider may see of it is in its origin."""
    converted.pop("reasoning_content", None)
    if origin := message.additional_kwargs.get(ORIGIN):
        converted[ORIGIN] = origin
    return _without_blank(converted)


def _without_blank(message: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's form of a tool call without text is null content.

    Anthropic refuses an empty text; LiteLLM replaces it with words of its own, which the model may repeat.
    """
    if not message.get("tool_calls"):
        return message
    content = message.get("content")
    return {**message, "content": None} if isinstance(content, str) and not content.strip() else message


async def _completion(chunks: AsyncGenerator[Chunk, None], on_delta: OnDelta) -> tuple[dict[str, Any], Origin | None]:
    """The chunks folded into an OpenAI chat completion, and its origin.

    Usage adds up the attempts that produced text.
    """
    origin: Origin | None = None
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
                if thought := delta.get("reasoning_content"):
                    on_delta(ReasoningDelta(thought))
                    reasoning.append(thought)
                if content := delta.get("content"):
                    on_delta(TextDelta(content, refusal=bool(delta.get("refusal"))))
                    text.append(content)
                calls += delta.get("tool_calls") or ()
                origin = delta.get(ORIGIN) or origin
                reason = choice["finish_reason"] or reason
    message = {
        "role": "assistant",
        "content": "".join(text),
        "reasoning_content": "".join(reasoning),
        "tool_calls": calls,
    }
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}, origin


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
