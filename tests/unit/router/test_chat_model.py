from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage

from config.errors import AnswerCut
from router.chat_model import chat_model
from router.lanes.base import Chunk
from tests.support.scripted_lane import ScriptedLane, call, delta, deployment, finish, router_over, text, usage

ANSWER = [
    text("One "),
    text("moment"),
    text("."),
    call("multiply", '{"a": 6, "b": 7}'),
    finish("tool_calls"),
    usage(5, 9),
]


class Listener(AsyncCallbackHandler):
    """What a tracer does: it is told of the model's beginning and end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.told.append("start")

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        self.told.append("end")


async def asked(callbacks: Sequence[Any]) -> tuple[AIMessage, list[str]]:
    heard: list[str] = []
    turn = router_over(ScriptedLane({"a": [ANSWER]}), deployment("a")).begin("main")
    model = chat_model(turn, {}, heard.append)
    return await model.ainvoke([HumanMessage("hi")], {"callbacks": list(callbacks)}), heard


@pytest.mark.parametrize("traced", [False, True])
async def test_text_is_heard_as_it_comes_and_the_message_is_whole(traced: bool) -> None:
    listener = Listener()
    message, heard = await asked([listener] if traced else [])
    assert heard == ["One ", "moment", "."]
    assert message.text == "One moment."
    assert [(each["name"], each["args"]) for each in message.tool_calls] == [("multiply", {"a": 6, "b": 7})]
    assert message.usage_metadata is not None and message.usage_metadata["output_tokens"] == 9
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert listener.told == (["start", "end"] if traced else [])


async def test_thoughts_are_kept_and_not_heard() -> None:
    thoughts = [delta({"role": "assistant", "reasoning_content": each}) for each in ("They are ", "in Paris.")]
    heard: list[str] = []
    turn = router_over(ScriptedLane({"a": [[*thoughts, text("Hi"), finish("length")]]}), deployment("a")).begin("main")
    message = await chat_model(turn, {}, heard.append).ainvoke([HumanMessage("hi")])
    assert heard == ["Hi"]
    assert message.additional_kwargs["reasoning_content"] == "They are in Paris."
    assert message.response_metadata["finish_reason"] == "length"


async def test_the_usage_is_what_all_attempts_of_an_answer_cost() -> None:
    def counted(prompt: int, completion: int, cached: int | None) -> Chunk:
        details = None if cached is None else {"cached_tokens": cached}
        chunk = usage(prompt, completion)
        return chunk | {"usage": chunk["usage"] | {"prompt_tokens_details": details}}

    cut = [text("One moment, I am looking it up. "), counted(5, 6, 2), AnswerCut("reset")]
    rest = [text("Your room is ready."), finish(), counted(9, 7, None)]
    router = router_over(ScriptedLane({"a": [cut], "b": [rest]}), deployment("a", order=1), deployment("b", order=2))
    message = await chat_model(router.begin("main"), {}, lambda _: None).ainvoke([HumanMessage("hi")])
    assert message.usage_metadata is not None
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (14, 13)
    assert message.usage_metadata["total_tokens"] == 27
    assert message.usage_metadata["input_token_details"]["cache_read"] == 2


async def test_each_turn_has_its_own_model() -> None:
    first, second = (router_over(ScriptedLane({}), deployment("a")).begin("main") for _ in range(2))
    one, other = chat_model(first, {"temperature": 1}, print), chat_model(second, {}, repr)
    assert (one.router, one.model_kwargs, one._on_text) == (first, {"temperature": 1}, print)
    assert (other.router, other.model_kwargs, other._on_text) == (second, {}, repr)


async def test_what_langchain_adds_does_not_reach_the_provider() -> None:
    lane = ScriptedLane({"a": [ANSWER]})
    turn = router_over(lane, deployment("a")).begin("main")
    await chat_model(turn, {"temperature": 0.5}, print).ainvoke([HumanMessage("hi")])
    assert lane.attempts[0].params == {"temperature": 0.5}
    assert lane.attempts[0].messages == [{"role": "user", "content": "hi"}]


async def test_a_call_whose_tokens_a_tracer_wants_takes_the_same_way() -> None:
    """LangChain would read `_astream` for such a tracer, which would bypass `on_text`."""
    heard: list[str] = []
    turn = router_over(ScriptedLane({"a": [ANSWER]}), deployment("a")).begin("main")
    events = [each async for each in chat_model(turn, {}, heard.append).astream_events([HumanMessage("hi")])]
    assert heard == ["One ", "moment", "."]
    assert events[-1]["data"]["output"].text == "One moment."
