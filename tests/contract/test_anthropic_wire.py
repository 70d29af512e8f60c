"""What Anthropic's API is sent through LiteLLM, where it is stricter than OpenAI's wire."""

from __future__ import annotations

from typing import Any

import orjson
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.base import BaseMessage
from pydantic import SecretStr

from agent.chat_model import RoutedChatModel
from config.models.deployments import Deployment, Registry, RouterSettings
from router.failover import FailoverRouter
from router.health.breakers import Breakers
from router.lanes.selection import Lanes
from router.registry import LiveRegistry
from tests.contract.local_provider import Reply, local_provider, streaming

MULTIPLY = {"type": "function", "function": {"name": "multiply", "parameters": {"type": "object", "properties": {}}}}
CALLED = [
    HumanMessage("What is 6 times 7?"),
    AIMessage("", tool_calls=[{"name": "multiply", "args": {}, "id": "call_1"}]),
    ToolMessage("42", tool_call_id="call_1"),
]


def answering_hello() -> Reply:
    usage = {"input_tokens": 3, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return streaming(*(b"event: %s\ndata: %s\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in events))


async def sent(messages: list[BaseMessage], **params: Any) -> dict[str, Any]:
    """The body of the request that the messages of one step become."""
    lanes = Lanes.build()
    async with local_provider(answering_hello()) as provider:
        claude = Deployment(
            id="claude",
            group="main",
            model="anthropic/claude-sonnet-4-5",
            api_base=provider.url,
            api_key=SecretStr("k"),
        )
        live = LiveRegistry(Registry((claude,), RouterSettings()))
        turn = FailoverRouter(live, lanes, Breakers(lambda: live.current.settings)).begin("main")
        try:
            result = await RoutedChatModel().answer(turn, messages, params)
        finally:
            await lanes.aclose()
        assert result.generations[0].text == "Hello."
        return provider.requests[-1].body


async def test_a_model_that_thinks_may_go_on_after_a_tool() -> None:
    """Anthropic wants a tool call's thoughts back while thinking is on; the step before may be another provider's."""
    begun = await sent([HumanMessage("Hi")], reasoning_effort="low", tools=[MULTIPLY])
    assert begun["thinking"]["type"] == "enabled"
    assert "thinking" not in await sent(CALLED, reasoning_effort="low", tools=[MULTIPLY])


async def test_no_words_are_put_beside_a_tool_call() -> None:
    body = await sent(CALLED, tools=[MULTIPLY])
    (block,) = body["messages"][1]["content"]
    assert (block["type"], block["name"]) == ("tool_use", "multiply")


async def test_a_conversation_may_begin_with_the_prompt_alone() -> None:
    body = await sent([SystemMessage("Greet the caller.")])
    assert [each["role"] for each in body["messages"]] == ["user"]
