"""Every call for openapi.json: its answer, an example of it, and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.docs.examples import (
    AGENT,
    AGENT_ANSWER,
    ANTHROPIC_EVENT,
    ANTHROPIC_MESSAGE,
    ASKED,
    ASKED_ITEM,
    CHAT_EVENTS,
    CHAT_USAGE,
    CHUNK,
    COMPLETION,
    CONVERSATION,
    EMBEDDINGS,
    EXCHANGE,
    FIGURES,
    HEALTH,
    MEMORY,
    MESSAGE,
    METRICS,
    MODEL,
    MOMENT,
    NEW_AGENT,
    RESPONSE,
    RESPONSE_EVENT,
    SESSION_EVENT,
    STATUS,
    SUBMITTED,
    TASK,
    TURN,
    TWIML,
)


@dataclass(frozen=True, slots=True)
class Events:
    """Server-sent events: the name of their data's schema, and an example of the stream."""

    schema: str
    example: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the name of its answer's schema with an example, an example request, and the errors it may have.

    `events` are the answer's server-sent events, `text` is an example of a plain text, `xml` of TwiML; such a call
    may have `schema` None. `status` is that of success. `anthropic`: its errors are those of Anthropic's API.
    """

    schema: str | None
    example: Any = None
    asked: Any = None
    errors: tuple[int, ...] = (401,)
    events: Events | None = None
    text: str | None = None
    xml: str | None = None
    status: int = 200
    anthropic: bool = False


_CHUNKS: Final = Events("ChatCompletionChunk", CHUNK)
_RESPONSE_EVENTS: Final = Events("ResponseEvent", RESPONSE_EVENT)
_CHAT_EVENTS: Final = Events("ChatEvent", CHAT_EVENTS)
_SESSION_EVENTS: Final = Events("SessionEvent", SESSION_EVENT)
_TASK_EVENTS: Final = Events("SessionEvent", "id: 1\n" + SESSION_EVENT)
_TURN_ERRORS: Final = (400, 401, 404, 409, 413, 422, 429, 502, 503, 504)
_SUBMIT_ERRORS: Final = (400, 401, 404, 409, 413, 422, 429, 503)
_STORED: Final = (401, 422, 503)
_CHANGED: Final = (401, 404, 422, 503)
_WRITTEN: Final = (400, 401, 413, 422, 503)
_PHONE_ERRORS: Final = (401, 403, 404, 413, 503)
_SAID: Final = {"messages": [{"role": "user", "content": "Hi"}]}
_CHAT: Final = {"message": "Hi"}
_CHAT_ERRORS: Final = (400, 401, 404, 413, 422, 429, 502, 503, 504)
_CHAT_AGENT: Final = {"conversation_id": CONVERSATION["id"], "message": EXCHANGE["user_message"]}
_INVOKE: Final = {"user_id": "ada", "query": "Hi"}
_RESUME: Final = {"user_id": "ada", "session_id": "s1", "response_type": "accept"}

CALLS: Final[Mapping[tuple[str, str], Call]] = {
    ("post", "/v1/chat/completions"): Call(
        "ChatCompletion",
        COMPLETION,
        {"model": "default", "messages": [{"role": "user", "content": "Hi"}]},
        (400, 401, 404, 413, 429, 502, 503, 504),
        events=_CHUNKS,
    ),
    ("post", "/v1/responses"): Call(
        "Response",
        RESPONSE,
        {"model": "default", "input": "Hi"},
        (400, 401, 404, 413, 429, 502, 503, 504),
        events=_RESPONSE_EVENTS,
    ),
    ("get", "/v1/responses/{response_id}"): Call(
        "Response", RESPONSE, errors=(400, 401, 404, 422, 503), events=_RESPONSE_EVENTS
    ),
    ("delete", "/v1/responses/{response_id}"): Call(
        "DeletedResponse", {"id": "resp_1", "object": "response", "deleted": True}, errors=(401, 404, 503)
    ),
    ("post", "/v1/responses/{response_id}/cancel"): Call("Response", RESPONSE, errors=(400, 401, 404, 503)),
    ("get", "/v1/responses/{response_id}/input_items"): Call(
        "ResponseItems",
        {"object": "list", "data": [ASKED_ITEM], "first_id": "msg_0", "last_id": "msg_0", "has_more": False},
        errors=(400, 401, 404, 422, 503),
    ),
    ("post", "/v1/messages"): Call(
        "AnthropicMessage",
        ANTHROPIC_MESSAGE,
        {"model": "default", "max_tokens": 1024, **_SAID},
        (400, 401, 404, 413, 429, 502, 503, 504),
        events=Events("AnthropicEvent", ANTHROPIC_EVENT),
        anthropic=True,
    ),
    ("post", "/v1/messages/count_tokens"): Call(
        "TokenCount", {"input_tokens": 9}, {"model": "default", **_SAID}, (400, 401, 404, 413, 503), anthropic=True
    ),
    ("post", "/v1/embeddings"): Call(
        "Embeddings", EMBEDDINGS, {"model": "vectors", "input": ["Hi"]}, (400, 401, 404, 413, 429, 503)
    ),
    ("get", "/v1/models"): Call("Models", {"object": "list", "data": [MODEL]}),
    ("get", "/v1/models/{name}"): Call("Model", MODEL, errors=(401, 404)),
    ("post", "/chat"): Call("ChatAnswer", {"response": "Hello.", "usage": CHAT_USAGE}, _CHAT, _CHAT_ERRORS),
    ("post", "/chat/stream"): Call(None, None, _CHAT, (400, 401, 404, 413, 422, 429, 503), events=_CHAT_EVENTS),
    ("post", "/agent/invoke"): Call("Turn", TURN, _INVOKE, _TURN_ERRORS),
    ("post", "/agent/invoke/stream"): Call(None, None, _INVOKE, _TURN_ERRORS, events=_SESSION_EVENTS),
    ("post", "/agent/resume"): Call("Turn", TURN, _RESUME, _TURN_ERRORS),
    ("post", "/agent/resume/stream"): Call(None, None, _RESUME, _TURN_ERRORS, events=_SESSION_EVENTS),
    ("post", "/agent/cancel/{user_id}/{session_id}"): Call(
        "SessionStatus", STATUS, {"heard": "Hello."}, (400, 401, 404, 409, 413, 422, 503)
    ),
    ("get", "/agent/sessionids/{user_id}"): Call("SessionIds", {"session_ids": ["s1"]}, errors=_STORED),
    ("get", "/agent/active/sessionid/{user_id}"): Call("ActiveSession", {"active_session_id": "s1"}, errors=_STORED),
    ("get", "/agent/status/{user_id}/{session_id}"): Call("SessionStatus", STATUS, errors=_STORED),
    ("get", "/agent/history/{user_id}/{session_id}"): Call(
        "History",
        {"session_id": "s1", "total": 2, "offset": 0, "messages": [ASKED, MESSAGE]},
        errors=_CHANGED,
    ),
    ("patch", "/agent/session/{user_id}/{session_id}"): Call(
        "SessionStatus", STATUS, {"ttl": 3600}, (400, 401, 404, 413, 422, 503)
    ),
    ("delete", "/agent/session/{user_id}/{session_id}"): Call("Success", {"success": True}, errors=_CHANGED),
    ("post", "/agent/write/longterm"): Call(
        "StoredMemory",
        {"success": True, "user_id": "ada", "message": "The memory is stored.", "memory": MEMORY},
        {"user_id": "ada", "memory_info": MEMORY["content"]},
        (*_WRITTEN, 409),
    ),
    ("get", "/agent/longterm/{user_id}"): Call("Memories", {"memories": [MEMORY]}, errors=_STORED),
    ("delete", "/agent/longterm/{user_id}/{memory_id}"): Call("Success", {"success": True}, errors=_CHANGED),
    ("get", "/agents/"): Call("Greeting", {"message": "Hello there conversational ai!"}),
    ("post", "/agents/create-agent"): Call("Agent", AGENT, NEW_AGENT, (400, 401, 404, 409, 413, 422, 503)),
    ("get", "/agents/get-agents"): Call("Agents", [AGENT], errors=_STORED),
    ("post", "/agents/create-conversation"): Call(
        "Conversation", CONVERSATION, {"agent_id": AGENT["id"]}, (400, 401, 404, 413, 422, 503)
    ),
    ("get", "/agents/get-conversations"): Call("Conversations", [CONVERSATION], errors=_CHANGED),
    ("get", "/agents/get-messages"): Call("Messages", [EXCHANGE], errors=_CHANGED),
    ("post", "/agents/chat-agent"): Call("AgentAnswer", AGENT_ANSWER, _CHAT_AGENT, _TURN_ERRORS),
    ("post", "/agents/chat-agent/stream"): Call(None, None, _CHAT_AGENT, _TURN_ERRORS, events=_CHAT_EVENTS),
    ("patch", "/agents/{agent_id}"): Call(
        "Agent", AGENT, {"temperature": 0.2}, (400, 401, 403, 404, 409, 413, 422, 503)
    ),
    ("delete", "/agents/{agent_id}"): Call("Success", {"success": True}, errors=(401, 403, 404, 409, 422, 503)),
    ("delete", "/agents/conversations/{conversation_id}"): Call("Success", {"success": True}, errors=_CHANGED),
    ("get", "/stats"): Call(
        "Statistics", {"since": MOMENT, "reset_by": None, "running": 2, **FIGURES}, errors=(401, 403, 503)
    ),
    ("get", "/stats/timeseries"): Call(
        "Timeseries", {"minutes": 1, "points": [{"minute": MOMENT, **FIGURES}]}, errors=(401, 403, 422, 503)
    ),
    ("post", "/reset-stats"): Call(
        "Reset", {"success": True, "since": MOMENT, "reset_by": "4c5dc9b77089"}, errors=(401, 403, 503)
    ),
    ("get", "/metrics"): Call(None, text=METRICS, errors=(401, 403)),
    ("post", "/agent/invoke/async"): Call("Submitted", SUBMITTED, _INVOKE, _SUBMIT_ERRORS, status=202),
    ("post", "/agent/resume/async"): Call("Submitted", SUBMITTED, _RESUME, _SUBMIT_ERRORS, status=202),
    ("get", "/agent/task/{task_id}"): Call("Task", TASK, errors=(401, 404, 503)),
    ("delete", "/agent/task/{task_id}"): Call("Task", TASK, errors=(401, 404, 503)),
    ("get", "/agent/task/{task_id}/events"): Call(None, None, errors=_CHANGED, events=_TASK_EVENTS),
    ("get", "/agent/tasks/{user_id}"): Call("Tasks", {"tasks": [TASK]}, errors=_STORED),
    ("post", "/phone/incoming"): Call(
        None, None, {"CallSid": "CA1", "From": "+15550100", "To": "+18885550100"}, _PHONE_ERRORS, xml=TWIML
    ),
    ("post", "/phone/relay/action"): Call(
        None,
        None,
        {"CallSid": "CA1", "From": "+15550100", "To": "+18885550100", "HandoffData": '{"reason": "hang_up"}'},
        _PHONE_ERRORS,
        xml="<Response><Hangup /></Response>",
    ),
    ("get", "/health"): Call("Health", HEALTH, errors=()),
    ("get", "/health/live"): Call("Probe", {"status": "ok"}, errors=()),
    ("get", "/health/ready"): Call("Probe", {"status": "ready"}, errors=()),
}
"""Every documented call."""
