"""The request that LiteLLM would send, built from LiteLLM's own parts but without its client.

The only module of the lanes that touches LiteLLM's internals. `tests/contract/test_lanes.py` captures what LiteLLM
sends for the same attempt and requires it to be equal; a vendor for which it is not must not be named below.
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
from router.lanes.base import Attempt
from router.vendors.litellm_import import litellm
from router.vendors.vendor_errors import MEANINGS, from_litellm

OVER_SDK: Final = frozenset({"openai", "dashscope", "moonshot", "zai", "nvidia_nim", "cerebras"})
"""Vendors that LiteLLM reaches through the OpenAI client."""
OVER_HANDLER: Final = frozenset(
    {"deepseek", "fireworks_ai", "groq", "hosted_vllm", "mistral", "openrouter", "together_ai", "xai"}
)
"""Vendors that LiteLLM reaches with its own HTTP handler."""

_STEERING: Final = frozenset(
    {
        *("timeout", "stream_timeout", "request_timeout", "max_retries", "num_retries", "tags", "order", "weight"),
        *("rpm", "tpm", "max_parallel_requests", "cooldown_time", "metadata", "stream", "stream_options"),
    }
)
"""Parameters of a deployment that steer the router, not the request."""
_SHAPING: Final = frozenset({"additional_drop_params", "allowed_openai_params", "drop_params", "extra_body"})
_IN_HEAD: Final = frozenset({"model", "api_key", "api_base", "organization", "extra_headers"})

MAX_WORDED: Final = 64
"""Sets of parameters that a route keeps."""

_utils: Final = litellm.utils
_ANY_TOOL: Final = ({"type": "function", "function": {"name": "any"}},)


class NotOnThisWire(Exception):
    """LiteLLM would not stream this request, or would rewrite its answer: only its own lane can carry it."""


@dataclass(frozen=True, slots=True)
class Route:
    """What does not depend on the request: where a deployment's requests go, with which headers, in whose dialect.

    `worded` keeps what LiteLLM last made of parameters, by the JSON of those that were asked for: wording them costs a
    quarter of a millisecond, and turn after turn brings the same. `apart` says that messages play no part in it: then
    all of the body but its messages is kept, ready to be sent, else the parameters are.
    """

    provider: str
    model: str
    url: URL
    headers: CIMultiDict[str]
    api_base: str | None
    config: Any
    apart: bool
    worded: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Vendor:
    model: str
    provider: str
    api_key: str | None
    api_base: str | None

    @classmethod
    def of(cls, deployment: Deployment) -> _Vendor:
        """LiteLLM's reading of the deployment's model, key and address."""
        key = deployment.api_key.get_secret_value() if deployment.api_key else None
        model, provider, found, api_base = litellm.get_llm_provider(
            model=deployment.model, api_base=deployment.api_base, api_key=key
        )
        return cls(model, provider, found or key, api_base)

    @property
    def config(self) -> Any:
        """How LiteLLM words requests to this vendor; None when the vendor does not speak the OpenAI wire."""
        vendors = litellm.types.utils.LlmProviders
        if self.provider not in {vendor.value for vendor in vendors}:
            return None
        config = _utils.ProviderConfigManager.get_provider_chat_config(self.model, vendors(self.provider))
        return config if isinstance(config, litellm.OpenAIGPTConfig) else None


def speaks_openai_wire(deployment: Deployment) -> bool:
    """Whether LiteLLM would send all of this deployment's requests as OpenAI requests, and read OpenAI events back."""
    try:
        vendor = _Vendor.of(deployment)
    except litellm.exceptions.BadRequestError:
        return False
    if vendor.provider not in OVER_SDK | OVER_HANDLER or "?" in (vendor.api_base or "") or vendor.config is None:
        return False
    if vendor.config.should_fake_stream(vendor.model, True, vendor.provider):
        return False
    # Any other parameter of LiteLLM's own makes it do more than send: sign, cache, rewrite the prompt.
    extras = deployment.params.keys() - _STEERING - _SHAPING - _IN_HEAD
    return not any(map(_is_litellms_own, extras)) and not _may_be_bridged(vendor, deployment)


def route(deployment: Deployment) -> Route:
    """Where the deployment's requests go.

    Raises:
        CredentialsRefused: it has no key, or its vendor does not speak the OpenAI wire.
    """
    try:
        vendor = _Vendor.of(deployment)
    except litellm.exceptions.BadRequestError as exc:
        raise from_litellm(exc) from exc
    if (config := vendor.config) is None:
        raise CredentialsRefused(f'"{deployment.id}" has lane: openai, but its vendor speaks another wire')
    own = deployment.params.get("extra_headers") or {}
    if vendor.provider in OVER_HANDLER:
        url, headers = _handler_head(vendor, config, own)
    else:
        url, headers = _sdk_head(vendor, deployment, own)
    apart = type(config).transform_request is litellm.OpenAIGPTConfig.transform_request
    return Route(vendor.provider, vendor.model, URL(url), headers, vendor.api_base, config, apart)


def body(route: Route, attempt: Attempt) -> bytes:
    """The JSON body of the attempt's request: a streamed one, which asks for its usage where the vendor knows that.

    Raises:
        NotOnThisWire: the request needs LiteLLM's lane.
        RequestRejected: an impossible message, or a parameter that the model does not take while `drop_params` is off.
    """
    asked, messages = as_json(joined_params(attempt)), orjson.loads(as_json(attempt.messages))
    try:
        messages = _utils.validate_and_fix_openai_messages(messages=messages)
        messages = route.config.translate_developer_role_to_system_role(messages=messages)
        if not route.apart:
            return orjson.dumps(_sent(route, messages, orjson.loads(_kept(route, asked, _worded))))
        sent = orjson.dumps({"messages": _sent(route, messages, {})["messages"]})
        return b"%b,%b" % (sent[:-1], _kept(route, asked, _rest)[1:])
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


def _kept(route: Route, asked: bytes, make: Callable[[Route, dict[str, Any]], dict[str, Any]]) -> bytes:
    """What `make` makes of the parameters that were asked for, as JSON; made once for all who ask for the same."""
    known = route.worded.get(asked)
    if known is None:
        known = orjson.dumps(make(route, orjson.loads(asked)))
        if len(route.worded) >= MAX_WORDED:
            route.worded.clear()
        route.worded[asked] = known
    return known


def _rest(route: Route, asked: dict[str, Any]) -> dict[str, Any]:
    """The body without messages."""
    rest = _sent(route, [], _worded(route, asked))
    if not rest["messages"]:  # else the deployment's extra_body brings some, and comes last, as with LiteLLM
        del rest["messages"]
    return rest


def _worded(route: Route, asked: dict[str, Any]) -> dict[str, Any]:
    """What `litellm.completion` does with parameters before it sends; messages play no part in it."""
    params = {name: value for name, value in asked.items() if name in _SHAPING or _is_sent(name)}
    params["tools"] = litellm.main._drop_anthropic_only_tool_keys(params.get("tools"))
    params["tool_choice"] = _utils.validate_chat_completion_tool_choice(params.get("tool_choice"), route.model)
    params["stop"] = _utils.validate_openai_optional_params(stop=params.get("stop"))
    params["thinking"] = _utils.validate_and_fix_thinking_param(params.get("thinking"))
    optional: dict[str, Any] = _utils.get_optional_params(
        model=route.model,
        custom_llm_provider=route.provider,
        stream=True,
        stream_options={"include_usage": True},
        max_retries=0,
        **params,
    )
    if optional.pop("fake_stream", False) or optional.pop("json_mode", False):
        raise NotOnThisWire
    return optional


def _sent(route: Route, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    return (_handler_body if route.provider in OVER_HANDLER else _sdk_body)(route, messages, optional)


def _sdk_body(route: Route, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    stream_options = optional.pop("stream_options", None)
    sent: dict[str, Any] = route.config.transform_request(route.model, messages, optional, _owned(route), {})
    extra = sent.pop("extra_body", None) or {}
    sent["stream"] = True
    if stream_options:
        sent["stream_options"] = stream_options
    return sent | extra


def _handler_body(route: Route, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
    if route.provider == "fireworks_ai":
        optional = route.config.map_extra_body_params(optional_params=optional, model=route.model)
    extra = optional.pop("extra_body", None)
    sent: dict[str, Any] = route.config.transform_request(route.model, messages, optional, _owned(route), {})
    if extra is not None:
        sent |= route.config.transform_extra_body(extra, sent, route.model, _owned(route))
    return sent | {"stream": True}


def _owned(route: Route) -> dict[str, Any]:
    return {"custom_llm_provider": route.provider, "api_base": route.api_base}


def _sdk_head(vendor: _Vendor, deployment: Deployment, own: Mapping[str, str]) -> tuple[str, CIMultiDict[str]]:
    api_key = vendor.api_key or os.environ.get("OPENAI_API_KEY")
    if not api_key:
        raise CredentialsRefused(f'deployment "{deployment.id}" has no api_key')
    headers = CIMultiDict({"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"})
    if organization := deployment.params.get("organization") or os.environ.get("OPENAI_ORGANIZATION"):
        headers["OpenAI-Organization"] = organization
    headers.update(own)
    base = litellm.main._resolve_openai_api_base(vendor.api_base)
    return f"{base.rstrip('/')}/chat/completions", headers


def _handler_head(vendor: _Vendor, config: Any, own: Mapping[str, str]) -> tuple[str, CIMultiDict[str]]:
    headers = dict(own)
    if vendor.provider == "openrouter":
        site, name = os.environ.get("OR_SITE_URL", "https://litellm.ai"), os.environ.get("OR_APP_NAME", "liteLLM")
        headers = {"HTTP-Referer": site, "X-Title": name} | headers
    address = {"api_key": vendor.api_key, "api_base": vendor.api_base}
    request = {"model": vendor.model, "optional_params": {}, "litellm_params": {}}
    headers = config.validate_environment(headers=headers, messages=[], **request, **address)
    return config.get_complete_url(stream=True, **request, **address), CIMultiDict(headers)


def _may_be_bridged(vendor: _Vendor, deployment: Deployment) -> bool:
    """Whether LiteLLM would send some requests to OpenAI's Responses API, as it does for newer reasoning models."""
    found, _ = litellm.main.responses_api_bridge_check(
        model=vendor.model,
        custom_llm_provider=vendor.provider,
        web_search_options=deployment.params.get("web_search_options"),
        tools=_ANY_TOOL,
        reasoning_effort="medium",
        reasoning_summary=_utils.peek_reasoning_summary_aliases(dict(deployment.params)),
        api_base=vendor.api_base,
    )
    return bool(found.get("mode") == "responses")
