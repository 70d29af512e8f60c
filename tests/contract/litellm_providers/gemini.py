"""Gemini's API on AI Studio: https://ai.google.dev/api/generate-content and /gemini-api/docs/troubleshooting."""

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

USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 4, "totalTokenCount": 15}


def response(*parts: dict[str, Any], reason: str | None = None) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model"}, "index": 0}
    if parts:
        candidate["content"]["parts"] = list(parts)
    if reason:
        candidate["finishReason"] = reason
    told = USAGE if reason else {"promptTokenCount": 11, "totalTokenCount": 11}
    head = {"modelVersion": "gemini-2.5-flash", "responseId": "kVkWaZ6GHKqFvdIPxa6kyAU"}
    return sse({"candidates": [candidate], "usageMetadata": told, **head})


def error(code: int, status: str, message: str = PROVIDERS_WORDS, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def detail(type: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{type}", **fields}


WIRE = Wire(
    name="gemini",
    deployment=Deployment(id="gemini", group="g", model="gemini/gemini-2.5-flash", api_key=SecretStr(KEY)),
    url="https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    key={"x-goog-api-key": KEY},
    request={
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Rain in Oslo?"}]},
            {"role": "model", "parts": [{"function_call": {"name": "weather", "args": {"city": "Oslo"}}}]},
            {
                "role": "user",
                "parts": [{"function_response": {"name": "weather", "response": {"content": "Rain."}}}],
            },
        ],
        "tools": [
            {"function_declarations": [{"name": "weather", "description": "The weather.", "parameters": WEATHER}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"temperature": 0.2, "max_output_tokens": 50, "stop_sequences": ["END"]},
    },
    stream=Stream(
        content_type="text/event-stream",
        start=[],
        text=lambda words: response({"text": words}),
        end=lambda reason: [response({"text": ""}, reason=reason)],
        finishes={"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"},
        calls=[
            response({"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}),
            response({"functionCall": {"name": "clock", "args": {}}}, reason="STOP"),
        ],
        empty=[response(reason="STOP")],
        withheld=[sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE})],
        thoughts=[response({"text": "Hm.", "thought": True}), response({"text": "Yes."}, reason="STOP")],
        faults={
            "overload": (sse(error(503, "UNAVAILABLE")), ProviderOverloaded),
            "rate limit": (sse(error(429, "RESOURCE_EXHAUSTED")), RateLimited),
        },
    ),
    refusals=[
        Refusal(
            "key",
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com"),
            ),
            CredentialsRefused,
        ),
        Refusal("rights", 403, error(403, "PERMISSION_DENIED"), CredentialsRefused),
        Refusal("model", 404, error(404, "NOT_FOUND"), CredentialsRefused),
        Refusal(
            "rate limit",
            429,
            error(429, "RESOURCE_EXHAUSTED", PROVIDERS_WORDS, detail("RetryInfo", retryDelay="34.074824224s")),
            RateLimited,
            retry_after=34.074824224,
        ),
        Refusal("failure", 500, error(500, "INTERNAL"), ProviderOverloaded),
        Refusal("overload", 503, error(503, "UNAVAILABLE"), ProviderOverloaded),
        Refusal("request", 400, error(400, "INVALID_ARGUMENT"), RequestRejected),
        Refusal(
            "context",
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1104537) exceeds the maximum number of tokens allowed (1048576).",
            ),
            ContextWindowExceeded,
        ),
    ],
)
