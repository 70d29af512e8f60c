from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from agent.graph import AgentGraph, compile_graph, first_input
from agent.tools.tool_set import tool_set
from tests.unit.agent.test_turns import PROFILE


class Speaking(Runnable[Any, Any]):
    """A step's model that always says the same; it stands for the turn's context too."""

    def invoke(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> AIMessage:
        return AIMessage(f"I heard {len(input['messages'])}.")

    def next_step(self) -> Runnable[Any, Any]:
        return self


async def ran(graph: AgentGraph, config: dict[str, Any], *, stored: bool) -> tuple[list[int], list[str]]:
    """The numbers of the steps that LangGraph took, and what was said."""
    given = first_input([HumanMessage("Hi"), HumanMessage("Hi")], stored=stored)
    steps: list[int] = []
    said: list[str] = []
    stream: Any = graph.astream(given, config, context=Speaking(), stream_mode=["debug", "updates"])  # type: ignore[call-overload]
    async for mode, value in stream:
        if mode == "updates":
            said += [message.text for message in value["agent"]["messages"]]
        elif value["type"] == "task":
            steps.append(value["step"])
    return steps, said


@pytest.mark.parametrize("traced", [False, True])
async def test_a_turn_without_a_thread_begins_with_the_agents_step(traced: bool) -> None:
    graph = compile_graph(tool_set(PROFILE, (), ()), traced=traced)
    for _ in range(2):
        steps, said = await ran(graph, {}, stored=False)
        assert (len(steps), said) == (1, ["I heard 2."])
        assert steps[0] == 0


async def test_a_stored_thread_keeps_what_it_heard() -> None:
    graph = compile_graph(tool_set(PROFILE, (), ()), InMemorySaver())
    config = {"configurable": {"thread_id": "t"}}
    assert (await ran(graph, config, stored=True))[1] == ["I heard 2."]
    assert (await ran(graph, config, stored=True))[1] == ["I heard 5."]
