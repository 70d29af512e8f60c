"""The JSON schemas of the server-sent events, for openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.docs.schemas import (
    ANYTHING,
    COUNT,
    FINISH,
    FLAG,
    MAYBE_TEXT,
    SECONDS,
    TEXT,
    TURN_USAGE,
    USAGE,
    Schema,
    many,
    record,
    ref,
)


def _tagged(kind: str, **properties: Schema) -> Schema:
    """An event whose `type` is `kind`."""
    return record((), type={"const": kind}, **properties)


def _of_session(kind: str, **properties: Schema) -> Schema:
    return _tagged(kind, session_id=TEXT, timestamp=SECONDS, **properties)


_FUNCTION: Final = record(("name",), name=TEXT, arguments=TEXT)
_CALL: Final = record(index=COUNT, id=TEXT, type={"const": "function"}, function=_FUNCTION)
_DELTA: Final = record(
    ("role", "content", "refusal", "reasoning_content", "tool_calls", "function_call"),
    role={"const": "assistant"},
    content=MAYBE_TEXT,
    refusal=MAYBE_TEXT,
    reasoning_content=TEXT,
    tool_calls=many(_CALL),
    function_call=_FUNCTION,
)

EVENT_SCHEMAS: Final[Mapping[str, Schema]] = {
    "ChatCompletionChunk": record(
        ("usage", "function_call"),
        id=TEXT,
        object={"const": "chat.completion.chunk"},
        created=COUNT,
        model=TEXT,
        choices=many(
            record(index=COUNT, delta=_DELTA, finish_reason={"anyOf": [FINISH, {"type": "null"}]}),
        ),
        usage=USAGE,
        function_call=record(name=TEXT, arguments=ANYTHING),
    ),
    "ChatEvent": {
        "oneOf": [
            _tagged("start", message=TEXT),
            _tagged("content", chunk=TEXT),
            _tagged("tool_start", name=TEXT, args=ANYTHING),
            _tagged("tool_end", name=TEXT, result=TEXT, ok=FLAG),
            _tagged("hand_off", name=TEXT, arguments=ANYTHING),
            record(
                ("shape",),
                type={"const": "complete"},
                full_content=TEXT,
                usage=TURN_USAGE,
                shape={"const": "mismatch"},
            ),
            _tagged("error", error=TEXT, code=TEXT),
        ]
    },
    "AnthropicEvent": {
        "oneOf": [
            _tagged("message_start", message=ANYTHING),
            _tagged("ping"),
            _tagged("content_block_start", index=COUNT, content_block=ANYTHING),
            _tagged("content_block_delta", index=COUNT, delta=ANYTHING),
            _tagged("content_block_stop", index=COUNT),
            _tagged("message_delta", delta=ANYTHING, usage=ANYTHING),
            _tagged("message_stop"),
            _tagged("error", error=record(type=TEXT, message=TEXT)),
        ]
    },
    "SessionEvent": {
        "oneOf": [
            _of_session("text_chunk", content=TEXT),
            _of_session("tool_call", data=record(tool_calls=many(ANYTHING))),
            _of_session("interrupt", interrupt_data=ANYTHING, interrupts=many(ANYTHING)),
            _of_session("completed", data=ref("Turn")),
            _of_session("error", error_message=TEXT, code=TEXT),
            _of_session("restarted", message=TEXT),
        ]
    },
}


def event(payload: str) -> Schema:
    """One server-sent event whose data is JSON of this schema; the stream of OpenAI's API ends with `[DONE]`."""
    schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": ref(payload)}
    events = record(("id", "event"), data=schema, id=TEXT, event=TEXT)
    if payload != "ChatCompletionChunk":
        return events
    failed = {"type": "string", "contentMediaType": "application/json", "contentSchema": ref("Error")}
    return {"anyOf": [events, record(data={"const": "[DONE]"}), record(data=failed)]}
