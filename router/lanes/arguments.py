"""What both HTTP lanes hand to LiteLLM for one request: the deployment's parameters and the caller's, joined."""

from __future__ import annotations

from typing import Any, Final

import orjson

from config.errors import RequestRejected
from router.lanes.base import LaneRequest

CALLER_PARAMS: Final = frozenset(
    {
        *(
            "audio",
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
        ),
        *("max_tokens", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key"),
        *("reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store"),
        *("temperature", "thinking", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
    }
)
"""The only names that are taken from a caller. With others, `api_base` or `mock_response` say, a caller could steer
where the request and the key go."""


def completion_arguments(request: LaneRequest) -> dict[str, Any]:
    """Messages and parameters for LiteLLM. They are the lane's own: LiteLLM rewrites messages and tools in place.

    Raises:
        RequestRejected: the messages or parameters hold what JSON cannot.
    """
    joined: dict[str, Any] = orjson.loads(as_json(joined_params(request) | {"messages": request.messages}))
    return joined | {"model": request.deployment.model, **_address(request)}


def joined_params(request: LaneRequest) -> dict[str, Any]:
    """The caller's parameters over the deployment's."""
    given = {name: value for name, value in request.params.items() if name in CALLER_PARAMS and value is not None}
    joined = {"drop_params": request.drop_params} | dict(request.deployment.params) | given
    # The caller's limit replaces the deployment's, under whichever of its two names either was given.
    if "max_tokens" in given and "max_completion_tokens" not in given:
        joined.pop("max_completion_tokens", None)
    elif "max_completion_tokens" in given and "max_tokens" not in given:
        joined.pop("max_tokens", None)
    return joined


def as_json(value: object) -> bytes:
    """`value` as JSON. Raises RequestRejected for a lone surrogate and for what is no JSON."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        raise RequestRejected(f"the request cannot be written as JSON: {exc}") from exc


def _address(request: LaneRequest) -> dict[str, Any]:
    deployment = request.deployment
    address: dict[str, Any] = {}
    if deployment.api_base:
        address["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        address["api_key"] = deployment.api_key.get_secret_value()
    return address
