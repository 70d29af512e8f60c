"""Amazon Bedrock's ConverseStream: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.

Its stream is AWS's binary framing: https://smithy.io/2.0/aws/amazon-eventstream.html.
"""

from __future__ import annotations

import struct
from binascii import crc32
from dataclasses import replace
from typing import Any

import orjson

from config.errors import (
    BadAnswer,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    RateLimited,
    RequestRejected,
)
from config.models.deployments import Deployment
from tests.contract.litellm_providers.wire import PROVIDERS_WORDS, WEATHER, Refusal, Stream, Whole, Wire

STRING = 7
USAGE = {"inputTokens": 11, "outputTokens": 4, "totalTokens": 15}


def frame(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    """One message: its lengths and their checksum, the headers, the payload, the checksum of it all."""
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = orjson.dumps(payload)
    lengths = struct.pack("!II", 16 + len(head) + len(body), len(head))
    message = lengths + struct.pack("!I", crc32(lengths)) + head + body
    return message + struct.pack("!I", crc32(message))


def event(type: str, **payload: Any) -> bytes:
    return frame({":event-type": type, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(type: str) -> bytes:
    headers = {":exception-type": type, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, {"message": PROVIDERS_WORDS})


def block(type: str, index: int, **payload: Any) -> bytes:
    return event(f"contentBlock{type}", contentBlockIndex=index, **payload)


def called(index: int, id: str, name: str, *arguments: str) -> list[bytes]:
    return [
        block("Start", index, start={"toolUse": {"toolUseId": id, "name": name}}),
        *(block("Delta", index, delta={"toolUse": {"input": each}}) for each in arguments),
        block("Stop", index),
    ]


def end(reason: str) -> list[bytes]:
    return [event("messageStop", stopReason=reason), event("metadata", usage=USAGE, metrics={"latencyMs": 350})]


def refusal(
    name: str, status: int, type: str, means: type[Any], message: str = PROVIDERS_WORDS, **more: Any
) -> Refusal:
    headers = {"x-amzn-errortype": type, **more.pop("headers", {})}
    return Refusal(name, status, {"message": message}, means, headers, **more)


def whole(reason: str, *content: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": list(content)}
    return {"output": {"message": message}, "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 350}}


MODELS = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
DEPLOYMENT = Deployment(
    id="bedrock",
    group="g",
    model="bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0",
    params={
        "aws_region_name": "us-east-1",
        "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    },
)
START = event("messageStart", role="assistant")

WIRE = Wire(
    name="bedrock",
    deployment=DEPLOYMENT,
    url=f"{MODELS}/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
    key={
        "authorization": r"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/\d{8}/us-east-1/bedrock/aws4_request, "
        r"SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}"
    },
    request={
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Rain in Oslo?"}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Oslo"}}}],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "call_1", "content": [{"text": "Rain."}]}}],
            },
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "The weather.",
                        "inputSchema": {"json": WEATHER},
                    }
                }
            ],
            "toolChoice": {"auto": {}},
        },
        "inferenceConfig": {"temperature": 0.2, "maxTokens": 50, "stopSequences": ["END"]},
    },
    stream=Stream(
        content_type="application/vnd.amazon.eventstream",
        start=[START],
        text=lambda words: block("Delta", 0, delta={"text": words}),
        end=lambda reason: [block("Stop", 0), *end(reason)],
        finishes={
            "end_turn": "stop",
            "max_tokens": "length",
            "stop_sequence": "stop",
            "guardrail_intervened": "content_filter",
            "content_filtered": "content_filter",
        },
        calls=[
            START,
            *called(0, "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "weather", '{"city"', ': "Oslo"}'),
            *called(1, "tooluse_1CVxmm5pQ_2CmOSfXoZzVQ", "clock"),
            *end("tool_use"),
        ],
        empty=[START, *end("end_turn")],
        withheld=[START, *end("guardrail_intervened")],
        thoughts=[
            START,
            block("Delta", 0, delta={"reasoningContent": {"text": "Hm."}}),
            block("Delta", 0, delta={"reasoningContent": {"signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}}),
            block("Stop", 0),
            block("Delta", 1, delta={"text": "Yes."}),
            block("Stop", 1),
            *end("end_turn"),
        ],
        faults={
            "rate limit": (exception("throttlingException"), RateLimited),
            "failure": (exception("internalServerException"), ProviderOverloaded),
            "overload": (exception("serviceUnavailableException"), ProviderOverloaded),
            "model": (exception("modelStreamErrorException"), BadAnswer),
            "request": (exception("validationException"), BadAnswer),
            "damage": (event("contentBlockDelta")[:-1] + b"\0", BadAnswer),
        },
    ),
    whole=Whole(
        deployment=replace(DEPLOYMENT, model="bedrock/converse/ai21.jamba-1-5-large-v1:0"),
        url=f"{MODELS}/ai21.jamba-1-5-large-v1%3A0/converse",
        text=lambda words, reason: whole(reason, {"text": words}),
        finishes={"end_turn": "stop", "max_tokens": "length", "content_filtered": "content_filter"},
        calls=None,  # LiteLLM offers these models no tools
        empty=whole("end_turn"),
    ),
    refusals=[
        refusal("key", 403, "UnrecognizedClientException", CredentialsRefused),
        refusal("rights", 403, "AccessDeniedException", CredentialsRefused),
        refusal("model", 404, "ResourceNotFoundException", CredentialsRefused),
        refusal("rate limit", 429, "ThrottlingException", RateLimited, headers={"retry-after": "7"}, retry_after=7.0),
        refusal("failure", 500, "InternalServerException", ProviderOverloaded),
        refusal("overload", 503, "ServiceUnavailableException", ProviderOverloaded),
        refusal("request", 400, "ValidationException", RequestRejected),
        refusal(
            "context",
            400,
            "ValidationException",
            ContextWindowExceeded,
            "The model returned the following errors: Input is too long for requested model.",
        ),
        refusal(
            "context of Claude",
            400,
            "ValidationException",
            ContextWindowExceeded,
            "The model returned the following errors: prompt is too long: 213211 tokens > 200000 maximum",
        ),
    ],
)
