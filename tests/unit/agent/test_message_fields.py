from __future__ import annotations

import json

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage, convert_to_messages

from agent.message_fields import all_fields

HISTORY: list[AnyMessage] = [
    HumanMessage("Hi", id="1"),
    AIMessage(
        "",
        id="2",
        tool_calls=[{"name": "multiply", "args": {"a": 6, "b": "ü"}, "id": "c1"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    ),
    ToolMessage("42", tool_call_id="c1", name="multiply", id="3", status="error"),
]


def test_a_client_of_langchain_reads_the_messages() -> None:
    sent = json.loads(json.dumps(all_fields(HISTORY)))
    asked, called, result = convert_to_messages(sent)
    assert (asked.type, asked.content, asked.id) == ("human", "Hi", "1")
    assert isinstance(called, AIMessage)
    [call] = called.tool_calls
    assert (call["name"], call["args"], call["id"]) == ("multiply", {"a": 6, "b": "ü"}, "c1")
    assert isinstance(result, ToolMessage)
    assert (result.tool_call_id, result.content) == ("c1", "42")
    for message, fields in zip(HISTORY, sent, strict=True):
        dump = message.model_dump(mode="json")
        assert {name: fields.get(name) for name in dump if name not in ("tool_calls", "artifact")} == {
            name: each for name, each in dump.items() if name not in ("tool_calls", "artifact")
        }


def test_a_client_of_openai_reads_the_messages() -> None:
    asked, called, result = all_fields(HISTORY)
    assert (asked["role"], asked["content"]) == ("user", "Hi")
    [call] = called["tool_calls"]
    assert (called["role"], call["id"], call["function"]["name"]) == ("assistant", "c1", "multiply")
    assert json.loads(call["function"]["arguments"]) == {"a": 6, "b": "ü"}
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "c1", "42")


def test_what_only_the_provider_may_read_is_left_out() -> None:
    thought = AIMessage(
        "Hello.",
        additional_kwargs={"reasoning_content": "The prompt says ..."},
        response_metadata={"finish_reason": "stop", "model_name": "m", "token_usage": {}, "headers": {"key": "x"}},
    )
    [fields] = all_fields([thought])
    assert fields["additional_kwargs"] == {}
    assert fields["response_metadata"] == {"finish_reason": "stop", "model_name": "m"}
    [sent] = all_fields([ToolMessage("x", tool_call_id="c", artifact={"secret": 1})])
    assert "artifact" not in sent
