"""A tool is called by one provider and its result answered by another. Each mock enforces its provider's own rules."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import SecretStr

from agent.chat_model import RoutedChatModel
from config.models.deployments import Deployment, Registry, RouterSettings
from router.failover import FailoverRouter
from router.health.breakers import Breakers
from router.history import CallOrigins
from router.lanes.selection import Lanes
from router.registry import LiveRegistry
from tests.contract.litellm_providers import anthropic, gemini
from tests.contract.local_provider import DONE, LocalProvider, answering, event, local_provider, streaming
from tests.support.serving import Served, serving

MODELS_FILE = Path(__file__).parents[2] / "models.yaml"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SIGNATURE = "Cs" + "Q+/" * 180 + "=="
THOUGHT = "They want the weather."


@dataclass(frozen=True)
class Api:
    """One provider: how it calls `weather`, how it says "Rain.", and the first rule that a request breaks."""

    name: str
    model: str
    called: Sequence[bytes]
    said: Sequence[bytes]
    broken_rule: Callable[[dict[str, Any]], str | None]
    params: dict[str, Any] = field(default_factory=dict)


def openai_call(id: str, **before: Any) -> list[bytes]:
    call = {"index": 0, "id": id, "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    thoughts = [event({"role": "assistant", **before})] if before else []
    return [*thoughts, event({"tool_calls": [call]}), event(finish="tool_calls"), DONE]


OPENAI_SAID = [event({"content": "Rain."}), event(finish="stop"), DONE]


def openai_ids(body: dict[str, Any]) -> list[str]:
    """All ids; fails unless each call is answered under its own."""
    called = [call["id"] for each in body["messages"] for call in each.get("tool_calls") or ()]
    answered = [each["tool_call_id"] for each in body["messages"] if each["role"] == "tool"]
    assert called == answered, "a call and its result have different ids"
    return called


def openai_rules(body: dict[str, Any]) -> str | None:
    if any(len(each) > 40 for each in openai_ids(body)):
        return "string too long. Expected a string with maximum length 40"
    known = {"role", "content", "tool_calls", "tool_call_id", "name"}
    unknown = {name for each in body["messages"] for name in each} - known
    return f"unknown parameter: {unknown}" if unknown else None


def mistral_rules(body: dict[str, Any]) -> str | None:
    if not all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in openai_ids(body)):
        return "Tool call id has to be defined: a-z, A-Z, 0-9, with a length of 9"
    return openai_rules(body)


def deepseek_rules(body: dict[str, Any]) -> str | None:
    openai_ids(body)
    for each in body["messages"]:
        if each.get("tool_calls") and not each.get("reasoning_content"):
            return "The `reasoning_content` in the thinking mode must be passed back to the API."
        if each.get("reasoning_content", " ") not in (" ", f"deepseek: {THOUGHT}"):
            return "these thoughts are another's"
    return None


def anthropic_rules(body: dict[str, Any]) -> str | None:
    blocks = [block for each in body["messages"] for block in each["content"]]
    called = [each["id"] for each in blocks if each["type"] == "tool_use"]
    assert called == [each["tool_use_id"] for each in blocks if each["type"] == "tool_result"]
    if not all(re.fullmatch("[a-zA-Z0-9_-]+", each) for each in called):
        return "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    if any(each.get("signature") != SIGNATURE for each in blocks if each["type"] == "thinking"):
        return "Invalid `signature` in `thinking` block"
    thinks = body.get("thinking", {}).get("type") == "enabled"
    answers_call = body["messages"][-1]["content"][0]["type"] == "tool_result"
    if thinks and answers_call and body["messages"][-2]["content"][0]["type"] != "thinking":
        return "Expected `thinking` or `redacted_thinking`, but found `tool_use`"
    if not thinks and any(each["type"] == "thinking" for each in blocks):
        return "When thinking is disabled, an assistant message cannot contain `thinking`."
    return None


def gemini_rules(body: dict[str, Any]) -> str | None:
    parts = [part for each in body["contents"] for part in each["parts"]]
    for part in parts:
        if "function_call" in part and part.get("thoughtSignature") not in (SIGNATURE, DUMMY_SIGNATURE):
            return "Function call is missing a thought_signature in functionCall parts."
    return None


DUMMY_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Google's way to say that another model made the call; LiteLLM adds it."""

THINKING = [
    *anthropic.block(0, {"type": "thinking", "thinking": "", "signature": ""}),
    anthropic.delta(0, type="thinking_delta", thinking="They want "),
    anthropic.delta(0, type="thinking_delta", thinking="the weather."),
    anthropic.delta(0, type="signature_delta", signature=SIGNATURE),
    anthropic.event("content_block_stop", index=0),
]
CLAUDE = dict(
    model="anthropic/claude-sonnet-4-5",
    said=anthropic.WIRE.stream.said("Rain.") if anthropic.WIRE.stream else [],
    broken_rule=anthropic_rules,
)
TOOLU = "toolu_01T1x1fJ34qAmk2tNTrN7Up6"
GEMINI_CALL = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": SIGNATURE}

APIS = [
    Api("openai", "openai/gpt-4.1-mini", openai_call("call_abcdefghijklmnopqrstuvwx"), OPENAI_SAID, openai_rules),
    Api("mistral", "mistral/mistral-small-latest", openai_call("D681PevKs"), OPENAI_SAID, mistral_rules),
    Api(
        "deepseek",
        "deepseek/deepseek-v4-flash",
        openai_call("call_00_x", reasoning_content=f"deepseek: {THOUGHT}"),
        OPENAI_SAID,
        deepseek_rules,
    ),
    Api("groq", "groq/openai/gpt-oss-20b", openai_call("fc_1", reasoning=THOUGHT), OPENAI_SAID, openai_rules),
    Api(
        "anthropic",
        called=[*anthropic.start(), *anthropic.called(0, TOOLU, "weather"), *anthropic.end("tool_use")],
        **CLAUDE,
    ),
    Api(
        "anthropic-thinking",
        called=[*anthropic.start(), *THINKING, *anthropic.called(1, TOOLU, "weather"), *anthropic.end("tool_use")],
        params={"reasoning_effort": "low"},
        **CLAUDE,
    ),
    Api(
        "gemini",
        "gemini/gemini-3-pro-preview",
        [gemini.response(GEMINI_CALL, reason="STOP")],
        [gemini.response({"text": "Rain."}, reason="STOP")],
        gemini_rules,
    ),
]
BY_NAME = {each.name: each for each in APIS}


class Mock:
    """A provider that calls the tool until it has a result, and refuses requests that break its rules."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.provider: LocalProvider | None = None
        self.refused: str | None = None

    async def reply(self, writer: Any) -> None:
        assert self.provider is not None
        body = self.provider.requests[-1].body
        self.refused = self.api.broken_rule(body)
        if self.refused is not None:
            error = orjson.dumps({"error": {"message": self.refused, "type": "invalid_request_error"}})
            return await answering("400 Bad Request", error)(writer)
        results = ("tool_result", "function_response", '"role":"tool"')
        done = any(each in orjson.dumps(body).decode() for each in results)
        await streaming(*(self.api.said if done else self.api.called))(writer)

    @property
    def deployment(self) -> Deployment:
        assert self.provider is not None
        return Deployment(
            id=self.api.name,
            group=self.api.name,
            model=self.api.model,
            api_base=self.provider.url,
            api_key=SecretStr("k"),
            params=self.api.params,
        )


@dataclass
class Rig:
    mocks: dict[str, Mock]
    router: FailoverRouter

    async def step(self, name: str, messages: list[AnyMessage]) -> AIMessage:
        result = await RoutedChatModel().answer(self.router.begin(name), messages, {"tools": [WEATHER]})
        message = result.generations[0].message
        assert isinstance(message, AIMessage)
        return message

    def forget(self) -> None:
        """As if the process had restarted."""
        self.router = replace(self.router, origins=CallOrigins())


@asynccontextmanager
async def rig(*names: str) -> AsyncIterator[Rig]:
    lanes = Lanes.build()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lanes.aclose)
        mocks = {name: Mock(BY_NAME[name]) for name in names}
        for mock in mocks.values():
            mock.provider = await stack.enter_async_context(local_provider(mock.reply))
        live = LiveRegistry(Registry(tuple(each.deployment for each in mocks.values()), RouterSettings(num_retries=0)))
        yield Rig(mocks, FailoverRouter(live, lanes, Breakers(lambda: live.current.settings)))


def answered(called: AIMessage) -> list[AnyMessage]:
    results = [ToolMessage("Rain.", tool_call_id=str(each["id"])) for each in called.tool_calls]
    return [HumanMessage("Rain in Oslo?"), called, *results]


def as_callers_send_it(message: AIMessage) -> AIMessage:
    """What a caller with its own tools sends back: it knows nothing but OpenAI's fields."""
    return AIMessage(message.content, tool_calls=message.tool_calls)


def as_stored(message: AIMessage) -> AIMessage:
    """As a checkpoint keeps it."""
    serializer = JsonPlusSerializer()
    restored = serializer.loads_typed(serializer.dumps_typed(message))
    assert isinstance(restored, AIMessage)
    return restored


pairs = pytest.mark.parametrize(("first", "second"), [*product(BY_NAME, BY_NAME)])


@pairs
@pytest.mark.parametrize("history", ["kept", "stored", "resent", "resent elsewhere"])
async def test_a_call_of_one_provider_is_answered_by_another(first: str, second: str, history: str) -> None:
    async with rig(*dict.fromkeys((first, second))) as providers:
        called = await providers.step(first, [HumanMessage("Rain in Oslo?")])
        assert re.fullmatch("call_[0-9a-f]{24}", str(called.tool_calls[0]["id"]))
        match history:
            case "stored":
                called = as_stored(called)
                providers.forget()
            case "resent":
                called = as_callers_send_it(called)
            case "resent elsewhere":
                called = as_callers_send_it(called)
                providers.forget()
        said = await providers.step(second, answered(called))
        assert providers.mocks[second].refused is None
        assert said.text == "Rain."
        again = await providers.step(first, [*answered(called), said, HumanMessage("And tomorrow?")])
        assert providers.mocks[first].refused is None
        assert again.text == "Rain."


@pytest.mark.parametrize("history", ["kept", "stored", "resent"])
@pytest.mark.parametrize("name", ["deepseek", "anthropic-thinking", "gemini"])
async def test_a_provider_gets_back_what_it_made(name: str, history: str) -> None:
    async with rig(name) as providers:
        called = await providers.step(name, [HumanMessage("Rain in Oslo?")])
        if history == "stored":
            called = as_stored(called)
            providers.forget()
        elif history == "resent":
            called = as_callers_send_it(called)
        await providers.step(name, answered(called))
        provider = providers.mocks[name].provider
        assert provider is not None
        sent = provider.requests[-1].body
        match name:
            case "deepseek":
                assert sent["messages"][1]["reasoning_content"] == f"deepseek: {THOUGHT}"
            case "gemini":
                assert sent["contents"][1]["parts"][0]["thoughtSignature"] == SIGNATURE
            case _:
                block = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
                assert sent["messages"][1]["content"][0] == block
                assert sent["thinking"]["type"] == "enabled"


async def test_anthropic_answers_anothers_call_after_a_turn_of_its_own_thoughts() -> None:
    """With the thoughts of an older turn in the history, LiteLLM leaves thinking on, and Anthropic refuses."""
    async with rig("anthropic-thinking", "openai") as providers:
        first = await providers.step("anthropic-thinking", [HumanMessage("Rain in Oslo?")])
        said = await providers.step("anthropic-thinking", answered(first))
        second = await providers.step("openai", [HumanMessage("Rain in Rome?")])
        final = await providers.step("anthropic-thinking", [*answered(first), said, *answered(second)])
        assert providers.mocks["anthropic-thinking"].refused is None
        assert final.text == "Rain."


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_shipped_deepseek_entry_works_with_a_platforms_own_tools(tmp_path: Path, restarted: bool) -> None:
    mock = Mock(BY_NAME["deepseek"])
    entries = yaml.safe_load(MODELS_FILE.read_text())["model_list"]
    [shipped] = [each for each in entries if each["model_name"] == "deepseek"]
    async with local_provider(mock.reply) as mock.provider, AsyncExitStack() as stack:
        access = {"api_base": mock.provider.url, "api_key": "k"}
        entry = {**shipped, "litellm_params": {**shipped["litellm_params"], **access}}
        asked = {"model": "deepseek", "tools": [WEATHER], "messages": [{"role": "user", "content": "Rain in Oslo?"}]}
        server = await stack.enter_async_context(serving(tmp_path, entry))
        called = await completed(server, asked)
        if restarted:
            await stack.aclose()
            server = await stack.enter_async_context(serving(tmp_path, entry))
        result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "Rain."}
        said = await completed(server, {**asked, "messages": [*asked["messages"], called, result]})
        assert said["content"] == "Rain."
        thoughts = mock.provider.requests[-1].body["messages"][-2]["reasoning_content"]
        assert thoughts == (" " if restarted else f"deepseek: {THOUGHT}")


async def completed(server: Served, body: dict[str, Any]) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{server.url}/v1/chat/completions", json=body, headers=server.headers)
    message: dict[str, Any] = answer.json()["choices"][0]["message"]
    return message
