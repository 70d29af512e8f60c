"""Builds the HTTP request that LiteLLM would send, with LiteLLM's own functions but without its client.

The only module of the lanes that uses LiteLLM's internals. `tests/contract/test_lanes.py` compares its requests with
those of LiteLLM; only providers for which they are equal may be listed below.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from multidict import CIMultiDict
from yarl import URL

from config.errors import CredentialsRefused, RequestRejected
from config.models.deployments import Deployment
from router.lanes.base import LaneRequest
from router.lanes.request_params import merged_params, to_json
from router.providers.litellm_import import litellm
from router.providers.provider_errors import LITELLM_ERRORS, from_litellm
from router.sized_cache import SizedCache

VIA_SDK: Final = frozenset({"openai", "dashscope", "moonshot", "zai", "nvidia_nim", "cerebras"})
"""Providers that LiteLLM reaches through the OpenAI client."""
VIA_HANDLER: Final = frozenset(
    {"deepseek", "fireworks_ai", "groq", "hosted_vllm", "mistral", "openrouter", "together_ai", "xai"}
)
"""Providers that LiteLLM reaches with its own HTTP handler."""

_ROUTING_PARAMS: Final = frozenset(
    {
        *("timeout", "stream_timeout", "request_timeout", "max_retries", "num_retries", "tags", "order", "weight"),
        *("rpm", "tpm", "max_parallel_requests", "cooldown_time", "metadata", "stream", "stream_options"),
    }
)
"""Parameters of a deployment that configure the router and are not sent."""
_PREPARATION_PARAMS: Final = frozenset({"additional_drop_params", "allowed_openai_params", "drop_params", "extra_body"})
_HEADER_PARAMS: Final = frozenset({"model", "api_key", "api_base", "organization", "extra_headers"})

MAX_CACHED_PARAMS: Final = 1024
"""Parameter sets to cache, of all endpoints that share a cache."""

MAX_CACHED_BYTES: Final = 16 * 1024 * 1024
"""Their size, with what was prepared from them. Callers choose both the tools and, with a wildcard, the endpoint."""

_utils: Final = litellm.utils
_ANY_TOOL: Final = ({"type": "function", "function": {"name": "any"}},)


class NeedsLiteLLM(Exception):
    """LiteLLM would not stream this request, or would rewrite its answer, so only the LiteLLM lane can send it."""


PreparedParams = SizedCache[tuple[str, str, URL, bytes], bytes]
"""By provider, model, URL and the JSON of the original parameters."""


def prepared_params() -> PreparedParams:
    """An empty cache."""
    return SizedCache(MAX_CACHED_PARAMS, MAX_CACHED_BYTES)


@dataclass(frozen=True, slots=True)
class ProviderEndpoint:
    """Where and how to send a deployment's requests: URL, headers, and LiteLLM's provider `config`.

    `prepared` caches the prepared parameters: preparing them costs 0.25 ms, and most turns send the same ones. Several
    endpoints may share it. `caches_body` is true when the messages do not affect the rest of the body; then the cache
    holds the whole body without the messages.
    """

    provider: str
    model: str
    url: URL
    headers: CIMultiDict[str]
    api_base: str | None
    config: Any
    caches_body: bool
    prepared: PreparedParams


@dataclass(frozen=True, slots=True)
class _ProviderAccess:
    model: str
    provider: str
    api_key: str | None
    api_base: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> _ProviderAccess:
        """The deployment's provider, model, key and base URL, as LiteLLM resolves them."""
        key = deployment.api_key.get_secret_value() if deployment.api_key else None
        model, provider, found, api_base = litellm.get_llm_provider(
            model=deployment.model, api_base=deployment.api_base, api_key=key
        )
        return cls(model, provider, found or key, api_base)

    @property
    def config(self) -> Any:
        """LiteLLM's configuration of this provider; None when the provider is not OpenAI-compatible."""
        known = litellm.types.utils.LlmProviders
        if self.provider not in {each.value for each in known}:
            return None
        config = _utils.ProviderConfigManager.get_provider_chat_config(self.model, known(self.provider))
        return config if isinstance(config, litellm.OpenAIGPTConfig) else None


def is_openai_compatible(deployment: Deployment) -> bool:
    """Whether LiteLLM would send all of this deployment's requests as OpenAI requests, and receive OpenAI events."""
    try:
        access = _ProviderAccess.of(deployment)
    except litellm.exceptions.BadRequestError:
        return False
    if access.provider not in VIA_SDK | VIA_HANDLER or "?" in (access.api_base or "") or access.config is None:
        return False
    if access.config.should_fake_stream(access.model, True, access.provider):
        return False
    # Any other LiteLLM parameter makes it do more than send the request: sign it, cache it, rewrite the prompt.
    extras = deployment.params.keys() - _ROUTING_PARAMS - _PREPARATION_PARAMS - _HEADER_PARAMS
    return not any(map(_is_litellm_param, extras)) and not _may_be_bridged(access, deployment)


def provider_of(deployment: Deployment) -> tuple[str, bool]:
    """The name of the deployment's provider, as LiteLLM resolves it, and whether it speaks OpenAI's wire format."""
    try:
        access = _ProviderAccess.of(deployment)
    except litellm.exceptions.BadRequestError:
        return "", False
    return access.provider, access.config is not None


def provider_endpoint(deployment: Deployment, prepared: PreparedParams | None = None) -> ProviderEndpoint:
    """Resolve the endpoint of `deployment`; `prepared` is a cache to share with other endpoints.

    Raises:
        CredentialsRefused: the deployment has no key, or its provider is not OpenAI-compatible.
    """
    try:
        access = _ProviderAccess.of(deployment)
    except litellm.exceptions.BadRequestError as exc:
        raise from_litellm(exc) from exc
    if (config := access.config) is None:
        raise CredentialsRefused(f'"{deployment.id}" has lane: openai, but its provider is not OpenAI-compatible')
    extra_headers = deployment.params.get("extra_headers") or {}
    if access.provider in VIA_HANDLER:
        url, headers = _handler_target(access, config, extra_headers)
    else:
        url, headers = _sdk_target(access, deployment, extra_headers)
    caches_body = type(config).transform_request is litellm.OpenAIGPTConfig.transform_request
    prepared = prepared_params() if prepared is None else prepared
    return ProviderEndpoint(
        access.provider, access.model, URL(url), headers, access.api_base, config, caches_body, prepared
    )


def request_body(endpoint: ProviderEndpoint, request: LaneRequest) -> bytes:
    """The JSON body of the request. It asks for streaming, and for the usage where the provider supports that.

    Raises:
        NeedsLiteLLM: only the LiteLLM lane can send the request.
        RequestError: the request cannot be encoded as JSON.
        RequestRejected: LiteLLM cannot prepare a message for this provider, or the model does not support a parameter
            and `drop_params` is off.
    """
    params, messages = to_json(merged_params(request)), orjson.loads(to_json(request.messages))
    try:
        messages = _utils.validate_and_fix_openai_messages(messages=messages)
        messages = endpoint.config.translate_developer_role_to_system_role(messages=messages)
        if not endpoint.caches_body:
            return orjson.dumps(_body(endpoint, messages, orjson.loads(_cached(endpoint, params, _optional_params))))
        encoded = orjson.dumps({"messages": _body(endpoint, messages, {})["messages"]})
        return b"%b,%b" % (encoded[:-1], _cached(endpoint, params, _body_without_messages)[1:])
    except NeedsLiteLLM:
        raise
    except tuple(LITELLM_ERRORS) as exc:
        raise from_litellm(exc) from exc
    except Exception as exc:
        # LiteLLM's functions fail on malformed messages in many ways; some raise a bare Exception.
        raise RequestRejected("the request's messages or tools are malformed") from exc


def _is_sent(name: str) -> bool:
    return (
        name not in _ROUTING_PARAMS
        and name not in _HEADER_PARAMS
        and not litellm.types.utils.is_litellm_owned_kwarg(name)
    )


def _is_litellm_param(name: str) -> bool:
    # LiteLLM's hook for prompt caching changes the messages, but the list does not contain its parameter.
    if name == "cache_control_injection_points":
        return True
    return "cost_per" not in name and bool(litellm.types.utils.is_litellm_owned_kwarg(name))


def _cached(
    endpoint: ProviderEndpoint, params: bytes, prepare: Callable[[ProviderEndpoint, dict[str, Any]], dict[str, Any]]
) -> bytes:
    """The JSON of what `prepare` returns for these parameters, from the cache if possible."""
    key = (endpoint.provider, endpoint.model, endpoint.url, params)
    prepared = endpoint.prepared.get(key)
    if prepared is None:
        prepared = orjson.dumps(prepare(endpoint, orjson.loads(params)))
        endpoint.prepared.put(key, prepared, len(params) + len(prepared))
    return prepared


def _body_without_messages(endpoint: ProviderEndpoint, params: dict[str, Any]) -> dict[str, Any]:
    body = _body(endpoint, [], _optional_params(endpoint, params))
    if not body["messages"]:  # messages of the deployment's extra_body override those of the request, as with LiteLLM
        del body["messages"]
    return body


def _optional_params(endpoint: ProviderEndpoint, params: dict[str, Any]) -> dict[str, Any]:
    """Prepare parameters as `litellm.completion` does. Messages do not affect them."""
    params = {name: value for name, value in params.items() if name in _PREPARATION_PARAMS or _is_sent(name)}
    params["tools"] = litellm.main._drop_anthropic_only_tool_keys(params.get("tools"))
    params["tool_choice"] = _utils.validate_chat_completion_tool_choice(params.get("tool_choice"), endpoint.model)
    params["stop"] = _utils.validate_openai_optional_params(stop=params.get("stop"))
    params["thinking"] = _utils.validate_and_fix_thinking_param(params.get("thinking"))
    optional: dict[str, Any] = _utils.get_optional_params(
        model=endpoint.model,
        custom_llm_provider=endpoint.provider,
        stream=True,
        stream_options={"include_usage": True},
        max_retries=0,
        **params,
    )
    if optional.pop("fake_stream", False) or optional.pop("json_mode", False):
        raise NeedsLiteLLM
    return optional


def _body(endpoint: ProviderEndpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    return (_handler_body if endpoint.provider in VIA_HANDLER else _sdk_body)(endpoint, messages, optional)


def _sdk_body(endpoint: ProviderEndpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    stream_options = optional.pop("stream_options", None)
    body: dict[str, Any] = endpoint.config.transform_request(
        endpoint.model, messages, optional, _litellm_params(endpoint), {}
    )
    extra = body.pop("extra_body", None) or {}
    body["stream"] = True
    if stream_options:
        body["stream_options"] = stream_options
    return body | extra


def _handler_body(endpoint: ProviderEndpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    if endpoint.provider == "fireworks_ai":
        optional = endpoint.config.map_extra_body_params(optional_params=optional, model=endpoint.model)
    extra = optional.pop("extra_body", None)
    body: dict[str, Any] = endpoint.config.transform_request(
        endpoint.model, messages, optional, _litellm_params(endpoint), {}
    )
    if extra is not None:
        body |= endpoint.config.transform_extra_body(extra, body, endpoint.model, _litellm_params(endpoint))
    return body | {"stream": True}


def _litellm_params(endpoint: ProviderEndpoint) -> dict[str, Any]:
    return {"custom_llm_provider": endpoint.provider, "api_base": endpoint.api_base}


def _sdk_target(
    access: _ProviderAccess, deployment: Deployment, extra_headers: Mapping[str, str]
) -> tuple[str, CIMultiDict[str]]:
    api_key = access.api_key or os.environ.get("OPENAI_API_KEY")
    if not api_key:
        raise CredentialsRefused(f'deployment "{deployment.id}" has no api_key')
    headers = CIMultiDict({"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"})
    if organization := deployment.params.get("organization") or os.environ.get("OPENAI_ORGANIZATION"):
        headers["OpenAI-Organization"] = organization
    headers.update(extra_headers)
    base = litellm.main._resolve_openai_api_base(access.api_base)
    return f"{base.rstrip('/')}/chat/completions", headers


def _handler_target(
    access: _ProviderAccess, config: Any, extra_headers: Mapping[str, str]
) -> tuple[str, CIMultiDict[str]]:
    headers = dict(extra_headers)
    if access.provider == "openrouter":
        site, name = os.environ.get("OR_SITE_URL", "https://litellm.ai"), os.environ.get("OR_APP_NAME", "liteLLM")
        headers = {"HTTP-Referer": site, "X-Title": name} | headers
    address = {"api_key": access.api_key, "api_base": access.api_base}
    request = {"model": access.model, "optional_params": {}, "litellm_params": {}}
    headers = config.validate_environment(headers=headers, messages=[], **request, **address)
    return config.get_complete_url(stream=True, **request, **address), CIMultiDict(headers)


def _may_be_bridged(access: _ProviderAccess, deployment: Deployment) -> bool:
    """Whether LiteLLM may use OpenAI's Responses API, as it does for newer reasoning models."""
    found, _ = litellm.main.responses_api_bridge_check(
        model=access.model,
        custom_llm_provider=access.provider,
        web_search_options=deployment.params.get("web_search_options"),
        tools=_ANY_TOOL,
        reasoning_effort="medium",
        reasoning_summary=_utils.peek_reasoning_summary_aliases(dict(deployment.params)),
        api_base=access.api_base,
    )
    return bool(found.get("mode") == "responses")
