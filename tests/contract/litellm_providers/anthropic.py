"""Anthropic's Messages API: https://docs.claude.com/en/api/messages-streaming and /errors."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from config.errors import (
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    RateLimited,
    RequestRejected,
)
from config.models.deployments import Deployment
from tests.contract.litellm_providers.wire import KEY, PROVIDERS_WORDS, WEATHER, Refusal, Stream, Wire, sse


def event(type: str, **fields: Any) -> bytes:
    return sse({"type": type, **fields}, type)


def error(type: str, message: str = PROVIDERS_WORDS) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


def delta(index: int, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


def start() -> list[bytes]:
    message = {
        "id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-sonnet-4-5-20250929",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 1},
    }
    return [event("message_start", message=message)]


def end(reason: str) -> list[bytes]:
    return [
        event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 4}),
        event("message_stop"),
    ]


def block(index: int, content: dict[str, Any]) -> list[bytes]:
    return [event("content_block_start", index=index, content_block=content)]


def called(index: int, id: str, name: str, *arguments: str) -> list[bytes]:
    return [
        *block(index, {"type": "tool_use", "id": id, "name": name, "input": {}}),
        *(delta(index, type="input_json_delta", partial_json=each) for each in ("", *arguments)),
        event("content_block_stop", index=index),
    ]


TEXT = {"type": "text", "text": ""}

WIRE = Wire(
    name="anthropic",
    deployment=Deployment(id="claude", group="g", model="anthropic/claude-sonnet-4-5", api_key=SecretStr(KEY)),
    url="https://api.anthropic.com/v1/messages",
    key={"x-api-key": KEY, "anthropic-version": "2023-06-01"},
    request={
        "model": "claude-sonnet-4-5",
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Rain in Oslo?"}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "Rain."}]},
        ],
        "tools": [{"type": "custom", "name": "weather", "description": "The weather.", "input_schema": WEATHER}],
        "tool_choice": {"type": "auto"},
        "temperature": 0.2,
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "stream": True,
    },
    stream=Stream(
        content_type="text/event-stream; charset=utf-8",
        start=[*start(), *block(0, TEXT), event("ping")],
        text=lambda words: delta(0, type="text_delta", text=words),
        end=lambda reason: [event("content_block_stop", index=0), *end(reason)],
        finishes={"end_turn": "stop", "max_tokens": "length", "stop_sequence": "stop", "refusal": "content_filter"},
        calls=[
            *start(),
            *called(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "weather", '{"city"', ': "Os', 'lo"}'),
            *called(1, "toolu_01A09q90qw90lq917835lq9", "clock"),
            *end("tool_use"),
        ],
        empty=[*start(), *end("end_turn")],
        withheld=[*start(), *end("refusal")],
        thoughts=[
            *start(),
            *block(0, {"type": "thinking", "thinking": "", "signature": ""}),
            delta(0, type="thinking_delta", thinking="Hm."),
            delta(0, type="signature_delta", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3h"),
            event("content_block_stop", index=0),
            *block(1, TEXT),
            delta(1, type="text_delta", text="Yes."),
            event("content_block_stop", index=1),
            *end("end_turn"),
        ],
        faults={
            "overload": (sse(error("overloaded_error"), "error"), ProviderOverloaded),
            "failure": (sse(error("api_error"), "error"), ProviderOverloaded),
        },
    ),
    refusals=[
        Refusal("key", 401, error("authentication_error"), CredentialsRefused),
        Refusal("rights", 403, error("permission_error"), CredentialsRefused),
        Refusal("model", 404, error("not_found_error"), CredentialsRefused),
        Refusal("rate limit", 429, error("rate_limit_error"), RateLimited, {"retry-after": "7"}, 7.0),
        Refusal("failure", 500, error("api_error"), ProviderOverloaded),
        Refusal("overload", 529, error("overloaded_error"), ProviderOverloaded),
        Refusal(
            "money",
            400,
            error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            CredentialsRefused,
        ),
        Refusal("request", 400, error("invalid_request_error"), RequestRejected),
        Refusal(
            "context",
            400,
            error("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
            ContextWindowExceeded,
        ),
        Refusal(
            "context and answer",
            400,
            error(
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, "
                "decrease input length or `max_tokens` and try again",
            ),
            ContextWindowExceeded,
        ),
    ],
)
