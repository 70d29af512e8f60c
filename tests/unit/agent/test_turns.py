from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.tracers import context
from pydantic import BaseModel

from agent.events import Event, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFailed, TurnFinished, Usage
from agent.graph import AgentGraph, compile_graph
from agent.start_gate import StartGate
from agent.stream import AgentInput, AgentRun
from agent.tools.caller_tools import CallerTool
from agent.turn_context import TurnContext
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from config.errors import (
    AllDeploymentsFailed,
    AnswerCut,
    DeadlineExceeded,
    ModelNotFound,
    ProviderOverloaded,
    StepLimitReached,
    TurnSuperseded,
)
from config.models.deployments import Timeouts
from config.profile.agent_file import AgentProfile, Destination
from router.failover import RoutingOverrides
from tests.support.scripted_lane import HANG, Script, ScriptedLane, call, deployment, finish, router_over, text, usage

PROFILE = AgentProfile(
    system_prompt="Be kind.",
    tools=("transferCall", "endCall", "multiply"),
    transfer_destinations=(Destination("+15550001", "Sales"), Destination("+15550002", "Support")),
    max_steps=4,
)
DONE = [text("Done."), finish(), usage(2, 1)]


class Rig:
    """A turn service over scripts: one script for each model call."""

    def __init__(self, *scripts: Script, profile: AgentProfile = PROFILE, **timeouts: float) -> None:
        self.lane = ScriptedLane({"a": list(scripts)})
        settings = {"timeouts": Timeouts(**timeouts)} if timeouts else {}
        self.service = TurnService(router_over(self.lane, deployment("a"), num_retries=0, **settings), profile)

    async def events(self, said: str = "Hi", **request: Any) -> list[Event]:
        asked = TurnRequest(**{"model": "main", "messages": [HumanMessage(said)], **request})
        turn = self.service.begin(asked)
        async with aclosing(self.service.run(turn, asked.session_key)) as events:
            return _numbered([event async for event in events])

    @property
    def sent(self) -> list[list[tuple[str, Any]]]:
        """Role and content of what each model call was sent."""
        return [[(each["role"], each["content"]) for each in attempt.messages] for attempt in self.lane.attempts]


def _numbered(events: list[Event]) -> list[Event]:
    """The events with their tool calls numbered: the real ids are random."""
    ids: dict[str, str] = {}
    numbered: list[Event] = []
    for event in events:
        if isinstance(event, ToolStarted | ToolFinished | HandOff):
            event = replace(event, call_id=ids.setdefault(event.call_id, f"call_{len(ids) + 1}"))
        numbered.append(event)
    return numbered


async def test_a_plain_turn() -> None:
    rig = Rig([text("Hel"), text("lo."), finish(), usage(3, 2)])
    assert await rig.events() == [TextDelta("Hel"), TextDelta("lo."), Usage(3, 2), TurnFinished("stop")]
    assert rig.sent == [[("system", "Be kind."), ("user", "Hi")]]


async def test_the_agents_tool_runs_and_its_result_is_answered_with() -> None:
    rig = Rig([text("Let me see. "), call("multiply", '{"a":6,"b":7}'), finish("tool_calls"), usage(5, 4)], DONE)
    assert await rig.events() == [
        TextDelta("Let me see. "),
        ToolStarted("call_1", "multiply", {"a": 6, "b": 7}),
        ToolFinished("call_1", "multiply", "42", True),
        TextDelta("Done."),
        Usage(7, 5),
        TurnFinished("stop"),
    ]
    assert rig.sent[1][2:] == [("assistant", "Let me see. "), ("tool", "42")]


async def test_the_usage_has_the_cost_of_all_model_calls() -> None:
    rig = Rig([call("multiply", '{"a":6,"b":7}'), finish("tool_calls"), usage(5, 4)], DONE)
    prices = {"input_cost_per_token": 1, "output_cost_per_token": 10}
    rig.service = TurnService(router_over(rig.lane, deployment("a", info=prices)), PROFILE)
    assert Usage(7, 5, cost=57) in await rig.events()


@pytest.mark.parametrize(
    ("before", "after", "heard"),
    [
        ("One moment.", "It is 42.", "One moment. It is 42."),
        ("One moment. ", "It is 42.", "One moment. It is 42."),
        ("One moment.", "\nIt is 42.", "One moment.\nIt is 42."),
        ("请稍等。", "是四十二。", "请稍等。是四十二。"),
    ],
)
async def test_what_is_said_before_and_after_a_tool_does_not_run_together(before: str, after: str, heard: str) -> None:
    rig = Rig([text(before), call("multiply", '{"a":6,"b":7}')], [text(after[:3]), text(after[3:]), finish()])
    assert "".join(event.text for event in await rig.events() if isinstance(event, TextDelta)) == heard


async def test_a_tool_that_fails_tells_the_model_and_not_the_caller() -> None:
    rig = Rig([call("multiply", '{"a":"six"}'), finish("tool_calls")], DONE)
    events = await rig.events()
    assert [type(event) for event in events] == [ToolStarted, ToolFinished, TextDelta, Usage, TurnFinished]
    assert isinstance(events[1], ToolFinished)
    assert not events[1].ok


@pytest.mark.parametrize("destination", ["+15550002", "+1 555-0002", "tel:+15550002", "support"])
async def test_a_transfer_ends_the_turn_with_the_number_as_the_allow_list_spells_it(destination: str) -> None:
    rig = Rig([text("Connecting. "), call("transferCall", f'{{"destination":"{destination}"}}'), finish("tool_calls")])
    events = await rig.events()
    assert events[1] == HandOff("call_1", "transferCall", {"destination": "+15550002"})
    assert events[-1] == TurnFinished("tool_calls")
    assert len(rig.lane.attempts) == 1


async def test_a_transfer_without_a_destination_takes_the_first() -> None:
    assert HandOff("call_1", "transferCall", {"destination": "+15550001"}) in await Rig([call("transferCall")]).events()


@pytest.mark.parametrize("destination", ["+15550003", "+155500020", "15550002", "sip:x@evil", "Sales;Support", "*"])
async def test_a_destination_that_is_not_on_the_list_is_refused_and_the_model_has_to_say_so(destination: str) -> None:
    rig = Rig([text("Sure. "), call("transferCall", f'{{"destination":"{destination}"}}'), usage(1, 1)], DONE)
    assert await rig.events() == [TextDelta("Sure. "), TextDelta("Done."), Usage(3, 2), TurnFinished("stop")]
    role, told = rig.sent[1][-1]
    assert role == "tool"
    assert "not allowed" in told


@pytest.mark.parametrize("arguments", ['{"destination":["+15550002"]}', '{"destination":{"number":"+15550002"}}'])
async def test_a_destination_of_the_wrong_type_is_refused(arguments: str) -> None:
    assert not [
        event for event in await Rig([call("transferCall", arguments)], DONE).events() if isinstance(event, HandOff)
    ]


async def test_a_transfer_beside_another_tool_runs_the_tool_and_hands_off() -> None:
    both = [call("multiply", '{"a":2,"b":2}', "c1", 0), call("transferCall", "{}", "c2", 1), finish("tool_calls")]
    rig = Rig(both)
    events = await rig.events()
    assert ToolFinished("call_1", "multiply", "4", True) in events
    assert isinstance(events[-3], HandOff)
    assert len(rig.lane.attempts) == 1


async def test_hand_offs_keep_the_models_order() -> None:
    tools = [CallerTool("first"), CallerTool("second")]
    made = [call("second", "{}", "c1", 0), call("first", "{}", "c2", 1), finish("tool_calls")]
    events = await Rig(made).events(caller_tools=tools)
    assert [event.name for event in events if isinstance(event, HandOff)] == ["second", "first"]


async def test_the_callers_tools_are_offered_as_it_wrote_them_and_take_the_place_of_ours() -> None:
    schema = {"type": "object", "properties": {"transfer_number": {"type": "string"}}, "x-extra": 1}
    tools = [CallerTool("transfer_to_number", "Hand over.", schema), CallerTool("lookup", "", {"type": "object"}, True)]
    rig = Rig(DONE)
    await rig.events(caller_tools=tools)
    offered = {each["function"]["name"]: each["function"] for each in rig.lane.attempts[0].params["tools"]}
    assert list(offered) == ["endCall", "multiply", "transfer_to_number", "lookup"]
    assert offered["transfer_to_number"]["description"] == "Hand over."
    assert offered["transfer_to_number"]["parameters"]["x-extra"] == 1
    assert offered["transfer_to_number"]["parameters"]["properties"]["transfer_number"]["enum"] == [
        "+15550001",
        "+15550002",
    ]
    assert offered["lookup"]["strict"] is True


async def test_the_allow_list_holds_for_the_callers_own_transfer_tool() -> None:
    tools = [CallerTool("transfer_to_number", "", {"type": "object", "properties": {}})]
    rig = Rig([call("transfer_to_number", '{"transfer_number":"+666"}')], DONE)
    assert not [event for event in await rig.events(caller_tools=tools) if isinstance(event, HandOff)]


async def test_a_forced_call_is_forced_once() -> None:
    rig = Rig([call("multiply", '{"a":1,"b":1}')], DONE)
    await rig.events(tool_choice="required")
    assert [attempt.params.get("tool_choice") for attempt in rig.lane.attempts] == ["required", None]


async def test_the_last_step_has_to_speak() -> None:
    rig = Rig(
        [call("multiply", '{"a":1,"b":1}')],
        [call("multiply", '{"a":1,"b":1}')],
        [call("multiply", '{"a":1,"b":1}')],
        DONE,
    )
    assert (await rig.events())[-1] == TurnFinished("stop")
    assert [attempt.params.get("tool_choice") for attempt in rig.lane.attempts] == [None, None, None, "none"]


async def test_an_agent_that_never_comes_to_an_end_is_stopped() -> None:
    rig = Rig([call("multiply", '{"a":1,"b":1}')])
    failed = (await rig.events())[-1]
    assert isinstance(failed, TurnFailed)
    assert isinstance(failed.error, StepLimitReached)
    assert len(rig.lane.attempts) == PROFILE.max_steps


@pytest.mark.parametrize(("mode", "systems"), [("replace", ["Be rude."]), ("append", ["Be kind.", "Be rude."])])
async def test_the_callers_system_message_replaces_or_follows_the_prompt(mode: Any, systems: list[str]) -> None:
    rig = Rig(DONE, profile=AgentProfile("Be kind.", system_prompt_mode=mode))
    await rig.events(messages=[SystemMessage("Be rude."), HumanMessage("Hi")])
    assert [content for role, content in rig.sent[0] if role == "system"] == systems


@pytest.mark.parametrize(
    ("reason", "told"), [("length", "length"), ("content_filter", "content_filter"), ("eos", "stop")]
)
async def test_the_finish_reason_is_the_providers_in_openais_words(reason: str, told: str) -> None:
    assert (await Rig([text("Hm."), finish(reason)]).events())[-1] == TurnFinished(told)  # type: ignore[arg-type]


async def test_a_turn_that_fails_says_so_as_its_last_event() -> None:
    [failed] = await Rig([ProviderOverloaded("503")]).events()
    assert isinstance(failed, TurnFailed)
    assert isinstance(failed.error, AllDeploymentsFailed)


async def test_a_bug_ends_the_turn_without_its_details() -> None:
    [failed] = await Rig([KeyError("sk-secret")]).events()
    assert isinstance(failed, TurnFailed)
    assert "sk-secret" not in str(failed.error)


async def test_the_deadline_ends_a_turn_that_waits() -> None:
    [failed] = await Rig([HANG], turn_deadline=0.02).events()
    assert isinstance(failed, TurnFailed)
    assert isinstance(failed.error, DeadlineExceeded)


async def test_a_caller_may_shorten_the_deadline_but_not_stretch_it() -> None:
    [failed] = await Rig([HANG]).events(overrides=RoutingOverrides(turn_deadline=0.02))
    assert isinstance(failed, TurnFailed)
    [failed] = await Rig([HANG], turn_deadline=0.02).events(overrides=RoutingOverrides(turn_deadline=3600))
    assert isinstance(failed, TurnFailed)


async def test_a_newer_turn_on_the_session_ends_the_older_one_and_closes_its_stream() -> None:
    rig = Rig([text("Once upon"), HANG], DONE)
    older = rig.service.begin(TurnRequest("main", [HumanMessage("Tell me a story")], session_key="s"))
    async with aclosing(rig.service.run(older, "s")) as events:
        assert await anext(events) == TextDelta("Once upon")
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        assert (await rig.events(session_key="s"))[-1] == TurnFinished("stop")
        failed = await waiting
    assert isinstance(failed, TurnFailed)
    assert isinstance(failed.error, TurnSuperseded)
    assert rig.lane.closed == 2


async def test_other_sessions_and_requests_without_one_go_on() -> None:
    rig = Rig([text("Once upon"), text(" a time."), finish()], DONE)
    older = rig.service.begin(TurnRequest("main", [HumanMessage("Hi")], session_key="s"))
    async with aclosing(rig.service.run(older, "s")) as events:
        await anext(events)
        await rig.events(session_key="t")
        await rig.events()
        assert [event async for event in events][-1] == TurnFinished("stop")


async def test_cancelling_closes_the_providers_stream() -> None:
    rig = Rig([text("Hel"), HANG])
    reading = asyncio.create_task(rig.events())
    while not rig.lane.attempts:
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert rig.lane.closed == 1


async def test_graphs_are_compiled_once_for_each_set_of_tools() -> None:
    rig = Rig(DONE)
    for tools in ([], [CallerTool("lookup")], [CallerTool("lookup")], []):
        await rig.events(caller_tools=tools)
    assert len(rig.service.graphs._kept) == 2


async def test_graphs_are_kept_by_their_size_as_well_as_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.compiled_graphs.COMPILED_TOOL_BYTES", 3000)
    rig = Rig(DONE)
    for name in ("a", "b", "c", "d"):
        await rig.events(caller_tools=[CallerTool(name, "x" * 1000)])
    assert len(rig.service.graphs._kept) == 2
    await rig.events(caller_tools=[CallerTool("large", "x" * 10_000)])
    assert len(rig.service.graphs._kept) == 2


def test_an_unknown_model_is_refused_before_anything_runs() -> None:
    with pytest.raises(ModelNotFound):
        Rig(DONE).service.begin(TurnRequest("gpt-9", [HumanMessage("Hi")]))


class Tracer(AsyncCallbackHandler):
    """Notes the runs that begin, as a tracer does."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    async def on_chain_start(self, *_: Any, name: str, **__: Any) -> None:
        self.runs.append(name)

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.runs.append("model")

    async def on_tool_start(self, serialized: dict[str, Any], *_: Any, **__: Any) -> None:
        self.runs.append(serialized["name"])


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    """A tracer that LangChain finds for itself, as it finds one that the environment names."""
    found = Tracer()
    hook = ContextVar[Tracer | None]("hook", default=found)
    monkeypatch.setattr(context, "_configure_hooks", [(hook, True, None, None)])
    return found


STEPS = [[text("Let me see. "), call("multiply", '{"a":6,"b":7}'), finish("tool_calls"), usage(5, 4)], DONE]
REFUSED = [[text("Sure. "), call("transferCall", '{"destination":"+666"}'), usage(1, 1)], DONE]
TURNS: dict[str, list[Script]] = {
    "plain": [DONE],
    "a tool": STEPS,
    "a hand-off": [[text("Bye. "), call("transferCall", "{}"), finish("tool_calls")]],
    "a refused hand-off": REFUSED,
    "a failure": [[ProviderOverloaded("503")]],
    "a cut": [[text("Once"), AnswerCut("reset")]],
}


@pytest.mark.parametrize("turn", TURNS)
async def test_a_traced_turn_has_the_same_events(turn: str, request: pytest.FixtureRequest) -> None:
    untraced = await Rig(*TURNS[turn]).events()
    tracer = request.getfixturevalue("tracer")
    traced = await Rig(*TURNS[turn]).events()
    assert [repr(each) for each in traced] == [repr(each) for each in untraced]
    assert "model" in tracer.runs


async def test_a_tracer_sees_every_step(tracer: Tracer) -> None:
    await Rig(*STEPS).events()
    assert [each for each in tracer.runs if each in ("model", "multiply")] == ["model", "multiply", "model"]
    assert [tracer.runs.count(each) for each in ("LangGraph", "tools")] == [1, 1]


class GraphRig(Rig):
    """Runs one graph that the test compiled itself."""

    def run(self, gate: StartGate | None = None, **options: Any) -> tuple[AgentGraph, AgentRun, TurnContext]:
        tools, _ = self.service.graphs.for_thread()
        graph = compile_graph(tools, **options)

        async def prompt(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
            return list(messages)

        context = TurnContext(self.service.router.begin("main"), prompt)
        return (
            graph,
            AgentRun(graph, tools.hand_offs, AgentInput([HumanMessage("Hi")]), context, gate or StartGate()),
            context,
        )


async def test_hooks_of_create_react_agent_work_as_langgraph_documents_them() -> None:
    """A `post_model_hook` sees each answer of the model; one that adds nothing changes nothing."""
    seen: list[str] = []

    def hook(state: dict[str, Any]) -> dict[str, Any]:
        seen.append(state["messages"][-1].text)
        return {}

    _, run, _ = GraphRig(*STEPS).run(post_model_hook=hook)
    assert _numbered([event async for event in run.events()]) == await Rig(*STEPS).events()
    assert seen == ["Let me see. ", "Done."]


class City(BaseModel):
    name: str


async def test_a_response_format_is_answered_as_langgraph_documents_it() -> None:
    rig = GraphRig(DONE, [text('{"name":"Paris"}'), finish()])
    graph, _, context = rig.run(response_format=City)
    state = await graph.ainvoke({"messages": [HumanMessage("Hi")]}, context=context)
    assert state["structured_response"] == City(name="Paris")
    assert [attempt.params.get("response_format", {}).get("type") for attempt in rig.lane.attempts] == [
        None,
        "json_schema",
    ]


async def test_a_listener_for_tokens_gets_the_same_single_model_call() -> None:
    """For such a listener LangChain would stream from the chat model itself, past LangGraph's stream writer."""
    rig = GraphRig(DONE)
    graph, _, context = rig.run()
    given = {"messages": [HumanMessage("Hi")]}
    events = [each async for each in graph.astream_events(given, version="v2", context=context)]
    assert events[-1]["data"]["output"]["messages"][-1].text == "Done."
    assert len(rig.lane.attempts) == 1


async def test_a_turn_that_waits_for_its_provider_lets_others_set_up() -> None:
    rig = GraphRig([HANG], DONE)
    gate = StartGate(at_once=1, crowd=0)
    waiting = asyncio.create_task(anext(rig.run(gate)[1].events()))
    while not rig.lane.attempts:
        await asyncio.sleep(0)
    assert [event async for event in rig.run(gate)[1].events()][-1] == TurnFinished("stop")
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.parametrize("crowd", [0, 1])
async def test_only_in_a_crowd_a_turn_waits_for_another_to_set_up(crowd: int) -> None:
    rig = GraphRig(DONE)
    gate = StartGate(at_once=1, crowd=crowd)
    context = rig.run()[2]
    async with gate.turn(context):  # a turn that still sets up, or is the only one
        last = asyncio.create_task(_last(rig.run(gate)[1]))
        for _ in range(200):
            await asyncio.sleep(0)
        assert last.done() is (crowd == 1)
        if crowd == 0:
            cancelled = asyncio.create_task(_last(rig.run(gate)[1]))
            await asyncio.sleep(0)
            cancelled.cancel()  # leaves its place in the line
            await asyncio.wait([cancelled])
    assert await last == TurnFinished("stop")


async def _last(run: AgentRun) -> Event:
    return [event async for event in run.events()][-1]


ADD, FIND = CallerTool("add"), CallerTool("find")


@pytest.mark.parametrize(
    ("request_", "first", "second"),
    [
        ({}, ["multiply", "add", "find"], ["multiply", "add", "find"]),
        ({"tool_choice": "none"}, ["multiply", "add", "find"], ["multiply", "add", "find"]),
        ({"tool_choice": "required"}, ["add", "find"], ["multiply", "add", "find"]),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            ["add", "find"],
            ["multiply", "add", "find"],
        ),
        ({"allowed_tools": frozenset({"add"})}, ["multiply", "add"], ["multiply", "add"]),
        ({"allowed_tools": frozenset({"add"}), "tool_choice": "required"}, ["add"], ["multiply", "add"]),
    ],
)
async def test_who_forces_a_call_is_offered_only_its_own_tools(
    request_: dict[str, Any], first: list[str], second: list[str]
) -> None:
    profile = AgentProfile("Be kind.", tools=("multiply",))
    rig = Rig([call("multiply", '{"a":1,"b":2}'), finish("tool_calls")], DONE, profile=profile)
    await rig.events(caller_tools=[ADD, FIND], **request_)
    offered = [[each["function"]["name"] for each in attempt.params["tools"]] for attempt in rig.lane.attempts]
    assert offered == [first, second]


async def test_without_tools_of_the_caller_a_forced_call_is_one_of_the_agents() -> None:
    rig = Rig([call("multiply", '{"a":1,"b":2}'), finish("tool_calls")], DONE)
    await rig.events(tool_choice="required")
    assert rig.lane.attempts[0].params["tools"]


@pytest.mark.parametrize(
    ("info", "hand_offs", "offered"),
    [
        ({}, None, ["endCall", "multiply", "transfer_to_number"]),
        ({}, False, ["multiply", "transfer_to_number"]),
        ({"hand_offs": False}, None, ["multiply", "transfer_to_number"]),
        ({"hand_offs": False}, True, ["endCall", "multiply", "transfer_to_number"]),
    ],
)
async def test_a_caller_that_does_not_know_the_agents_hand_offs_is_not_given_any(
    info: dict[str, Any], hand_offs: bool | None, offered: list[str]
) -> None:
    lane = ScriptedLane({"a": [DONE]})
    service = TurnService(router_over(lane, deployment("a", info=info)), PROFILE)
    asked = TurnRequest("main", [HumanMessage("Hi")], [CallerTool("transfer_to_number")], hand_offs=hand_offs)
    async with aclosing(service.run(service.begin(asked))) as events:
        assert [event async for event in events][-1] == TurnFinished("stop")
    assert [each["function"]["name"] for each in lane.attempts[0].params["tools"]] == offered


async def test_the_agent_s_own_work_is_counted_under_its_name() -> None:
    rig = Rig([text("Short."), finish(), usage(30, 2)], [ProviderOverloaded("503")])
    assert await rig.service.ask("main", [HumanMessage("Summarize.")]) == "Short."
    with pytest.raises(AllDeploymentsFailed):
        await rig.service.ask("main", [HumanMessage("Summarize.")])
    agent = rig.service.statistics.since_start.of("callers", "agent")
    assert (agent["turns.stop"], agent["turns.all_deployments_failed"]) == (1, 1)
    assert (agent["input_tokens"], agent["output_tokens"]) == (30, 2)
    assert rig.service.statistics.running == 0


async def test_a_turn_is_counted_by_its_caller_and_model() -> None:
    rig = Rig(DONE)
    await rig.events(caller="ann")
    counts = rig.service.statistics.since_start
    assert counts.of("callers", "ann")["turns.stop"] == counts.of("models", "main")["turns.stop"] == 1


async def test_a_turn_that_the_caller_leaves_is_counted_as_cancelled() -> None:
    rig = Rig([text("Hel"), HANG])
    turn = rig.service.begin(TurnRequest("main", [HumanMessage("Hi")]))
    async with aclosing(turn.events()) as events:
        assert rig.service.statistics.running == 0
        await anext(events)
        assert rig.service.statistics.running == 1
    model = rig.service.statistics.since_start.of("models", "main")
    assert (rig.service.statistics.running, model["turns.cancelled"]) == (0, 1)
    assert model["first_token_us"] > 0


async def test_a_crash_is_counted_as_an_internal_error() -> None:
    rig = Rig([RuntimeError("a bug")])
    with pytest.raises(RuntimeError):
        await rig.service.ask("main", [HumanMessage("Summarize.")])
    assert rig.service.statistics.since_start.of("callers", "agent")["turns.internal_error"] == 1
