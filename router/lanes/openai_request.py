"""The request that LiteLLM would send, built from LiteLLM's own parts but without its client.

The only module of the lanes that touches LiteLLM's internals. `tests/contract/test_lanes.py` captures what LiteLLM
sends for the same attempt and requires it to be equal; a provider for which it is not must not be named below.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from multidict import CIMultiDict
from yarl import URL

from config.errors import CredentialsRefused, RequestRejected
from config.models.deployments import Deployment
from router.lanes.arguments import as_json, joined_params
from router.lanes.base import LaneRequest
from router.providers.litellm_import import litellm
from router.providers.provider_errors import MEANINGS, from_litellm

OVER_SDK: Final = frozenset({"openai", "dashscope", "moonshot", "zai", "nvidia_nim", "cerebras"})
"""Providers that LiteLLM reaches through the OpenAI client."""
OVER_HANDLER: Final = frozenset(
    {"deepseek", "fireworks_ai", "groq", "hosted_vllm", "mistral", "openrouter", "together_ai", "xai"}
)
"""Providers that LiteLLM reaches with its own HTTP handler."""

_STEERING: Final = frozenset(
    {
        *("timeout", "stream_timeout", "request_timeout", "max_retries", "num_retries", "tags", "order", "weight"),
        *("rpm", "tpm", "max_parallel_requests", "cooldown_time", "metadata", "stream", "stream_options"),
    }
)
"""Parameters of a deployment that steer the router, not the request."""
_SHAPING: Final = frozenset({"additional_drop_params", "allowed_openai_params", "drop_params", "extra_body"})
_IN_HEAD: Final = frozenset({"model", "api_key", "api_base", "organization", "extra_headers"})

MAX_CACHED_PARAMS: Final = 64
"""Sets of parameters that a endpoint keeps."""

_utils: Final = litellm.utils
_ANY_TOOL: Final = ({"type": "function", "function": {"name": "any"}},)


class NotOnThisWire(Exception):
    """LiteLLM would not stream this request, or would rewrite its answer: only its own lane can carry it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What does not depend on the request: where a deployment's requests go, with which headers, in whose dialect.

    `prepared` caches what LiteLLM makes of the parameters, keyed by their JSON: preparing them costs 0.25 ms, and most
    turns send the same ones. `messages_apart` is true when messages do not affect the parameters: then the cache holds
    the whole body without its messages, else it holds the parameters.
    """

    provider: str
    model: str
    url: URL
    headers: CIMultiDict[str]
    api_base: str | None
    config: Any
    messages_apart: bool
    prepared: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _ProviderAccess:
    model: str
    provider: str
    api_key: str | None
    api_base: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> _ProviderAccess:
        """LiteLLM's reading of the deployment's model, key and address."""
        key = deployment.api_key.get_secret_value() if deployment.api_key else None
        model, provider, found, api_base = litellm.get_llm_provider(
            model=deployment.model, api_base=deployment.api_base, api_key=key
        )
        return cls(model, provider, found or key, api_base)

    @property
    def config(self) -> Any:
        """How LiteLLM words requests to this provider; None when the provider does not speak the OpenAI wire."""
        known = litellm.types.utils.LlmProviders
        if self.provider not in {each.value for each in known}:
            return None
        config = _utils.ProviderConfigManager.get_provider_chat_config(self.model, known(self.provider))
        return config if isinstance(config, litellm.OpenAIGPTConfig) else None


def speaks_openai_wire(deployment: Deployment) -> bool:
    """Whether LiteLLM would send all of this deployment's requests as OpenAI requests, and read OpenAI events back."""
    try:
        access = _ProviderAccess.of(deployment)
    except litellm.exceptions.BadRequestError:
        return False
    if access.provider not in OVER_SDK | OVER_HANDLER or "?" in (access.api_base or "") or access.config is None:
        return False
    if access.config.should_fake_stream(access.model, True, access.provider):
        return False
    # Any other parameter of LiteLLM's own makes it do more than send: sign, cache, rewrite the prompt.
    extras = deployment.params.keys() - _STEERING - _SHAPING - _IN_HEAD
    return not any(map(_is_litellms_own, extras)) and not _may_be_bridged(access, deployment)


def endpoint(deployment: Deployment) -> Endpoint:
    """Where the deployment's requests go.

    Raises:
        CredentialsRefused: it has no key, or its provider does not speak the OpenAI wire.
    """
    try:
        access = _ProviderAccess.of(deployment)
    except litellm.exceptions.BadRequestError as exc:
        raise from_litellm(exc) from exc
    if (config := access.config) is None:
        raise CredentialsRefused(f'"{deployment.id}" has lane: openai, but its provider speaks another wire')
    own = deployment.params.get("extra_headers") or {}
    if access.provider in OVER_HANDLER:
        url, headers = _handler_head(access, config, own)
    else:
        url, headers = _sdk_head(access, deployment, own)
    apart = type(config).transform_request is litellm.OpenAIGPTConfig.transform_request
    return Endpoint(access.provider, access.model, URL(url), headers, access.api_base, config, apart)


def body(endpoint: Endpoint, request: LaneRequest) -> bytes:
    """The JSON body of the attempt's request: a streamed one, which asks for its usage where the provider knows that.

    Raises:
        NotOnThisWire: the request needs LiteLLM's lane.
        RequestRejected: an impossible message, or a parameter that the model does not take while `drop_params` is off.
    """
    asked, messages = as_json(joined_params(request)), orjson.loads(as_json(request.messages))
    try:
        messages = _utils.validate_and_fix_openai_messages(messages=messages)
        messages = endpoint.config.translate_developer_role_to_system_role(messages=messages)
        if not endpoint.messages_apart:
            return orjson.dumps(_sent(endpoint, messages, orjson.loads(_kept(endpoint, asked, _optional_params))))
        sent = orjson.dumps({"messages": _sent(endpoint, messages, {})["messages"]})
        return b"%b,%b" % (sent[:-1], _kept(endpoint, asked, _rest)[1:])
    except NotOnThisWire:
        raise
    except tuple(MEANINGS) as exc:
        raise from_litellm(exc) from exc
    except Exception as exc:
        # LiteLLM's parts trip over messages of an impossible form, each in its own way: some raise a bare Exception.
        raise RequestRejected("the request's messages or tools have a form that no model takes") from exc


def _is_sent(name: str) -> bool:
    return name not in _STEERING and name not in _IN_HEAD and not litellm.types.utils.is_litellm_owned_kwarg(name)


def _is_litellms_own(name: str) -> bool:
    return "cost_per" not in name and bool(litellm.types.utils.is_litellm_owned_kwarg(name))


def _kept(endpoint: Endpoint, asked: bytes, make: Callable[[Endpoint, dict[str, Any]], dict[str, Any]]) -> bytes:
    """What `make` makes of the parameters that were asked for, as JSON; made once for all who ask for the same."""
    known = endpoint.prepared.get(asked)
    if known is None:
        known = orjson.dumps(make(endpoint, orjson.loads(asked)))
        if len(endpoint.prepared) >= MAX_CACHED_PARAMS:
            endpoint.prepared.clear()
        endpoint.prepared[asked] = known
    return known


def _rest(endpoint: Endpoint, asked: dict[str, Any]) -> dict[str, Any]:
    """The body without messages."""
    rest = _sent(endpoint, [], _optional_params(endpoint, asked))
    if not rest["messages"]:  # else the deployment's extra_body brings some, and comes last, as with LiteLLM
        del rest["messages"]
    return rest


def _optional_params(endpoint: Endpoint, asked: dict[str, Any]) -> dict[str, Any]:
    """What `litellm.completion` does with parameters before it sends; messages play no part in it."""
    params = {name: value for name, value in asked.items() if name in _SHAPING or _is_sent(name)}
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
        raise NotOnThisWire
    return optional


def _sent(endpoint: Endpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    return (_handler_body if endpoint.provider in OVER_HANDLER else _sdk_body)(endpoint, messages, optional)


def _sdk_body(endpoint: Endpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    stream_options = optional.pop("stream_options", None)
    sent: dict[str, Any] = endpoint.config.transform_request(endpoint.model, messages, optional, _owned(endpoint), {})
    extra = sent.pop("extra_body", None) or {}
    sent["stream"] = True
    if stream_options:
        sent["stream_options"] = stream_options
    return sent | extra


def _handler_body(endpoint: Endpoint, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    if endpoint.provider == "fireworks_ai":
        optional = endpoint.config.map_extra_body_params(optional_params=optional, model=endpoint.model)
    extra = optional.pop("extra_body", None)
    sent: dict[str, Any] = endpoint.config.transform_request(endpoint.model, messages, optional, _owned(endpoint), {})
    if extra is not None:
        sent |= endpoint.config.transform_extra_body(extra, sent, endpoint.model, _owned(endpoint))
    return sent | {"stream": True}


def _owned(endpoint: Endpoint) -> dict[str, Any]:
    return {"custom_llm_provider": endpoint.provider, "api_base": endpoint.api_base}


def _sdk_head(access: _ProviderAccess, deployment: Deployment, own: Mapping[str, str]) -> tuple[str, CIMultiDict[str]]:
    api_key = access.api_key or os.environ.get("OPENAI_API_KEY")
    if not api_key:
        raise CredentialsRefused(f'deployment "{deployment.id}" has no api_key')
    headers = CIMultiDict({"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"})
    if organization := deployment.params.get("organization") or os.environ.get("OPENAI_ORGANIZATION"):
        headers["OpenAI-Organization"] = organization
    headers.update(own)
    base = litellm.main._resolve_openai_api_base(access.api_base)
    return f"{base.rstrip('/')}/chat/completions", headers


def _handler_head(access: _ProviderAccess, config: Any, own: Mapping[str, str]) -> tuple[str, CIMultiDict[str]]:
    headers = dict(own)
    if access.provider == "openrouter":
        site, name = os.environ.get("OR_SITE_URL", "https://litellm.ai"), os.environ.get("OR_APP_NAME", "liteLLM")
        headers = {"HTTP-Referer": site, "X-Title": name} | headers
    address = {"api_key": access.api_key, "api_base": access.api_base}
    request = {"model": access.model, "optional_params": {}, "litellm_params": {}}
    headers = config.validate_environment(headers=headers, messages=[], **request, **address)
    return config.get_complete_url(stream=True, **request, **address), CIMultiDict(headers)


def _may_be_bridged(access: _ProviderAccess, deployment: Deployment) -> bool:
    """Whether LiteLLM would send some requests to OpenAI's Responses API, as it does for newer reasoning models."""
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
