"""Example answers, for openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CHUNK: Final = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"assistant",'
    '"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello."},"finish_reason":null}]}\n\ndata: [DONE]\n\n'
)
RESPONSE: Final = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1760000000,
    "completed_at": 1760000001,
    "status": "completed",
    "model": "assistant",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}],
        }
    ],
    "error": None,
    "incomplete_details": None,
    "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
}
ASKED_ITEM: Final = {
    "id": "msg_0",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_text", "text": "Hi"}],
}
RESPONSE_EVENT: Final = (
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_1","output_index":0,'
    '"content_index":0,"logprobs":[],"delta":"Hello.","sequence_number":4}\n\n'
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
ANTHROPIC_MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "assistant",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 2},
}
ANTHROPIC_EVENT: Final = (
    "event: content_block_delta\n"
    'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello."}}\n\n'
)
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
    "conversations": [],
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
    "phone_calls": 2,
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

TWIML: Final = (
    '<Response><Connect action="https://phone.example.com/phone/relay/action"><ConversationRelay '
    'url="wss://phone.example.com/phone/relay" welcomeGreeting="Hello!" language="en-US" /></Connect></Response>'
)
