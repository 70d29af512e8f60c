"""`/v1/messages` as Anthropic's own client uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from router.fake.sample_text import ANSWER
from tests.support.serving import TOKEN, Served

ADD: Any = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


@pytest.fixture
async def client(server: Served) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=server.url, auth_token=TOKEN) as client:
        yield client


def ask(text: str = "Hi", model: str = "fake", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("name", ["fake", "gpt-4o"])
async def test_whole(client: AsyncAnthropic, name: str) -> None:
    message = await client.messages.create(**ask(model=name))
    assert [(each.type, each.text) for each in message.content if each.type == "text"] == [("text", "You said: Hi")]
    assert (message.model, message.role, message.stop_reason) == (name, "assistant", "end_turn")
    assert message.id.startswith("msg_") and message._request_id
    assert message.usage.output_tokens == 3


async def test_streamed(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**ask("/tokens 40"), system="Be kind.") as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert len(pieces) > 1
    assert message.content[0].type == "text" and message.content[0].text == "".join(pieces)
    assert message.usage.output_tokens == 40
    assert message.usage.input_tokens > 0


async def test_a_round_of_the_callers_tools(client: AsyncAnthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": '/call add {"a": 2}'}]
    called = await client.messages.create(model="fake", max_tokens=100, messages=messages, tools=[ADD])
    assert called.stop_reason == "tool_use"
    (call,) = called.content
    assert call.type == "tool_use" and (call.name, call.input) == ("add", {"a": 2})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "forty-two"}]}
    messages += [called.to_param(), {"role": "user", "content": [result]}]
    async with client.messages.stream(model="fake", max_tokens=100, messages=messages, tools=[ADD]) as stream:
        assert "forty-two" in await stream.get_final_text()


async def test_a_streamed_call_and_a_hand_off_of_the_agent(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**ask("A human, please.")) as stream:
        message = await stream.get_final_message()
    text, call = message.content
    assert text.type == "text" and text.text == "Connecting you now. "
    assert call.type == "tool_use" and (call.name, call.input) == ("transferCall", {"destination": "+1234567890"})


async def test_the_agents_own_tools_run_here(client: AsyncAnthropic) -> None:
    message = await client.messages.create(**ask('/call multiply {"a": 6, "b": 7}'))
    assert [each.type for each in message.content] == ["text"]
    assert message.content[0].type == "text" and "42" in message.content[0].text


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "add"}])
async def test_a_call_may_be_forced(client: AsyncAnthropic, choice: Any) -> None:
    message = await client.messages.create(**ask(tools=[ADD], tool_choice=choice))
    assert [each.name for each in message.content if each.type == "tool_use"] == ["add"]


async def test_the_length_ends_an_answer(client: AsyncAnthropic) -> None:
    message = await client.messages.create(**{**ask("/tokens 40"), "max_tokens": 5})
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 5)


async def test_tokens_are_estimated(client: AsyncAnthropic) -> None:
    messages: Any = [{"role": "user", "content": "x" * 400}]
    few = await client.messages.count_tokens(model="fake", messages=messages)
    more = await client.messages.count_tokens(model="fake", messages=messages, tools=[ADD], system="x" * 40)
    assert 100 <= few.input_tokens < more.input_tokens < 200


async def test_models(client: AsyncAnthropic) -> None:
    names = [model.id async for model in client.models.list()]
    assert "fake" in names and len(names) == len(set(names))
    assert (await client.models.retrieve("gpt-4o")).display_name == "gpt-4o"


async def test_without_a_valid_token(server: Served) -> None:
    async with AsyncAnthropic(base_url=server.url, api_key="wrong") as stranger:
        with pytest.raises(anthropic.AuthenticationError) as raised:
            await stranger.messages.create(**ask())
        with pytest.raises(anthropic.AuthenticationError):
            await stranger.models.list()
    assert raised.value.type == "authentication_error"
    assert raised.value.request_id


async def test_the_token_as_api_key(server: Served) -> None:
    async with AsyncAnthropic(base_url=server.url, api_key=TOKEN) as client:
        assert (await client.messages.create(**ask())).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("asked", "error", "kind"),
    [
        (ask(model="nobody"), anthropic.NotFoundError, "not_found_error"),
        (ask(extra_body={"temperature": 9}), anthropic.BadRequestError, "invalid_request_error"),
        (ask(tools=[{"type": "web_search_20250305", "name": "w"}]), anthropic.BadRequestError, "invalid_request_error"),
        (ask("/fail context"), anthropic.BadRequestError, "invalid_request_error"),
        (ask("/fail filter"), anthropic.BadRequestError, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_are_of_anthropics_classes(
    client: AsyncAnthropic, asked: dict[str, Any], error: type[anthropic.APIStatusError], kind: str, stream: bool
) -> None:
    with pytest.raises(error) as raised:
        await client.messages.create(**asked, stream=stream)
    assert raised.value.type == kind
    assert raised.value.body["error"]["message"]  # type: ignore[index,call-overload]


async def test_a_prompt_that_is_too_long_says_so_in_anthropics_words(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        await client.messages.create(**ask("/fail context"))


async def test_a_count_for_no_model(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.count_tokens(model="nobody", messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [("fake-429-direct", 429, "rate_limit_error"), ("fake-503-direct", 529, "overloaded_error")],
)
async def test_when_nobody_can_serve(client: AsyncAnthropic, model: str, status: int, kind: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        await client.with_options(max_retries=0).messages.create(**ask(model=model))
    assert (raised.value.status_code, raised.value.type) == (status, kind)


async def test_an_answer_that_breaks_off(client: AsyncAnthropic) -> None:
    said = ""
    with pytest.raises(anthropic.APIStatusError) as raised:
        async with client.messages.stream(**ask(model="fake-cut-direct")) as stream:
            async for piece in stream.text_stream:
                said += piece
    assert said and ANSWER.startswith(said.strip())
    assert raised.value.type == "api_error"


async def test_an_answer_that_breaks_off_is_no_whole_one(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.InternalServerError) as raised:
        await client.messages.create(**ask(model="fake-inband-error-direct"))
    assert raised.value.type in ("api_error", "overloaded_error")
