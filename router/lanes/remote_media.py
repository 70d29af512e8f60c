"""Images and files that a request names by their URL. They are passed on to the provider, and never fetched here.

A caller chooses these URLs: a server that fetched them would ask any address for any caller, those of its own network
among them. LiteLLM does that for providers that take no URLs. So a request is refused where LiteLLM would not pass the
URL on, and `config.litellm_environment` switches LiteLLM's downloads off besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from config.errors import RequestRejected
from config.models.deployments import Deployment
from router.lanes.openai_request import provider_of

PASSED_ON: Final[Mapping[str, re.Pattern[str]]] = {
    "azure": re.compile(r".*", re.DOTALL),
    "anthropic": re.compile(r"https://\S+"),
    # Without an ending, LiteLLM asks Google's storage for the type of the file.
    "vertex_ai": re.compile(r"https://\S+|gs://\S+\.\w+"),
    "gemini": re.compile(r"https://generativelanguage\.googleapis\.com/v1beta/files/[\w-]+"),
}
"""The URLs that LiteLLM passes on to these providers. To those that speak OpenAI's wire format, it passes on all."""

_REMOTE: Final = re.compile(r"://|^\s*(?:https?|ftp|file):", re.IGNORECASE)


def refuse_what_litellm_fetches(deployment: Deployment, messages: Sequence[Mapping[str, Any]]) -> None:
    """Raise RequestRejected if the messages have a URL that LiteLLM would not pass on to this deployment's provider."""
    urls = list(remote_urls(messages))
    if not urls:
        return
    provider, is_openai_compatible = provider_of(deployment)
    passed_on = PASSED_ON.get(provider)
    if is_openai_compatible or (passed_on and all(map(passed_on.fullmatch, urls))):
        return
    raise RequestRejected(
        "this model's provider takes no such URL of an image or file, and Switchboard fetches none: send the content "
        "as a data: URL",
        status=400,
    )


def remote_urls(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every text in a message's parts that LiteLLM could take for a URL, besides spoken text."""
    for message in messages:
        if isinstance(parts := message.get("content"), list):
            for part in parts:
                yield from _remote(part)


def _remote(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _REMOTE.search(value):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _remote(each)
    elif isinstance(value, dict):
        spoken = "text" if value.get("type") == "text" else None
        for key, each in value.items():
            if key != spoken:
                yield from _remote(each)
