"""Ollama's own API: https://docs.ollama.com/api/chat and /api/errors."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import SecretStr

from config.errors import (
    BadAnswer,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    RateLimited,
    RequestRejected,
)
from config.models.deployments import Deployment
from tests.contract.litellm_providers.wire import KEY, PROVIDERS_WORDS, TOOLS, Refusal, Stream, Wire

COUNTS = {
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 342546000,
    "eval_count": 4,
    "eval_duration": 4535599000,
}


def line(content: str = "", reason: str | None = None, **fields: Any) -> bytes:
    """One line of newline-delimited JSON."""
    message = {"role": "assistant", "content": content, **fields}
    end = {"done": True, "done_reason": reason, **COUNTS} if reason else {"done": False}
    return (
        orjson.dumps({"model": "qwen3", "created_at": "2025-10-17T23:14:07.414671Z", "message": message, **end}) + b"\n"
    )


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


TOO_LONG = (
    "prompt too long; exceeded max context length by 4 tokens",
    "the input length exceeds the context length",
    "request (40012 tokens) exceeds the available context size (4096 tokens), try increasing it",
)

WIRE = Wire(
    name="ollama",
    deployment=Deployment(
        id="qwen",
        group="g",
        model="ollama_chat/qwen3",
        api_key=SecretStr(KEY),
        api_base="http://ollama.example:11434",
    ),
    url="http://ollama.example:11434/api/chat",
    key={"authorization": f"Bearer {KEY}"},
    request={
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief.", "images": []},
            {"role": "user", "content": "Rain in Oslo?", "images": []},
            {
                "role": "assistant",
                "content": "",
                "images": [],
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
            },
            {"role": "tool", "content": "Rain.", "images": [], "tool_call_id": "call_1"},
        ],
        "tools": TOOLS,
        "options": {"temperature": 0.2, "num_predict": 50, "stop": ["END"]},
        "stream": True,
    },
    stream=Stream(
        content_type="application/x-ndjson",
        start=[],
        text=line,
        end=lambda reason: [line(reason=reason)],
        finishes={"stop": "stop", "length": "length"},
        calls=[line(tool_calls=[call("weather", city="Oslo")]), line(tool_calls=[call("clock")]), line(reason="stop")],
        empty=[line(reason="stop")],
        thoughts=[line(thinking="Hm."), line("Yes."), line(reason="stop")],
        faults={"failure": (orjson.dumps({"error": PROVIDERS_WORDS}) + b"\n", BadAnswer)},
    ),
    refusals=[
        Refusal("key", 401, {"error": "unauthorized"}, CredentialsRefused),
        Refusal("model", 404, {"error": f"model 'qwen3' not found, {PROVIDERS_WORDS}"}, CredentialsRefused),
        Refusal("rate limit", 429, {"error": PROVIDERS_WORDS}, RateLimited, {"retry-after": "7"}, 7.0),
        Refusal("failure", 500, {"error": PROVIDERS_WORDS}, ProviderOverloaded),
        Refusal("overload", 503, {"error": "server busy, please try again."}, ProviderOverloaded),
        Refusal("request", 400, {"error": PROVIDERS_WORDS}, RequestRejected),
        *(
            Refusal(f"context {number}", 400, {"error": words}, ContextWindowExceeded)
            for number, words in enumerate(TOO_LONG)
        ),
    ],
)
