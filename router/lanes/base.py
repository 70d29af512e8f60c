"""The interface of lanes. A lane is one way to send an attempt to a provider; all lanes yield the same chunks.

A **chunk** is an OpenAI `chat.completion.chunk` as a plain dict: `choices[0].delta` with `content`, `tool_calls`,
`reasoning_content` or `reasoning`, `choices[0].finish_reason`, and at the end possibly `choices: []` with `usage`.
A refusal is in `content`, so that it is spoken, and in `refusal`.
`reasoning` are thoughts that the provider does not take back; `thinking_blocks` are signed ones, see `router.history`.
Every tool-call fragment has `index`, `id`, `type`, `function.name` and `function.arguments`, with None for what the
provider did not send: langchain-litellm silently drops a fragment that lacks a key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from config.models.deployments import Deployment

Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """The request of one attempt.

    `messages` are OpenAI message dicts. `params` are the caller's OpenAI request parameters (temperature, tools,
    tool_choice, response_format, ...); the deployment's own `params` are the defaults. `timeout` is the time in seconds
    to connect and receive the response headers; the router enforces the timeouts after that. `drop_params` leaves out
    parameters that the model does not support.
    """

    deployment: Deployment
    messages: list[dict[str, Any]]
    params: Mapping[str, Any]
    timeout: float
    drop_params: bool = False


class Lane(Protocol):
    """One way to reach a provider.

    `stream` raises only errors of `config.errors`: an AttemptError when another deployment may succeed, a RequestError
    when the request is invalid for every deployment. Closing the generator, or cancelling the task that awaits it,
    closes the connection to the provider.
    """

    def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]: ...

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Load what the first request to `deployments` needs. Contacts no provider."""
        ...

    async def aclose(self) -> None: ...
