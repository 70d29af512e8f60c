"""A tool call breaks in the middle of its arguments: the caller must receive it whole, exactly once."""

from __future__ import annotations

from bench.exam.scenario import FakeDeployment, Scenario
from bench.exam.scenario_run import ScenarioRun

CUT, WHOLE = (FakeDeployment("fake-tool-cut"),), (FakeDeployment("fake-tool"),)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]},
    },
}
CHOICE = {"type": "function", "function": {"name": "get_weather"}}


async def callers_tool(run: ScenarioRun) -> None:
    answer = await run.ask(tools=[WEATHER], tool_choice=CHOICE)
    _check_single_call(run, answer.tool_calls, ("get_weather", {"city": "Paris"}))
    run.check_served_by(answer, "spare")
    run.check_attempts(answer, len(run.requests()))


async def transfer(run: ScenarioRun) -> None:
    answer = await run.ask()
    _check_single_call(run, answer.tool_calls, ("transferCall", {"destination": "+1234567890"}))
    run.require(answer.raw.count(b'"function_call"') == 1, "function_call is not present exactly once")
    run.check_served_by(answer, "spare")


def _check_single_call(run: ScenarioRun, calls: object, expected: object) -> None:
    run.require(calls == (expected,), f"not one whole call: {calls}")
    run.require(
        run.answers[-1].finish_reason == "tool_calls", f"the finish reason is {run.answers[-1].finish_reason!r}"
    )
    run.require(run.answers[-1].text == "", f"the call came with text: {run.answers[-1].text!r}")
    requests = len(run.requests("main"))
    run.require(1 <= requests <= 2, f"main received {requests} requests, not 1 or 2")
    run.check_requests("spare", 1)


TOOLS = (
    Scenario("tool-cut", "tool call cut in its arguments", {"main": CUT, "spare": WHOLE}, callers_tool),
    Scenario("transfer-cut", "transfer of the call cut in its arguments", {"main": CUT, "spare": WHOLE}, transfer),
)
