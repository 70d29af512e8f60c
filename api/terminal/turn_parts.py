"""What a turn consists of, read from its events or from the messages of its answer. Pure.

Messages are read in OpenAI's form (`role`) and in LangChain's (`type`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

Json = Mapping[str, Any]

ROLES: Final = {"human": "user", "ai": "assistant"}
"""LangChain's types of messages that OpenAI names otherwise."""


@dataclass(slots=True)
class TextPart:
    """A piece of the answer's text."""

    text: str


@dataclass(slots=True)
class CallPart:
    """A tool call. `result` None: it still runs, or waits. `handed_off`: this client is to carry it out."""

    call_id: str
    name: str
    arguments: Mapping[str, Any] | None
    result: str | None = None
    ok: bool = True
    handed_off: bool = False


Part = TextPart | CallPart


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended. `words` explain an error; `interrupts` wait for a decision; `usage` is as the server counts.

    `status` is the session's status: completed, interrupted, error or idle.
    """

    status: str
    words: str = ""
    parts: Sequence[Part] = ()
    interrupts: Sequence[Json] = ()
    usage: Json = field(default_factory=dict)
    model: str | None = None


def outcome_of_answer(answer: Json) -> Outcome:
    """The outcome in the answer of invoke and resume, which the event `completed` and the status repeat."""
    result = answer.get("result") or {}
    messages = result.get("messages") or []
    status = str(answer.get("status"))
    return Outcome(
        status=status,
        words=str(answer.get("message") or "") if status == "error" else "",
        parts=parts_of_messages(messages, ended=status == "completed"),
        interrupts=pending_in(answer),
        usage=result.get("usage") or {},
        model=result.get("model") or _served_model(messages),
    )


def outcome_of_status(status: Json) -> Outcome:
    """The outcome of the last turn in the answer of status.

    A turn that was cancelled, or whose server died, left no response: `last_response` is then an earlier turn's.
    """
    last, ended = status.get("last_response"), str(status.get("status"))
    answered = Outcome(ended)
    if isinstance(last, Mapping) and last.get("status") == ended:
        answered = outcome_of_answer(last)
    return replace(answered, words=str(status.get("message") or ""), interrupts=pending_in(status))


def pending_in(answer: Json) -> list[Json]:
    """The questions that wait for a decision, in an answer, an event or a status."""
    single = answer.get("interrupt_data")
    return list(answer.get("interrupts") or ([single] if single else []))


def role_of(message: Json) -> str:
    """OpenAI's role of a message: system, user, assistant or tool."""
    kind = str(message.get("role") or message.get("type") or "")
    return ROLES.get(kind, kind)


def text_of(message: Json) -> str:
    """The text of a message: its content, or its text parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


def parts_of_messages(messages: Iterable[Json], *, ended: bool) -> list[Part]:
    """The text and the tool calls of a turn. In a turn that `ended`, calls without an answer of the model after them
    are hand-offs.
    """
    parts: list[Part] = []
    calls: dict[str, CallPart] = {}
    for message in messages:
        match role_of(message):
            case "assistant":
                if text := text_of(message):
                    parts.append(TextPart(text))
                made = [_call(each) for each in message.get("tool_calls") or ()]
                calls = {each.call_id: each for each in made}
                parts += made
            case "tool":
                call_id = str(message.get("tool_call_id"))
                if call_id not in calls:  # a call of an earlier turn, which has been reviewed
                    calls[call_id] = CallPart(call_id, str(message.get("name") or "tool"), None)
                    parts.append(calls[call_id])
                calls[call_id].result = text_of(message)
                calls[call_id].ok = message.get("status") != "error"
    if ended:
        for call in calls.values():
            call.handed_off = call.arguments is not None
    return parts


def settled(parts: Iterable[Part]) -> list[Part]:
    """The parts without the calls that have no result. Those that wait for a decision are shown by its question."""
    return [each for each in parts if isinstance(each, TextPart) or each.result is not None]


def call_of_event(call: Json) -> CallPart:
    """A tool call in the event `tool_call`."""
    return CallPart(str(call.get("id")), str(call.get("name")), call.get("args") or {})


def _call(call: Json) -> CallPart:
    function = call.get("function")
    if not isinstance(function, Mapping):  # LangChain's form
        return call_of_event(call)
    return CallPart(str(call.get("id")), str(function.get("name")), _arguments(function.get("arguments")))


def _arguments(text: Any) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except (TypeError, orjson.JSONDecodeError):
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


def _served_model(messages: Iterable[Json]) -> str | None:
    """The model that LangChain's metadata of the last assistant message names."""
    named = [
        metadata.get("model_name")
        for each in messages
        if role_of(each) == "assistant" and isinstance(metadata := each.get("response_metadata"), Mapping)
    ]
    return next((str(name) for name in reversed(named) if name), None)
