"""Agent frameworks that speak OpenAI's Responses API, against the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import Agent, ModelSettings, OpenAIProvider, RunConfig, Runner, function_tool
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider as PydanticProvider

from tests.support.serving import TOKEN, Served

ASKED = '/call lookup {"name": "Ada"}\n/then\n/say Found her.'


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
async def openai(server: Served) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
        yield client


@pytest.fixture
def asked() -> list[str]:
    """The names that `lookup` was asked for."""
    return []


@pytest.fixture
def config(openai: AsyncOpenAI) -> RunConfig:
    """The Agents SDK with its default model of OpenAI."""
    return RunConfig(model_provider=OpenAIProvider(openai_client=openai), tracing_disabled=True)


@pytest.fixture
def agent(asked: list[str]) -> Agent[Any]:
    @function_tool
    def lookup(name: str) -> str:
        """Look up a customer."""
        asked.append(name)
        return f"{name} Lovelace"

    return Agent(name="desk", instructions="Be brief.", model="fake", tools=[lookup])


async def test_the_agents_sdk_runs_its_tool_and_gets_the_answer(
    agent: Agent[Any], config: RunConfig, asked: list[str]
) -> None:
    result = await Runner.run(agent, ASKED, run_config=config)
    assert (result.final_output, asked) == ("Found her.", ["Ada"])
    assert result.context_wrapper.usage.total_tokens > 0


async def test_the_agents_sdk_streams(agent: Agent[Any], config: RunConfig, asked: list[str]) -> None:
    result = Runner.run_streamed(agent, ASKED, run_config=config)
    raw = [event.data.type async for event in result.stream_events() if event.type == "raw_response_event"]
    assert (result.final_output, asked) == ("Found her.", ["Ada"])
    assert raw.count("response.completed") == 2


async def test_the_agents_sdk_goes_on_after_a_stored_response(agent: Agent[Any], config: RunConfig) -> None:
    first = await Runner.run(agent, "Hi", run_config=config)
    second = await Runner.run(
        agent,
        "/say Yes.",
        run_config=config,
        previous_response_id=first.last_response_id,
        auto_previous_response_id=True,
    )
    assert second.final_output == "Yes."


async def test_the_agents_sdk_parses_a_shape(config: RunConfig) -> None:
    settings = ModelSettings(max_tokens=500, parallel_tool_calls=False, truncation="disabled")
    agent = Agent(name="atlas", model="fake", output_type=City, model_settings=settings)
    assert isinstance((await Runner.run(agent, "A city", run_config=config)).final_output, City)


@pytest.fixture
def model(openai: AsyncOpenAI) -> OpenAIResponsesModel:
    return OpenAIResponsesModel("fake", provider=PydanticProvider(openai_client=openai))


async def test_pydantic_ai_runs_its_tool_and_gets_the_answer(model: OpenAIResponsesModel, asked: list[str]) -> None:
    agent = PydanticAgent(model, instructions="Be brief.")

    @agent.tool_plain
    def lookup(name: str) -> str:
        asked.append(name)
        return f"{name} Lovelace"

    result = await agent.run(ASKED)
    assert (result.output, asked) == ("Found her.", ["Ada"])
    async with agent.run_stream("/say Once more.", message_history=result.all_messages()) as stream:
        assert await stream.get_output() == "Once more."


async def test_pydantic_ai_goes_on_after_a_stored_response(model: OpenAIResponsesModel) -> None:
    agent = PydanticAgent(model)
    first = await agent.run("Hi")
    settings = OpenAIResponsesModelSettings(openai_previous_response_id="auto")
    second = await agent.run("/say Yes.", message_history=first.all_messages(), model_settings=settings)
    assert second.output == "Yes."


async def test_pydantic_ai_parses_a_shape(model: OpenAIResponsesModel) -> None:
    assert isinstance((await PydanticAgent(model, output_type=City).run("A city")).output, City)


async def test_langchain_streams_calls_its_tool_and_parses_a_shape(server: Served) -> None:
    def lookup(name: str) -> str:
        """Look up a customer."""
        return name

    chat = ChatOpenAI(
        model="fake", base_url=f"{server.url}/v1", api_key=SecretStr(TOKEN), use_responses_api=True, max_retries=0
    )
    bound = chat.bind_tools([lookup])
    question = HumanMessage('/say One moment.\n/call lookup {"name": "Ada"}\n/then\n/say Found her.')
    answer: Any = None
    async for chunk in bound.astream([question]):
        answer = chunk if answer is None else answer + chunk
    [call] = answer.tool_calls
    assert (answer.text, call["args"]) == ("One moment.", {"name": "Ada"})
    found = await bound.ainvoke([question, answer, ToolMessage("Ada Lovelace", tool_call_id=call["id"])])
    assert found.text == "Found her."
    assert isinstance(await chat.with_structured_output(City).ainvoke("A city"), City)
