"""Translates a conversation for the provider that is asked next.

Callers and sessions see our own ids of tool calls. What else a provider attached to an answer is its **origin**: ids
that carry more than a name (LiteLLM hides Gemini's thought signature in them), reasoning, and signed thoughts. It is
kept beside the message, under the key "origin", and goes back to the same provider alone: others refuse it, or would
take the thoughts for their own.

Voice platforms send the conversation themselves, and know only the ids. `CallOrigins` finds the origin by those.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from config.models.deployments import Deployment
from router.providers.litellm_import import litellm
from router.stream.tool_calls import PLAIN_ID

Message = dict[str, Any]
Origin = Mapping[str, Any]
"""JSON: `provider`, and as far as the answer had them `call_ids` (the provider's by ours), `reasoning_content` and
`thinking_blocks`."""

ORIGIN: Final = "origin"
_ONLY_FOR_THEIR_PROVIDER: Final = (ORIGIN, "reasoning_content", "thinking_blocks")

MAX_ORIGIN_BYTES: Final = 32 * 1024 * 1024
"""What the process remembers of recent tool calls. A call takes between 0.1 and 20 kB."""

_MAKERS_MODELS_ONLY: Final = ("azure_ai/", "bedrock/", "openrouter/", "vertex_ai/")
"""Hosts of several makers' models: one model's signature means nothing to another."""
_MISTRAL: Final = re.compile("mistral|mixtral|ministral|magistral|codestral|devstral|pixtral")
_MISTRAL_ID: Final = re.compile(r"[A-Za-z0-9]{9}")

NO_REASONING: Final = " "
"""DeepSeek refuses a tool call without reasoning while it thinks; this is the least that it accepts."""


class CallOrigins:
    """The origins of recent tool calls, by our ids. The oldest are forgotten when they exceed `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_ORIGIN_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[str, tuple[Origin, int]] = OrderedDict()

    def add(self, call_ids: Iterable[str], origin: Origin | None) -> None:
        """Remember the origin of one answer's calls."""
        if origin is None:
            return
        size = len(orjson.dumps(origin))
        for call_id in call_ids:
            self._known[call_id] = (origin, size)
            self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, size) = self._known.popitem(last=False)
            self._bytes -= size

    def find(self, call_ids: Iterable[str]) -> Origin | None:
        """The origin of the answer with these calls, if it is known."""
        found = (self._known.get(each) for each in call_ids)
        return next((origin for origin, _ in filter(None, found)), None)


def messages_for(
    deployment: Deployment, messages: Sequence[Message], params: Mapping[str, Any], known: CallOrigins
) -> list[Message]:
    """OpenAI's `messages` as the deployment's provider takes them. `params` are those of the request."""
    reader = _Reader(deployment, {**deployment.params, **params}, known)
    return _with_all_thoughts_or_none([reader.message(each) for each in messages])


@lru_cache(maxsize=1024)
def origin_provider(deployment: Deployment) -> str:
    """The "provider" of an origin: who takes back what `deployment` attached to its answers. Contains no address."""
    name, host = deployment.model.lower(), ""
    if not name.startswith(_MAKERS_MODELS_ONLY):
        name = _maker(name)
    if deployment.api_base:
        host = f"@{_digest(host_of(deployment.api_base))[:8]}"
    return f"{name}{host}"


def host_of(address: str) -> str:
    """The host and port of `address`, without credentials."""
    try:
        return urlsplit(address).netloc.rpartition("@")[2].lower()
    except ValueError:
        return address


class _Reader:
    """Translates messages, one after the other, for one deployment."""

    def __init__(self, deployment: Deployment, params: Mapping[str, Any], known: CallOrigins) -> None:
        self._provider = origin_provider(deployment)
        self._nine = bool(_MISTRAL.search(deployment.model.lower()))
        self._thinks = _thinks(params)
        self._wants_reasoning = _is_deepseek(deployment) and self._thinks is not False
        self._known = known
        self._ids: dict[str, str] = {}

    def message(self, message: Message) -> Message:
        match message.get("role"):
            case "assistant":
                return self._assistant(message)
            case "tool":
                call_id = str(message.get("tool_call_id") or "")
                return {**message, "tool_call_id": self._ids.get(call_id) or self._call_id(call_id)}
            case _:
                return message

    def _assistant(self, message: Message) -> Message:
        calls = message.get("tool_calls") or ()
        origin = message.get(ORIGIN) or self._known.find(str(each.get("id") or "") for each in calls) or {}
        own = origin if origin.get("provider") == self._provider else {}
        translated = {name: value for name, value in message.items() if name not in _ONLY_FOR_THEIR_PROVIDER}
        if reasoning := own.get("reasoning_content"):
            translated["reasoning_content"] = reasoning
        if self._thinks and (blocks := own.get("thinking_blocks")):
            translated["thinking_blocks"] = blocks
        if calls:
            translated["tool_calls"] = [self._call(each, own.get("call_ids") or {}) for each in calls]
            if self._wants_reasoning:
                translated.setdefault("reasoning_content", NO_REASONING)
        return translated

    def _call(self, call: Mapping[str, Any], originals: Mapping[str, str]) -> dict[str, Any]:
        call_id = str(call.get("id") or "")
        self._ids[call_id] = originals.get(call_id) or self._call_id(call_id)
        return {**call, "id": self._ids[call_id]}

    def _call_id(self, call_id: str) -> str:
        """The id in the provider's alphabet and length. The same id gives the same one each time."""
        if (_MISTRAL_ID if self._nine else PLAIN_ID).fullmatch(call_id):
            return call_id
        return _digest(call_id)[:9] if self._nine else f"call_{_digest(call_id)[:24]}"


def _with_all_thoughts_or_none(messages: list[Message]) -> list[Message]:
    """Anthropic thinks on after a tool only if it gets the thoughts of every call since the user spoke.

    Without any, LiteLLM switches its thinking off for this answer.
    """
    since = next((at for at in reversed(range(len(messages))) if messages[at].get("role") == "user"), -1)
    calls = [each for each in messages[since + 1 :] if each.get("tool_calls")]
    if all("thinking_blocks" in each for each in calls) or not any("thinking_blocks" in each for each in messages):
        return messages
    return [{name: value for name, value in each.items() if name != "thinking_blocks"} for each in messages]


def _thinks(params: Mapping[str, Any]) -> bool | None:
    """Whether the request asks for thoughts; None when it says nothing."""
    match params.get("thinking"), params.get("reasoning_effort"):
        case {"type": kind}, _:
            return bool(kind != "disabled")
        case _, str() as effort:
            return effort != "none"
        case None, None:
            return None
        case _:
            return True


@lru_cache(maxsize=1024)
def _maker(model: str) -> str:
    """LiteLLM's name of the model's provider."""
    maker, slash, _ = model.partition("/")
    if slash:
        return maker
    try:
        return str(litellm.get_llm_provider(model=model)[1])
    except litellm.exceptions.BadRequestError:
        return model


def _is_deepseek(deployment: Deployment) -> bool:
    return _maker(deployment.model.lower()) == "deepseek" or "deepseek.com" in host_of(deployment.api_base or "")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
