"""Requests in the form that voice platforms and chat UIs send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def function(name: str, required: str = "", optional: str = "", **extra: Any) -> dict[str, Any]:
    """Return a tool with string parameters."""
    names = [*required.split(), *optional.split()]
    schema = {
        "type": "object",
        "properties": {each: {"type": "string"} for each in names},
        "required": required.split(),
    }
    described = {"name": name, "description": f"{name}, as the platform describes it.", **extra}
    return {"type": "function", "function": {**described, "parameters": schema}}


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform's request without the last user message, and the tool names that it expects.

    transfer, argument: tool and argument of a call transfer.
    end: tool that ends the call.
    """

    name: str
    body: Mapping[str, Any]
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    transfer: str = "transferCall"
    argument: str = "destination"
    end: str = "endCall"
    include_usage: bool = False

    def request(self, text: str, **changes: Any) -> dict[str, Any]:
        """Return the body with `text` as the last user message."""
        messages = [*self.body["messages"], {"role": "user", "content": text}]
        return {**self.body, "messages": messages, **changes}


HISTORY = [{"role": "system", "content": "You are Mary."}, {"role": "assistant", "content": "Hello, this is Mary."}]

# https://docs.vapi.ai/customization/custom-llm/using-your-server, metadataSendMode "variable"
VAPI = Platform(
    "vapi",
    path="/chat/completions",
    body={
        "model": "gpt-4o",
        "messages": HISTORY,
        "temperature": 0.7,
        "max_tokens": 250,
        "stream": True,
        "tools": [function("transferCall", "destination"), function("endCall"), function("bookTable", "day hour")],
        "call": {
            "id": "7420f27a-30fd-4f49-a995-5549ae7cc00d",
            "orgId": "eb166faa-7145-46ef-8044-589b47ae3b56",
            "type": "inboundPhoneCall",
            "status": "in-progress",
            "assistant": {"model": {"provider": "custom-llm"}, "voice": None},
        },
        "phoneNumber": {"id": "4f5c2b8e", "provider": "twilio", "number": "+14155550100"},
        "customer": {"number": "+14155550199", "name": None},
        "metadata": {"plan": "gold", "visits": 3},
        "timestamp": 1763692800000,
    },
)

# https://elevenlabs.io/docs/conversational-ai/customization/llm/custom-llm, with system tools and extra body
ELEVENLABS = Platform(
    "elevenlabs",
    transfer="transfer_to_number",
    argument="transfer_number",
    end="end_call",
    include_usage=True,
    body={
        "model": "default",
        "messages": HISTORY,
        "temperature": 0,
        "max_tokens": 5000,
        "stream": True,
        "stream_options": {"include_usage": True},
        "user_id": "user-7",
        "elevenlabs_extra_body": {"session_id": "conv_01", "UUID": "123e4567-e89b-12d3-a456-426614174000"},
        "tools": [
            function("end_call", "reason", "message"),
            function("transfer_to_number", "transfer_number client_message agent_message", "reason"),
            function("language_detection", "reason language"),
            function("skip_turn", "", "reason"),
        ],
    },
)

LIVEKIT = Platform(
    "livekit",
    include_usage=True,
    headers={"x-stainless-lang": "python"},
    body={
        "model": "fake",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "You are Mary."}]},
            {"role": "assistant", "content": "Hello, this is"},
            {"role": "user", "content": "Wait."},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "max_completion_tokens": 300,
        "service_tier": "auto",
        "tools": [function("look_up_weather", "location", strict=True)],
    },
)

PIPECAT = Platform(
    "pipecat",
    include_usage=True,
    body={
        "model": "fake",
        "messages": [{"role": "developer", "content": "You are Mary."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "seed": 7,
        "tool_choice": "auto",
        "tools": [function("fetch_weather", "location", "format")],
    },
)

OPEN_WEBUI = Platform(
    "open-webui",
    headers={
        "x-openwebui-user-name": "Ada%20Lovelace",
        "x-openwebui-user-id": "0b6a2f6e",
        "x-openwebui-user-email": "ada@example.org",
        "x-openwebui-user-role": "user",
        "x-openwebui-chat-id": "c0ffee00-0000-4000-8000-000000000001",
    },
    body={"model": "fake", "messages": [{"role": "user", "content": "Hi"}, HISTORY[1]], "stream": True, "user": "ada"},
)

PLATFORMS = (VAPI, ELEVENLABS, LIVEKIT, PIPECAT, OPEN_WEBUI)
