"""Counts and admits requests for turns, and holds their place until the response is sent."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from agent.callers.limits import CallerLimits
from agent.turns import TurnService
from api.http.held import release_at_end
from api.http.rate_limit_headers import rate_limit_headers
from api.http.sse import cancel_on_disconnect


def count_request(request: Request) -> str:
    """Count a request for a turn in the statistics, and return its caller."""
    turns: TurnService = request.state.turns
    caller: str = request.state.caller
    turns.statistics.count_request(caller)
    return caller


async def admit(request: Request) -> Mapping[str, str]:
    """Admit the turn that the request asks for. Returns the headers with which OpenAI's API tells of the limits.

    Raises:
        ClientDisconnected: the client hung up while the turn waited for its place.
        and as `CallerLimits.admit` does.
    """
    limits: CallerLimits | None = request.state.limits
    if limits is None:
        return {}
    admitting = limits.admit(request.state.caller)
    admission = await (cancel_on_disconnect(request, admitting) if limits.is_full else admitting)
    release_at_end(request, admission.release)
    return rate_limit_headers(admission.standings)


async def admit_task(request: Request) -> None:
    """Admit the request for a task. Raises as `CallerLimits.admit_task` does."""
    limits: CallerLimits | None = request.state.limits
    if limits is not None:
        await limits.admit_task(request.state.caller)
