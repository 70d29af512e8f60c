"""Merges the caller's request parameters with the deployment's, for both HTTP lanes."""

from __future__ import annotations

from typing import Any, Final

import orjson

from config.errors import RequestError
from router.lanes.base import LaneRequest

CALLER_PARAMS: Final = frozenset(
    """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens modalities
    n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format
    safety_identifier seed service_tier stop store temperature thinking tool_choice tools top_k top_logprobs top_p
    user verbosity
    """.split()
)
"""The only parameters accepted from a caller. Others, such as `api_base`, would let a caller redirect the request and
the key."""


def completion_arguments(request: LaneRequest) -> dict[str, Any]:
    """The arguments of `litellm.acompletion`. They are a deep copy, since LiteLLM changes messages and tools in place.

    Raises:
        RequestError: the messages or parameters cannot be encoded as JSON.
    """
    merged: dict[str, Any] = orjson.loads(to_json(merged_params(request) | {"messages": request.messages}))
    return merged | {"model": request.deployment.model, **_address(request)}


def merged_params(request: LaneRequest) -> dict[str, Any]:
    """The deployment's parameters, overridden by the caller's."""
    given = {name: value for name, value in request.params.items() if name in CALLER_PARAMS and value is not None}
    merged = {"drop_params": request.drop_params} | dict(request.deployment.params) | given
    if "user" in given and request.deployment.model.startswith("openai/"):
        # LiteLLM sends `user` only to models in its own list, not to other servers that speak OpenAI's format.
        merged["allowed_openai_params"] = sorted({*(merged.get("allowed_openai_params") or ()), "user"})
    # The limit has two names; the caller's replaces the deployment's under either name.
    if "max_tokens" in given and "max_completion_tokens" not in given:
        merged.pop("max_completion_tokens", None)
    elif "max_completion_tokens" in given and "max_tokens" not in given:
        merged.pop("max_tokens", None)
    return merged


def to_json(value: object) -> bytes:
    """Encode `value` as JSON. Raises RequestError for lone surrogates and unsupported types."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        raise RequestError(f"the request cannot be encoded as JSON: {exc}") from exc


def _address(request: LaneRequest) -> dict[str, Any]:
    deployment = request.deployment
    address: dict[str, Any] = {}
    if deployment.api_base:
        address["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        address["api_key"] = deployment.api_key.get_secret_value()
    return address
