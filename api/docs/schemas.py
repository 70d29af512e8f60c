"""The JSON schemas of the answers, for openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
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
    "ResponseEvent": record((), type=TEXT, sequence_number=COUNT),
    "Response": record(
        id=TEXT,
        object={"const": "response"},
        created_at=COUNT,
        completed_at={"type": ["integer", "null"]},
        status={"enum": ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]},
        model=TEXT,
        output=many({**ANYTHING, "required": ["id", "type"]}),
        error={"type": ["object", "null"]},
        incomplete_details={"type": ["object", "null"]},
        usage={"type": ["object", "null"]},
    ),
    "DeletedResponse": record(id=TEXT, object={"const": "response"}, deleted={"const": True}),
    "ResponseItems": record(
        object={"const": "list"},
        data=many({**ANYTHING, "required": ["id", "type"]}),
        first_id=TEXT,
        last_id=TEXT,
        has_more=FLAG,
    ),
    "AnthropicError": record(
        ("request_id",), type={"const": "error"}, error=record(type=TEXT, message=TEXT), request_id=TEXT
    ),
    "AnthropicMessage": record(
        id=TEXT,
        type={"const": "message"},
        role={"const": "assistant"},
        model=TEXT,
        content=many({"type": "object", "properties": {"type": {"enum": ["text", "thinking", "tool_use"]}}}),
        stop_reason={"enum": ["end_turn", "max_tokens", "tool_use", "refusal"]},
        stop_sequence=MAYBE_TEXT,
        usage=record(
            ("output_tokens_details",),
            input_tokens=COUNT,
            cache_read_input_tokens=COUNT,
            output_tokens=COUNT,
            output_tokens_details=record(thinking_tokens=COUNT),
        ),
    ),
    "TokenCount": record(input_tokens=COUNT),
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
        conversations=many(ref("Conversation")),
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
    "Percentiles": record(p50=MAYBE_NUMBER, p95=MAYBE_NUMBER, p99=MAYBE_NUMBER),
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
        phone_calls=COUNT,
    ),
}
