"""The answers of every call for openapi.json: a JSON schema and an example each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
MAYBE_NUMBER: Final[Schema] = {"type": ["number", "null"]}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
SECONDS: Final[Schema] = {"type": "number", "description": "Unix seconds"}
MAYBE_SECONDS: Final[Schema] = {"type": ["number", "null"], "description": "Unix seconds"}
FLAG: Final[Schema] = {"type": "boolean"}
ANYTHING: Final[Schema] = {"type": "object", "additionalProperties": True}


def record(optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object with these properties, all required except the `optional` ones."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def named(values: Schema) -> Schema:
    """An object with any names."""
    return {"type": "object", "additionalProperties": values}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TOOL_CALL: Final = record(id=TEXT, type={"const": "function"}, function=record(name=TEXT, arguments=TEXT))
TURN_USAGE: Final = record(
    input_tokens=COUNT,
    output_tokens=COUNT,
    total_tokens=COUNT,
    total_cost={"type": ["number", "null"], "description": "US dollars; null if it is not known"},
)
USAGE: Final = record(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT)
FINISH: Final[Schema] = {"enum": ["stop", "length", "content_filter", "tool_calls", "function_call"]}

COUNTS: Final[Schema] = {"type": "object", "additionalProperties": COUNT}
MONEY: Final[Schema] = {"type": ["number", "null"], "description": "US dollars; null if no price is known"}
MAYBE_TIME: Final[Schema] = {"type": ["number", "null"]}
TOKENS: Final[Mapping[str, Schema]] = {
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "total_tokens": COUNT,
    "total_cost": MONEY,
}
TURN_COUNTS: Final[Mapping[str, Schema]] = {"turns": COUNT, "outcomes": COUNTS, **TOKENS, "unpriced_turns": COUNT}
TIMES: Final[Mapping[str, Schema]] = {
    "first_token_ms": ref("Percentiles"),
    "turn_ms": ref("Percentiles"),
    "hedges": COUNT,
    "spliced": COUNT,
}
ATTEMPT_COUNTS: Final[Mapping[str, Schema]] = {"attempts": COUNT, "failures": COUNTS}
STATISTICS: Final[Mapping[str, Schema]] = {
    "requests": COUNT,
    **TURN_COUNTS,
    **TIMES,
    **ATTEMPT_COUNTS,
    "models": named(record((), **TURN_COUNTS, **TIMES)),
    "deployments": named(
        record((), **ATTEMPT_COUNTS, **TOKENS, unpriced_attempts=COUNT, first_token_ms=ref("Percentiles"))
    ),
    "callers": named(record((), requests=COUNT, **TURN_COUNTS)),
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": record(error=record(message=TEXT, type=TEXT, param=MAYBE_TEXT, code=TEXT)),
    "ChatCompletion": record(
        ("function_call",),
        id=TEXT,
        object={"const": "chat.completion"},
        created=COUNT,
        model=TEXT,
        choices=many(
            record(
                ("logprobs",),
                index=COUNT,
                message=record(
                    ("tool_calls", "function_call", "refusal"),
                    role={"const": "assistant"},
                    content=MAYBE_TEXT,
                    refusal=MAYBE_TEXT,
                    tool_calls=many(TOOL_CALL),
                    function_call=record(name=TEXT, arguments=TEXT),
                ),
                finish_reason=FINISH,
                logprobs={"type": "null"},
            )
        ),
        usage=USAGE,
        function_call=record(name=TEXT, arguments=ANYTHING),
    ),
    "Embeddings": record(
        object={"const": "list"},
        model=TEXT,
        data=many(
            record(
                object={"const": "embedding"},
                index=COUNT,
                embedding={"oneOf": [many({"type": "number"}), {"type": "string", "description": "base64"}]},
            )
        ),
        usage=record(prompt_tokens=COUNT, total_tokens=COUNT),
    ),
    "Model": record(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT),
    "Models": record(object={"const": "list"}, data=many(ref("Model"))),
    "Turn": record(
        ("error",),
        session_id=TEXT,
        status=TEXT,
        timestamp=SECONDS,
        message={"type": "string", "description": "Words for an error, empty otherwise."},
        result=record(
            messages=many(ref("SessionMessage")),
            usage=TURN_USAGE,
        ),
        interrupt_data={"type": ["object", "null"]},
        interrupts=many(ANYTHING),
        error=ANYTHING,
    ),
    "ChatAnswer": record(
        ("hand_offs",),
        response=TEXT,
        usage=TURN_USAGE,
        hand_offs=many(record(name=TEXT, arguments=ANYTHING)),
    ),
    "SessionMessage": {
        **record(
            ("name", "tool_calls", "tool_call_id", "status", "usage_metadata", "additional_kwargs"),
            type={"enum": ["human", "ai", "tool", "system"]},
            role={"enum": ["user", "assistant", "tool", "system"]},
            content={"type": ["string", "array"]},
            id=MAYBE_TEXT,
            name=MAYBE_TEXT,
            tool_calls=many(
                record(
                    name=TEXT,
                    args=ANYTHING,
                    id=TEXT,
                    type={"const": "tool_call"},
                    function=record(name=TEXT, arguments=TEXT),
                )
            ),
            tool_call_id=TEXT,
            status={"enum": ["success", "error"]},
            usage_metadata={"type": ["object", "null"]},
            additional_kwargs=ANYTHING,
            response_metadata=ANYTHING,
        ),
        "description": "LangChain's dump of a message, with OpenAI's `role` and the `function` of each tool call.",
        "additionalProperties": True,
    },
    "SessionStatus": record(
        user_id=TEXT,
        session_id=TEXT,
        status={"enum": ["not_found", "idle", "running", "interrupted", "completed", "error"]},
        message=TEXT,
        last_query=MAYBE_TEXT,
        last_response={"oneOf": [ref("Turn"), {"type": "null"}]},
        last_updated=MAYBE_SECONDS,
        expires_at=MAYBE_SECONDS,
        interrupt_data={"type": ["object", "null"]},
        interrupts=many(ANYTHING),
    ),
    "Submitted": record(task_id=TEXT, session_id=TEXT),
    "Task": record(
        ("error",),
        task_id=TEXT,
        user_id=TEXT,
        session_id=TEXT,
        status={"enum": ["queued", "running", "interrupted", "completed", "error", "cancelled"]},
        message=TEXT,
        result={"type": ["object", "null"]},
        interrupt_data={"type": ["object", "null"]},
        interrupts=many(ANYTHING),
        steps=many(TEXT),
        created=SECONDS,
        started=MAYBE_SECONDS,
        finished=MAYBE_SECONDS,
        error=ANYTHING,
    ),
    "Tasks": record(tasks=many(ref("Task"))),
    "SessionIds": record(session_ids=many(TEXT)),
    "ActiveSession": record(active_session_id=TEXT),
    "History": record(session_id=TEXT, total=COUNT, offset=COUNT, messages=many(ref("SessionMessage"))),
    "Success": record(success=FLAG),
    "Memory": record(id=TEXT, content=TEXT, created=SECONDS),
    "StoredMemory": record(success=FLAG, user_id=TEXT, message=TEXT, memory=ref("Memory")),
    "Memories": record(memories=many(ref("Memory"))),
    "Agent": record(
        id=TEXT,
        timestamp=TEXT,
        context=TEXT,
        first_message=TEXT,
        response_shape=TEXT,
        instructions=TEXT,
        name=MAYBE_TEXT,
        model=MAYBE_TEXT,
        temperature=MAYBE_NUMBER,
        max_tokens=MAYBE_NUMBER,
        frequency_penalty=MAYBE_NUMBER,
        presence_penalty=MAYBE_NUMBER,
        tools={"type": ["array", "null"], "items": TEXT},
        max_turns=MAYBE_NUMBER,
    ),
    "Agents": many(ref("Agent")),
    "Conversation": record(id=TEXT, agent_id=TEXT, timestamp=TEXT),
    "Conversations": many(ref("Conversation")),
    "Message": record(id=TEXT, timestamp=TEXT, conversation_id=TEXT, user_message=TEXT, agent_message=TEXT),
    "Messages": many(ref("Message")),
    "AgentAnswer": record(
        ("hand_offs",),
        conversation_id=TEXT,
        response=TEXT,
        hand_offs=many(record(name=TEXT, arguments=ANYTHING)),
    ),
    "Greeting": record(message=TEXT),
    "Percentiles": record(p50=MAYBE_TIME, p95=MAYBE_TIME, p99=MAYBE_TIME),
    "Statistics": record((), since=TEXT, reset_by=MAYBE_TEXT, running=COUNT, **STATISTICS),
    "Timeseries": record(minutes=COUNT, points=many(record((), minute=TEXT, **STATISTICS))),
    "Reset": record(success=FLAG, since=TEXT, reset_by=TEXT),
    "Probe": record(status={"enum": ["ok", "ready", "draining", "no_deployment_ready"]}),
    "Health": record(
        status={"enum": ["ok", "no_deployment_ready"]},
        default_model=MAYBE_TEXT,
        models=many(TEXT),
        deployments=many(ANYTHING),
        streaming={"const": True},
        mcp_servers={},
        reload={},
        tasks=COUNT,
    ),
}

CHUNK: Final = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"assistant",'
    '"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello."},"finish_reason":null}]}\n\ndata: [DONE]\n\n'
)
SESSION_EVENT: Final = 'data: {"type":"text_chunk","content":"Hello.","session_id":"s1","timestamp":1767261600.25}\n\n'
CHAT_USAGE: Final = {"input_tokens": 45, "output_tokens": 120, "total_tokens": 165, "total_cost": 0.00033}
CHAT_EVENTS: Final = (
    'data: {"type":"start","message":"开始生成响应..."}\n\n'
    'data: {"type":"content","chunk":"Hello."}\n\n'
    'data: {"type":"complete","full_content":"Hello.","usage":{"input_tokens":45,"output_tokens":120,'
    '"total_tokens":165,"total_cost":0.00033}}\n\n'
)
TIME: Final = 1767261600.25
MOMENT: Final = "2026-01-01T10:00:00.250+00:00"
MEMORY: Final = {"id": "3f2b8c1e-0c5d-4f6a-9b7e-1d2c3b4a5f60", "content": "The user's name is Ada.", "created": TIME}
MODEL: Final = {"id": "assistant", "object": "model", "created": 0, "owned_by": "switchboard"}
MESSAGE: Final[Mapping[str, Any]] = {
    "type": "ai",
    "role": "assistant",
    "content": "Hello.",
    "id": "m1",
    "tool_calls": [],
    "response_metadata": {"model_name": "assistant", "finish_reason": "stop"},
}
ASKED: Final[Mapping[str, Any]] = {
    "type": "human",
    "role": "user",
    "content": "Hi",
    "id": "m0",
    "response_metadata": {},
}
TURN: Final[Mapping[str, Any]] = {
    "session_id": "s1",
    "status": "completed",
    "timestamp": TIME,
    "message": "",
    "result": {
        "messages": [MESSAGE],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11, "total_cost": 0.00002},
    },
    "interrupt_data": None,
    "interrupts": [],
}
STATUS: Final[Mapping[str, Any]] = {
    "user_id": "ada",
    "session_id": "s1",
    "status": "completed",
    "message": "",
    "last_query": "Hi",
    "last_response": TURN,
    "last_updated": TIME,
    "expires_at": None,
    "interrupt_data": None,
    "interrupts": [],
}
TASK_ID: Final = "0f3c0b9c5a3e4a0c8f7e2f1d6b5a4c3d"
SUBMITTED: Final = {"task_id": TASK_ID, "session_id": "s1"}
TASK: Final[Mapping[str, Any]] = {
    "task_id": TASK_ID,
    "user_id": "ada",
    "session_id": "s1",
    "status": "completed",
    "message": TURN["message"],
    "result": TURN["result"],
    "interrupt_data": None,
    "interrupts": [],
    "steps": ["multiply"],
    "created": 1767261600.0,
    "started": 1767261600.1,
    "finished": 1767261601.5,
}
COMPLETION: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "assistant",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
EMBEDDINGS: Final = {
    "object": "list",
    "model": "vectors",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
AGENT: Final[Mapping[str, Any]] = {
    "id": "5a1f0c52-6f0e-4f6e-9a50-1f6f1f0c7a11",
    "timestamp": "2026-01-01T10:00:00.000000+00:00",
    "context": "You are a chef.",
    "first_message": "What can I cook for you?",
    "response_shape": "{'recipe': 'string'}",
    "instructions": "Use at most ten ingredients.",
    "name": "chef",
    "model": None,
    "temperature": 0.5,
    "max_tokens": 1000,
    "frequency_penalty": None,
    "presence_penalty": None,
    "tools": None,
    "max_turns": None,
}
NEW_AGENT: Final = {
    name: AGENT[name] for name in ("name", "context", "first_message", "response_shape", "instructions")
}
CONVERSATION: Final = {
    "id": "0b9d6f0e-3a55-4a58-8f5c-8a3f6c1d2e22",
    "agent_id": AGENT["id"],
    "timestamp": AGENT["timestamp"],
}
EXCHANGE: Final = {
    "id": "9f2c4b7a-1d3e-4c5f-8a6b-7e8d9c0b1a33",
    "timestamp": AGENT["timestamp"],
    "conversation_id": CONVERSATION["id"],
    "user_message": "Something with tomatoes?",
    "agent_message": '{"recipe": "Gazpacho"}',
}
AGENT_ANSWER: Final = {"conversation_id": CONVERSATION["id"], "response": EXCHANGE["agent_message"]}
HEALTH: Final = {
    "status": "ok",
    "default_model": "assistant",
    "models": ["assistant"],
    "deployments": [],
    "streaming": True,
    "mcp_servers": {},
    "reload": {},
    "tasks": 9,
}


PERCENTILES: Final = {"p50": 410.0, "p95": 790.0, "p99": 975.0}
TURN_FIGURES: Final[Mapping[str, Any]] = {
    "turns": 118,
    "outcomes": {"cancelled": 5, "stop": 113},
    "input_tokens": 5310,
    "output_tokens": 14160,
    "total_tokens": 19470,
    "total_cost": 0.0389,
    "unpriced_turns": 5,
}
TIME_FIGURES: Final[Mapping[str, Any]] = {
    "first_token_ms": PERCENTILES,
    "turn_ms": {"p50": 2300.0, "p95": 4300.0, "p99": 5750.0},
    "hedges": 1,
    "spliced": 2,
}
FIGURES: Final[Mapping[str, Any]] = {
    "requests": 120,
    **TURN_FIGURES,
    **TIME_FIGURES,
    "attempts": 123,
    "failures": {"rate_limited": 4},
    "models": {"assistant": {**TURN_FIGURES, **TIME_FIGURES}},
    "deployments": {
        "assistant/openai-gpt-4.1-mini": {
            "attempts": 123,
            "failures": {"rate_limited": 4},
            "input_tokens": 5310,
            "output_tokens": 14160,
            "total_tokens": 19470,
            "total_cost": 0.0389,
            "unpriced_attempts": 5,
            "first_token_ms": PERCENTILES,
        }
    },
    "callers": {"4c5dc9b77089": {"requests": 120, **TURN_FIGURES}},
}
METRICS: Final = (
    "# HELP switchboard_turns_total Turns that have ended.\n"
    "# TYPE switchboard_turns_total counter\n"
    'switchboard_turns_total{model="assistant",outcome="stop"} 113.0\n'
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the name of its answer's schema with an example, an example request, and the errors it may have.

    `events` is an example of the answer's server-sent events, `text` one of a plain text; such a call may have `schema`
    None. `status` is that of success.
    """

    schema: str | None
    example: Any = None
    asked: Any = None
    errors: tuple[int, ...] = (401,)
    events: str | None = None
    text: str | None = None
    status: int = 200


_TURN_ERRORS: Final = (400, 401, 404, 409, 413, 422, 502, 503, 504)
_SUBMIT_ERRORS: Final = (400, 401, 404, 409, 413, 422, 503)
_STORED: Final = (401, 422, 503)
_CHANGED: Final = (401, 404, 422, 503)
_WRITTEN: Final = (400, 401, 413, 422, 503)
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
        events=CHUNK,
    ),
    ("post", "/v1/embeddings"): Call(
        "Embeddings", EMBEDDINGS, {"model": "vectors", "input": ["Hi"]}, (400, 401, 404, 413, 503)
    ),
    ("get", "/v1/models"): Call("Models", {"object": "list", "data": [MODEL]}),
    ("get", "/v1/models/{name}"): Call("Model", MODEL, errors=(401, 404)),
    ("post", "/chat"): Call("ChatAnswer", {"response": "Hello.", "usage": CHAT_USAGE}, _CHAT, _CHAT_ERRORS),
    ("post", "/chat/stream"): Call(None, None, _CHAT, (400, 401, 404, 413, 422, 503), events=CHAT_EVENTS),
    ("post", "/agent/invoke"): Call("Turn", TURN, _INVOKE, _TURN_ERRORS),
    ("post", "/agent/invoke/stream"): Call(None, None, _INVOKE, _TURN_ERRORS, events=SESSION_EVENT),
    ("post", "/agent/resume"): Call("Turn", TURN, _RESUME, _TURN_ERRORS),
    ("post", "/agent/resume/stream"): Call(None, None, _RESUME, _TURN_ERRORS, events=SESSION_EVENT),
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
    ("post", "/agents/create-agent"): Call("Agent", AGENT, NEW_AGENT, (*_WRITTEN[:2], 409, *_WRITTEN[2:])),
    ("get", "/agents/get-agents"): Call("Agents", [AGENT], errors=_STORED),
    ("post", "/agents/create-conversation"): Call(
        "Conversation", CONVERSATION, {"agent_id": AGENT["id"]}, (400, 401, 404, 413, 422, 503)
    ),
    ("get", "/agents/get-conversations"): Call("Conversations", [CONVERSATION], errors=_CHANGED),
    ("get", "/agents/get-messages"): Call("Messages", [EXCHANGE], errors=_CHANGED),
    ("post", "/agents/chat-agent"): Call("AgentAnswer", AGENT_ANSWER, _CHAT_AGENT, (*_TURN_ERRORS, 429)),
    ("post", "/agents/chat-agent/stream"): Call(None, None, _CHAT_AGENT, _TURN_ERRORS, events=CHAT_EVENTS),
    ("patch", "/agents/{agent_id}"): Call("Agent", AGENT, {"temperature": 0.2}, (400, 401, 404, 409, 413, 422, 503)),
    ("delete", "/agents/{agent_id}"): Call("Success", {"success": True}, errors=(401, 404, 409, 422, 503)),
    ("delete", "/agents/conversations/{conversation_id}"): Call("Success", {"success": True}, errors=_CHANGED),
    ("get", "/stats"): Call(
        "Statistics", {"since": MOMENT, "reset_by": None, "running": 2, **FIGURES}, errors=(401, 503)
    ),
    ("get", "/stats/timeseries"): Call(
        "Timeseries", {"minutes": 1, "points": [{"minute": MOMENT, **FIGURES}]}, errors=_STORED
    ),
    ("post", "/reset-stats"): Call(
        "Reset", {"success": True, "since": MOMENT, "reset_by": "4c5dc9b77089"}, errors=(401, 503)
    ),
    ("get", "/metrics"): Call(None, text=METRICS),
    ("post", "/agent/invoke/async"): Call("Submitted", SUBMITTED, _INVOKE, _SUBMIT_ERRORS, status=202),
    ("post", "/agent/resume/async"): Call("Submitted", SUBMITTED, _RESUME, _SUBMIT_ERRORS, status=202),
    ("get", "/agent/task/{task_id}"): Call("Task", TASK, errors=(401, 404, 503)),
    ("delete", "/agent/task/{task_id}"): Call("Task", TASK, errors=(401, 404, 503)),
    ("get", "/agent/task/{task_id}/events"): Call(None, None, errors=_CHANGED, events="id: 1\n" + SESSION_EVENT),
    ("get", "/agent/tasks/{user_id}"): Call("Tasks", {"tasks": [TASK]}, errors=_STORED),
    ("get", "/health"): Call("Health", HEALTH, errors=()),
    ("get", "/health/live"): Call("Probe", {"status": "ok"}, errors=()),
    ("get", "/health/ready"): Call("Probe", {"status": "ready"}, errors=()),
}
"""Every documented call."""
