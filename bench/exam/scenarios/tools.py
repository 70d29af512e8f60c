"""A tool call breaks in the middle of its arguments: it must reach the caller whole, and once."""

from __future__ import annotations

from bench.exam.scenario import Provider, Scenario
from bench.exam.sitting import Sitting

CUT, WHOLE = (Provider("fake-tool-cut"),), (Provider("fake-tool"),)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]},
    },
}
CHOICE = {"type": "function", "function": {"name": "get_weather"}}


async def callers_tool(at: Sitting) -> None:
    heard = await at.ask(tools=[WEATHER], tool_choice=CHOICE)
    _called_once(at, heard.calls, ("get_weather", {"city": "Paris"}))
    at.served(heard, "spare")
    at.attempts(heard, len(at.log()))


async def transfer(at: Sitting) -> None:
    heard = await at.ask()
    _called_once(at, heard.calls, ("transferCall", {"destination": "+1234567890"}))
    at.require(heard.raw.count(b'"function_call"') == 1, "function_call does not stand beside the call once")
    at.served(heard, "spare")


def _called_once(at: Sitting, calls: object, wanted: object) -> None:
    at.require(calls == (wanted,), f"not one whole call: {calls}")
    at.require(at.heard[-1].finish == "tool_calls", f"the finish reason is {at.heard[-1].finish!r}")
    at.require(at.heard[-1].text == "", f"words came with it: {at.heard[-1].text!r}")
    at.require(1 <= len(at.log("main")) <= 2, f"the provider was asked {len(at.log('main'))} times, not once or twice")
    at.asked("spare", 1)


TOOLS = (
    Scenario("tool-cut", "tool call cut in its arguments", {"main": CUT, "spare": WHOLE}, callers_tool),
    Scenario("transfer-cut", "transfer of the call cut in its arguments", {"main": CUT, "spare": WHOLE}, transfer),
)
