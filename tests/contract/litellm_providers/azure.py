"""Azure OpenAI: https://learn.microsoft.com/azure/ai-foundry/openai/reference and .../concepts/content-filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from config.errors import (
    BadAnswer,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    RateLimited,
    RequestRejected,
)
from config.models.deployments import Deployment
from tests.contract.litellm_providers.wire import (
    KEY,
    MESSAGES,
    PROVIDERS_WORDS,
    TOOLS,
    Refusal,
    Stream,
    Whole,
    Wire,
    call,
    sse,
)

SAFE = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4.1-mini"}
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None, "content_filter_results": SAFE}
    return sse({**HEAD, "choices": [choice], "usage": None})


def error(code: str, message: str = PROVIDERS_WORDS, **fields: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **fields}}


def fragment(index: int, arguments: str, **begun: Any) -> bytes:
    name = {"name": begun.pop("name")} if begun else {}
    return chunk({"tool_calls": [{"index": index, **begun, "function": {**name, "arguments": arguments}}]})


START = [
    sse(
        {
            **{"id": "", "object": "", "created": 0, "model": "", "choices": []},
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
        }
    ),
    chunk({"role": "assistant", "content": "", "refusal": None}),
]
USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}
END = [sse({**HEAD, "choices": [], "usage": USAGE}), DONE]
TOO_MANY = "Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. " + PROVIDERS_WORDS


def whole(reason: str, content: str | None = None, calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": None} | ({"tool_calls": calls} if calls else {})
    choice = {"index": 0, "message": message, "finish_reason": reason, "content_filter_results": SAFE}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


DEPLOYMENT = Deployment(
    id="azure",
    group="g",
    model="azure/mine",
    api_key=SecretStr(KEY),
    api_base="https://acme.openai.azure.com",
    params={"api_version": "2024-10-21"},
)
CONTENT_FILTER = {
    "type": None,
    "param": "prompt",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {**SAFE, "violence": {"filtered": True, "severity": "medium"}},
    },
}

WIRE = Wire(
    name="azure",
    deployment=DEPLOYMENT,
    url="https://acme.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2024-10-21",
    key={"api-key": KEY},
    request={
        "model": "mine",
        "messages": MESSAGES,
        "tools": TOOLS,
        "tool_choice": "auto",
        "temperature": 0.2,
        "max_tokens": 50,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    stream=Stream(
        content_type="text/event-stream; charset=utf-8",
        start=START,
        text=lambda words: chunk({"content": words}),
        end=lambda reason: [chunk({}, reason), *END],
        finishes={"stop": "stop", "length": "length", "content_filter": "content_filter"},
        calls=[
            *START,
            fragment(0, "", id="call_a", type="function", name="weather"),
            fragment(0, '{"city":'),
            fragment(0, '"Oslo"}'),
            fragment(1, "", id="call_b", type="function", name="clock"),
            fragment(1, "{}"),
            chunk({}, "tool_calls"),
            *END,
        ],
        empty=[*START, chunk({}, "stop"), *END],
        withheld=[*START, chunk({}, "content_filter"), *END],
        faults={"failure": (sse(error("server_error", type="server_error")), BadAnswer)},
    ),
    whole=Whole(
        deployment=replace(DEPLOYMENT, model="azure/o1"),
        url="https://acme.openai.azure.com/openai/deployments/o1/chat/completions?api-version=2024-10-21",
        text=lambda words, reason: whole(reason, words),
        finishes={"stop": "stop", "length": "length", "content_filter": "content_filter"},
        calls=whole("tool_calls", calls=[call("call_a", "weather", '{"city":"Oslo"}'), call("call_b", "clock", "{}")]),
        empty=whole("stop"),
    ),
    refusals=[
        Refusal("key", 401, error("401"), CredentialsRefused),
        Refusal("rights", 403, error("Forbidden"), CredentialsRefused),
        Refusal("model", 404, error("DeploymentNotFound"), CredentialsRefused),
        Refusal("rate limit", 429, error("429", TOO_MANY), RateLimited, {"retry-after": "6"}, 6.0),
        Refusal("short rate limit", 429, error("429", TOO_MANY), RateLimited, {"retry-after-ms": "250"}, 0.25),
        Refusal("failure", 500, error("InternalServerError"), ProviderOverloaded),
        Refusal("overload", 503, error("ServiceUnavailable"), ProviderOverloaded),
        Refusal("request", 400, error("BadRequest"), RequestRejected),
        Refusal(
            "context",
            400,
            error(
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. "
                "Please reduce the length of the messages.",
                type="invalid_request_error",
                param="messages",
            ),
            ContextWindowExceeded,
        ),
        Refusal(
            "content",
            400,
            error(
                "content_filter",
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                **CONTENT_FILTER,
            ),
            ContentPolicyViolation,
        ),
    ],
)
