from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from agent.chat_model import RoutedChatModel
from config.errors import ProviderOverloaded
from config.models.deployments import Deployment
from router.history import CallOrigins, messages_for, origin_provider
from router.model_call import ModelCall
from router.routed_turn import RoutedTurn
from tests.support.scripted_lane import ScriptedLane, call, delta, deployment, finish, router_over, text

DONE = [text("Done."), finish()]
CALLS = [call("multiply"), finish("tool_calls")]


def on(model: str, **fields: Any) -> Deployment:
    return Deployment(id=model, group="g", model=model, **fields)


def history(*ids: str, **beside: Any) -> list[dict[str, Any]]:
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": each, "type": "function", "function": function} for each in ids]
    results = [{"role": "tool", "tool_call_id": each, "content": "r"} for each in ids]
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": calls, **beside},
        *results,
    ]


def ids_at(model: str, *ids: str) -> list[str]:
    """The ids that the model is sent; each result follows its call."""
    sent = messages_for(on(model), history(*ids), {}, CallOrigins())
    called = [each["id"] for each in sent[1]["tool_calls"]]
    assert called == [each["tool_call_id"] for each in sent[2:]]
    return called


async def step(turn: RoutedTurn) -> None:
    async for _ in ModelCall(turn, [], {}).chunks():
        pass


@pytest.mark.parametrize(
    ("model", "fits"),
    [("openai/gpt-4.1", "call_0"), ("openai/gpt-4.1", "x" * 40), ("mistral/mistral-small", "D681PevKs")],
)
def test_an_id_that_fits_is_left_alone(model: str, fits: str) -> None:
    assert ids_at(model, fits) == [fits]


@pytest.mark.parametrize("id", ["x" * 41, "a b", "messages[1].x", "", "é", "\ud800"])
def test_an_id_that_does_not_fit_is_replaced_by_the_same_one_each_time(id: str) -> None:
    [first], [again] = ids_at("openai/gpt-4.1", id), ids_at("openai/gpt-4.1", id)
    assert first == again
    assert first.startswith("call_")
    assert len(first) <= 40


@pytest.mark.parametrize("model", ["mistral/mistral-small", "hosted_vllm/mistralai/Ministral-8B", "mistral/codestral"])
def test_mistral_gets_nine_letters_and_digits(model: str) -> None:
    ids = ids_at(model, "call_0", "call_1", "x" * 500)
    assert len(set(ids)) == 3
    assert all(len(each) == 9 and each.isalnum() for each in ids)


def test_a_message_is_not_changed_in_place() -> None:
    messages = history("x" * 50, origin={"provider": "gemini", "reasoning_content": "hm"})
    before = [dict(each) for each in messages]
    messages_for(on("openai/gpt-4.1"), messages, {}, CallOrigins())
    assert messages == before


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (on("openai/a"), on("openai/b"), True),
        (on("openai/a"), on("gpt-4.1"), True),
        (on("openai/a"), on("openai/a", api_base="http://127.0.0.1:8001/v1"), False),
        (on("openai/a", api_base="http://h/v1"), on("openai/b", api_base="http://h/other"), True),
        (on("openai/a", api_base="http://me:one@h/v1"), on("openai/a", api_base="http://me:two@h/v1"), True),
        (on("openrouter/deepseek/r1"), on("openrouter/qwen/q3"), False),
        (on("vertex_ai/gemini-3-pro"), on("gemini/gemini-3-pro"), False),
    ],
)
def test_who_is_the_same_provider(one: Deployment, other: Deployment, same: bool) -> None:
    assert (origin_provider(one) == origin_provider(other)) is same


def test_a_providers_name_has_no_address() -> None:
    address = "http://user:secret@internal:8001/v1"
    name = origin_provider(on("openai/a", api_base=address, api_key=SecretStr("sk-secret")))
    assert "internal" not in name
    assert "secret" not in name


def test_the_oldest_origins_are_forgotten() -> None:
    known = CallOrigins(max_bytes=10_000)
    for number in range(200):
        known.add([f"call_{number}"], {"provider": "p", "reasoning_content": "x" * 100})
    assert known.find(["call_0"]) is None
    assert known.find(["call_unknown", "call_199"]) is not None
    known.add(["call_big"], {"provider": "p", "reasoning_content": "x" * 20_000})
    assert known.find(["call_big"]) is None


@pytest.mark.parametrize(
    ("model", "fields", "wants"),
    [
        ("deepseek/deepseek-v4-flash", {}, True),
        ("deepseek/deepseek-v4-flash", {"params": {"thinking": {"type": "disabled"}}}, False),
        ("deepseek/deepseek-v4-flash", {"params": {"reasoning_effort": "none"}}, False),
        ("openai/deepseek-v4-flash", {"api_base": "https://api.deepseek.com/v1"}, True),
        ("groq/deepseek-r1-distill", {}, False),
    ],
)
def test_deepseek_gets_a_blank_thought_with_a_call_of_another(model: str, fields: dict[str, Any], wants: bool) -> None:
    sent = messages_for(on(model, **fields), history("call_0"), {}, CallOrigins())
    assert sent[1].get("reasoning_content") == (" " if wants else None)


@pytest.mark.parametrize("strategy", ["simple-shuffle", "least-busy", "latency-based-routing"])
async def test_a_turn_stays_on_the_deployment_that_began_it(strategy: str) -> None:
    lane = ScriptedLane({name: [CALLS] for name in "abcdefgh"})
    router = router_over(lane, *map(deployment, "abcdefgh"), routing_strategy=strategy)
    for _ in range(5):
        turn = router.begin("main")
        for _ in range(4):
            await step(turn)
    assert all(len(set(lane.tried[at : at + 4])) == 1 for at in range(0, 20, 4))


async def test_a_turn_stays_on_the_fallback_that_began_it() -> None:
    lane = ScriptedLane({"a": [[ProviderOverloaded("503")], DONE], "b": [CALLS]})
    deployments = deployment("a"), deployment("b", group="other")
    router = router_over(lane, *deployments, fallbacks={"main": ("other",)}, num_retries=0)
    turn = router.begin("main")
    await step(turn)
    await step(turn)
    assert lane.tried == ["a", "b", "b"]
    assert turn.record.model == "other"


async def test_a_turn_leaves_a_deployment_that_fails_and_stays_on_the_next() -> None:
    lane = ScriptedLane({"a": [CALLS, [ProviderOverloaded("503")], DONE], "b": [CALLS]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), num_retries=0)
    turn = router.begin("main")
    for _ in range(3):
        await step(turn)
    assert lane.tried == ["a", "a", "b", "b"]


async def test_a_turn_does_not_stay_where_the_breaker_is_open() -> None:
    lane = ScriptedLane({"a": [CALLS], "b": [CALLS]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), allowed_fails=0)
    turn = router.begin("main")
    await step(turn)
    router.breakers.begin("main/a").failed(ProviderOverloaded("503"))
    await step(turn)
    assert lane.tried == ["a", "b"]


async def test_a_deployment_is_tried_once_although_the_turn_stays_on_it() -> None:
    lane = ScriptedLane({"a": [CALLS, [ProviderOverloaded("503")]], "b": [DONE]})
    router = router_over(lane, deployment("a", order=1), deployment("b", order=2), num_retries=0, allowed_fails=100)
    turn = router.begin("main")
    await step(turn)
    await step(turn)
    assert lane.tried == ["a", "a", "b"]


async def test_thoughts_of_one_provider_are_not_sent_to_another() -> None:
    thinks = [delta({"role": "assistant", "reasoning_content": "Hm."}), *CALLS]
    lane = ScriptedLane({"openai/a": [thinks, [ProviderOverloaded("503")]], "groq/b": [DONE]})
    router = router_over(lane, deployment("openai/a", order=1), deployment("groq/b", order=2), num_retries=0)
    turn = router.begin("main")
    result = await RoutedChatModel().answer(turn, [HumanMessage("Hi")], {})
    await RoutedChatModel().answer(turn, [HumanMessage("Hi"), result.generations[0].message], {})
    [_, own, others] = [attempt.messages[1:] for attempt in lane.attempts]
    assert own[0]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in others[0]
