"""How one attempt talks to one provider. All lanes yield the same chunks, so the router need not know which it uses.

A **chunk** is an OpenAI `chat.completion.chunk` as a plain dict: `choices[0].delta` with `content` and / or
`tool_calls`, `choices[0].finish_reason`, and at the end perhaps `choices: []` with `usage`. Every tool-call fragment
has all of `index`, `id`, `type`, `function.name` and `function.arguments` (None where the provider sent nothing):
langchain-litellm silently drops a fragment that lacks one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from config.models.deployments import Deployment

Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """One exchange with one deployment.

    `messages` are OpenAI message dicts. `params` are OpenAI request parameters (temperature, tools, tool_choice,
    response_format, ...) as the caller gave them; the deployment's own `params` fill in what the caller left out.
    `timeout` bounds, in seconds, connecting and waiting for the response head; the router watches everything after.
    """

    deployment: Deployment
    messages: list[dict[str, Any]]
    params: Mapping[str, Any]
    timeout: float
    drop_params: bool = False


class Lane(Protocol):
    """One way to reach a provider.

    `stream` raises the errors of `config.errors` only: AttemptError's children for what another deployment may do
    better, RequestError's children for what is wrong everywhere. Closing the generator, or cancelling the task that
    awaits it, closes the provider's connection.
    """

    def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]: ...

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Do what the first request to one of `deployments` would otherwise wait for. Reaches no provider."""
        ...

    async def aclose(self) -> None: ...
