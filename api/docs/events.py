"""The server-sent events of every stream but OpenAI's: types, fields and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event. `fields` maps its own fields to their meanings; `optional` ones may be absent."""

    type: str
    meaning: str
    fields: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """What the calls at `paths` send. Each event has `common` fields beside its own."""

    title: str
    paths: tuple[str, ...]
    events: tuple[EventType, ...]
    common: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


SESSION_EVENTS: Final = (
    EventType("text_chunk", "The next piece of the text.", {"content": "the text, never empty"}),
    EventType(
        "tool_call",
        "The agent calls one of its tools, or hands a call off to you, such as `transferCall`.",
        {"data": "`{tool_calls: [{id, name, args, type}]}`, one complete call"},
    ),
    EventType(
        "interrupt",
        "The turn waits for a person.",
        {"interrupt_data": "the first question", "interrupts": "all questions"},
        last=True,
    ),
    EventType(
        "completed", "The turn succeeded.", {"data": "the response that `/agent/invoke` would have sent"}, last=True
    ),
    EventType(
        "error",
        "The turn failed.",
        {"error_message": "words for a person", "code": "the code of the error, for programs"},
        last=True,
    ),
)

RESTARTED: Final = EventType(
    "restarted",
    "The worker died, and another one goes on after the last complete step. Discard the text since the last "
    "`tool_call`: it is said again.",
    {"message": "words for a person"},
)

CHAT_EVENTS: Final = (
    EventType(
        "start",
        "Comes at once, before the provider has answered.",
        {"message": "`开始生成响应...`, or `chat: {start_message: ...}` of agent.yaml"},
    ),
    EventType("content", "The next piece of the text.", {"chunk": "the text, as the model says it"}),
    EventType("tool_start", "The agent calls one of its tools.", {"name": "the tool", "args": "its arguments"}),
    EventType(
        "tool_end",
        "The tool has ended.",
        {"name": "the tool", "result": "its result, as the model sees it", "ok": "`false` if it failed"},
    ),
    EventType(
        "hand_off",
        "A call that you carry out, such as `transferCall`. Comes before `complete`.",
        {"name": "the tool", "arguments": "its arguments"},
    ),
    EventType(
        "complete",
        "The turn succeeded.",
        {
            "full_content": "the whole text",
            "usage": "`{input_tokens, output_tokens, total_tokens, total_cost}`; `total_cost` is in US dollars, `null` "
            "if it is not known",
        },
        {"shape": "`mismatch`, if a persona's answer does not have its shape"},
        last=True,
    ),
    EventType(
        "error",
        "The turn failed; the text so far is incomplete.",
        {"error": "words for a person", "code": "the code of the error, for programs"},
        last=True,
    ),
)

_SESSION_FIELDS: Final = {
    "session_id": "the session; empty until the turn has begun on one",
    "timestamp": "Unix seconds, with a fraction",
}

STREAMS: Final = (
    Stream(
        "Sessions",
        ("POST /agent/invoke/stream", "POST /agent/resume/stream"),
        SESSION_EVENTS,
        _SESSION_FIELDS,
        "An error before the first event is an HTTP status.",
    ),
    Stream(
        "Background tasks",
        ("GET /agent/task/{task_id}/events",),
        (*SESSION_EVENTS, RESTARTED),
        _SESSION_FIELDS,
        "Each event has an `id:` line. `Last-Event-ID` resumes the stream after that event.",
    ),
    Stream(
        "Chat and personas",
        ("POST /chat/stream", "POST /agents/chat-agent/stream"),
        CHAT_EVENTS,
        note="A request that is wrong in itself is an HTTP status before the stream begins.",
    ),
)
