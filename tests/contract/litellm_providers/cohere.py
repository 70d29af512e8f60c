"""Cohere's chat API, version 2: https://docs.cohere.com/reference/chat and /reference/errors.

It streams, but LiteLLM cannot read that stream, so it is asked for whole answers.
"""

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
from tests.contract.litellm_providers.wire import KEY, MESSAGES, PROVIDERS_WORDS, TOOLS, Refusal, Whole, Wire, call

USAGE = {"billed_units": {"input_tokens": 9, "output_tokens": 4}, "tokens": {"input_tokens": 11, "output_tokens": 4}}


def error(message: str = PROVIDERS_WORDS) -> dict[str, Any]:
    return {"id": "7b4b1c4e-4a0c-4b0e-9a2e-2f6f1f0f6a11", "message": message}


def whole(reason: str, **message: Any) -> dict[str, Any]:
    head = {"id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4", "finish_reason": reason}
    return {**head, "message": {"role": "assistant", **message}, "usage": USAGE}


DEPLOYMENT = Deployment(id="command", group="g", model="cohere_chat/command-a-03-2025", api_key=SecretStr(KEY))
URL = "https://api.cohere.com/v2/chat"

WIRE = Wire(
    name="cohere",
    deployment=DEPLOYMENT,
    url=URL,
    key={"authorization": f"Bearer {KEY}"},
    request={
        "model": "command-a-03-2025",
        "messages": MESSAGES,
        "tools": TOOLS,
        "temperature": 0.2,
        "max_tokens": 50,
        "stop_sequences": ["END"],
    },
    whole=Whole(
        deployment=DEPLOYMENT,
        url=URL,
        text=lambda words, reason: whole(reason, content=[{"type": "text", "text": words}]),
        finishes={"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length"},
        calls=whole(
            "TOOL_CALL",
            tool_plan="I look it up.",
            tool_calls=[call("weather_h2g9", "weather", '{"city":"Oslo"}'), call("clock_x5m1", "clock", "{}")],
        ),
        empty=whole("COMPLETE", content=[]),
    ),
    refusals=[
        Refusal("key", 401, error("invalid api token"), CredentialsRefused),
        Refusal("rights", 403, error(), CredentialsRefused),
        Refusal("model", 404, error(), CredentialsRefused),
        Refusal("rate limit", 429, error(), RateLimited, {"retry-after": "7"}, 7.0),
        Refusal("failure", 500, error(), ProviderOverloaded),
        Refusal("overload", 503, error(), ProviderOverloaded),
        Refusal("request", 400, error("invalid request: " + PROVIDERS_WORDS), RequestRejected),
        Refusal(
            "context",
            400,
            error("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."),
            ContextWindowExceeded,
        ),
        Refusal("size", 400, error("too many tokens: size limit exceeded by 11326 tokens."), ContextWindowExceeded),
    ],
)
