from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import ToolException

from agent.tools.caller_tools import CallerTool, hand_off_tool
from agent.tools.phone_lines import looks_like_line, with_allowed_lines
from agent.tools.tool_set import tool_set
from agent.tools.transfer_call import call_control, transfer_tool
from config.profile.agent_file import AgentProfile, Destination

SALES, SUPPORT = Destination("+15550001", "Sales"), Destination("sip:help@pbx.example", "Support")
ALLOWED = (SALES, SUPPORT)

NAMES = (
    "transferCall transfer_call transfer_to_number TransferCall transfer-call TRANSFER_CALL transferToNumber "
    "transfer_to_human functions.transferCall tools_transfer_call transfer_to_billing_agent forwardCall call_forward "
    "escalate_to_human handoff-to-operator warm_transfer endCall EndCall end-call functions.end_call hang_up"
).split()
ARGUMENTS = "destination transfer_number phoneNumber phone_number number sipUri extension to target note reason".split()

EVIL = "449876543210"
SHAPES = [
    f"+{EVIL}",
    f"00{EVIL}",
    "+44 (98) 765-432 10",
    f"tel:+{EVIL}",
    f"TEL:{EVIL};ext=9",
    f"sip:{EVIL}@evil.example",
    f"SIPS:{EVIL}@evil.example",
    f"sip%3A{EVIL}@evil.example",
    f"9,,{EVIL}#",
    f"+15550001,{EVIL}",
    f"+15550001 ext {EVIL}",
    f"+15550001;ext={EVIL}",
    f"callto:{EVIL}",
    f"sip: {EVIL}@evil.example",
    f"sip%253A{EVIL}@evil.example",
    "+44\u200b9876543210",
    "＋４４９８７６５４３２１０",  # full-width digits
    "٤٤٩٨٧٦٥٤٣٢١٠",  # Arabic digits
    "+44–9876–543210",
    int(EVIL),
    float(EVIL),
]


def declared(name: str, *arguments: str) -> CallerTool:
    return CallerTool(name, parameters={"type": "object", "properties": {each: {} for each in arguments}})


def digits(value: Any) -> str:
    return re.sub(r"\D", "", orjson.dumps(value).decode())


@given(
    name=st.sampled_from(NAMES),
    known=st.lists(st.sampled_from(ARGUMENTS), unique=True),
    argument=st.sampled_from(ARGUMENTS),
    shape=st.sampled_from(SHAPES),
    wrap=st.sampled_from([lambda x: x, lambda x: [x], lambda x: {"number": x}, lambda x: [{"deep": [x]}]]),
    beside=st.sampled_from([{}, {"destination": "Sales"}, {"transfer_number": "+15550001"}]),
)
def test_no_number_beside_the_list_leaves_in_any_argument_of_any_spelling(
    name: str, known: list[str], argument: str, shape: object, wrap: Any, beside: Mapping[str, Any]
) -> None:
    tool = hand_off_tool(declared(name, *known), ALLOWED)
    try:
        carried = tool.accept({**beside, argument: wrap(shape)})
    except ToolException:
        return
    assert set(carried) <= set(tool.args_schema["properties"])
    assert set(digits(carried)) <= set(digits(SALES.number)), carried


@pytest.mark.parametrize("name", NAMES)
def test_a_number_in_an_argument_of_the_callers_own_is_refused(name: str) -> None:
    tool = hand_off_tool(declared(name, "phone"), ALLOWED)
    with pytest.raises(ToolException, match="not allowed"):
        tool.accept({"phone": f"+{EVIL}"})


@pytest.mark.parametrize("argument", ["phoneNumber", "sipUri", "extension", "number"])
def test_an_argument_that_the_schema_does_not_know_is_left_out(argument: str) -> None:
    tool = transfer_tool("transferCall", ALLOWED)
    assert tool.accept({"destination": "Sales", argument: f"+{EVIL}"}) == {"destination": "+15550001"}


def test_an_unknown_key_inside_an_argument_is_left_out_too() -> None:
    inner = {"type": "object", "properties": {"text": {}}}
    parameters = {"type": "object", "properties": {"say": inner, "all": {"type": "array", "items": inner}}}
    tool = hand_off_tool(CallerTool("transfer_to_human", parameters=parameters), ALLOWED)
    given = {"say": {"text": "Hello.", "line": "9"}, "all": [{"text": "Bye.", "x": 1}]}
    assert tool.accept(given) == {"say": {"text": "Hello."}, "all": [{"text": "Bye."}]}


def test_the_default_does_not_hide_a_destination_under_another_name() -> None:
    tool = transfer_tool("transferCall", ALLOWED)
    with pytest.raises(ToolException):
        tool.accept({"phoneNumber": f"+{EVIL}"})
    assert tool.accept({"sipUri": "sip:help@pbx.example"}) == {"destination": SUPPORT.number}
    assert tool.accept({}) == {"destination": SALES.number}


def test_allowed_lines_are_carried_as_the_list_has_them_and_other_values_unchanged() -> None:
    tool = hand_off_tool(declared("TransferCall", "phoneNumber", "reason", "day", "urgent", "guests"), ALLOWED)
    given = {"phoneNumber": "tel:+1 555-0001", "reason": "Room 12, billing", "day": "2026-11-26", "urgent": True}
    assert tool.accept({**given, "guests": 3}) == {**given, "phoneNumber": "+15550001", "guests": 3}
    assert tool.args_schema["properties"]["phoneNumber"]["enum"] == [SALES.number, SUPPORT.number]


@pytest.mark.parametrize("value", ["evil.example", "sip.evil.example:5060", "x@evil", "911", "+1-900-EVIL"])
def test_an_argument_that_names_a_line_takes_only_allowed_ones(value: str) -> None:
    with pytest.raises(ToolException):
        hand_off_tool(declared("transfer_to_human", "sipUri"), ALLOWED).accept({"sipUri": value})


def test_without_a_list_nothing_is_a_destination() -> None:
    tool = hand_off_tool(declared("transferCall", "destination"), ())
    with pytest.raises(ToolException):
        tool.accept({"destination": "+15550001"})
    with pytest.raises(ToolException):
        tool.accept({})


@pytest.mark.parametrize("name", ["lookup", "send_call_summary", "transfer_money", "book_transfer", "refer_a_friend"])
def test_other_tools_are_handed_over_as_the_model_called_them(name: str) -> None:
    assert call_control(name) is None
    given = {"phone": f"+{EVIL}", "more": 1}
    assert hand_off_tool(declared(name, "phone"), ALLOWED).accept(given) == given


@pytest.mark.parametrize("name", ["transfer_to_human", "functions.transferCall", "Transfer-Call"])
def test_the_callers_transfer_replaces_the_agents_under_any_spelling(name: str) -> None:
    profile = AgentProfile("Be kind.", transfer_destinations=ALLOWED)
    assert [each.name for each in tool_set(profile, [declared(name)]).tools] == ["endCall", name]


def test_a_value_that_was_encoded_over_and_over_is_an_address_that_nobody_allows() -> None:
    hidden = "+" + EVIL
    for _ in range(20):
        hidden = hidden.replace("%", "%25").replace("+", "%2B")
    with pytest.raises(ToolException):
        with_allowed_lines({"note": hidden}, ALLOWED)


def test_a_long_encoded_value_is_read_in_a_moment() -> None:
    began = time.process_time()
    assert looks_like_line("%" + "25" * 500_000 + "41")
    assert time.process_time() - began < 5
