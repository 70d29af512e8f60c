from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from agent.chat_model import RoutedChatModel
from agent.events import ReasoningDelta, TextDelta
from config.errors import AnswerCut
from router.failover import FailoverRouter
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


async def answer(router: FailoverRouter, **params: Any) -> tuple[AIMessage, list[str], str | None]:
    """The message, the text as it came, and the finish reason."""
    texts: list[str] = []

    def hear(delta: TextDelta | ReasoningDelta) -> None:
        if isinstance(delta, TextDelta):
            texts.append(delta.text)

    result = await RoutedChatModel().answer(router.begin("main"), [HumanMessage("hi")], params, hear)
    (generation,) = result.generations
    assert isinstance(generation.message, AIMessage)
    return generation.message, texts, (generation.generation_info or {})["finish_reason"]


async def test_text_comes_as_it_arrives_and_the_message_is_complete() -> None:
    message, texts, reason = await answer(router_over(ScriptedLane({"a": [ANSWER]}), deployment("a")))
    assert texts == ["One ", "moment", "."]
    assert message.text == "One moment."
    assert [(each["name"], each["args"]) for each in message.tool_calls] == [("multiply", {"a": 6, "b": 7})]
    assert message.usage_metadata is not None and message.usage_metadata["output_tokens"] == 9
    assert message.response_metadata["model_name"] == "main"
    assert reason == "tool_calls"


async def test_reasoning_is_kept_and_not_spoken() -> None:
    thoughts = [delta({"role": "assistant", "reasoning_content": each}) for each in ("They are ", "in Paris.")]
    lane = ScriptedLane({"a": [[*thoughts, text("Hi"), finish("length")]]})
    message, texts, reason = await answer(router_over(lane, deployment("a")))
    assert texts == ["Hi"]
    assert message.additional_kwargs["reasoning_content"] == "They are in Paris."
    assert reason == "length"


async def test_the_usage_is_what_all_attempts_of_an_answer_cost() -> None:
    def counted(prompt: int, completion: int, cached: int | None) -> Chunk:
        details = None if cached is None else {"cached_tokens": cached}
        chunk = usage(prompt, completion)
        return chunk | {"usage": chunk["usage"] | {"prompt_tokens_details": details}}

    cut = [text("One moment, I am looking it up. "), counted(5, 6, 2), AnswerCut("reset")]
    rest = [text("Your room is ready."), finish(), counted(9, 7, None)]
    router = router_over(ScriptedLane({"a": [cut], "b": [rest]}), deployment("a", order=1), deployment("b", order=2))
    message, _, _ = await answer(router)
    assert message.usage_metadata is not None
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (14, 13)
    assert message.usage_metadata["total_tokens"] == 27
    assert message.usage_metadata["input_token_details"]["cache_read"] == 2


async def test_what_langchain_adds_does_not_reach_the_provider() -> None:
    lane = ScriptedLane({"a": [ANSWER]})
    await answer(router_over(lane, deployment("a")), temperature=0.5)
    assert lane.attempts[0].params == {"temperature": 0.5}
    assert lane.attempts[0].messages == [{"role": "user", "content": "hi"}]
