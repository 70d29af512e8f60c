"""What the caller of a request may see: every user, or only those that it made itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from starlette.requests import HTTPConnection

from agent.sessions.requests import Invocation, Resumption
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.http.errors import InvalidBody
from api.http.ids import MAX_ID
from config.callers.caller import LiveCallers

T = TypeVar("T", Invocation, Resumption)


def stored_user(request: HTTPConnection, user_id: str) -> str:
    """The id under which the caller's user is stored, see `Caller.stored_user`.

    Raises:
        InvalidBody: it is too long.
    """
    return _stored(_callers(request), request.state.caller, user_id)


def of_caller(request: HTTPConnection, asked: T) -> T:
    """The request for a turn, with its caller and the user as it is stored. Raises as `stored_user` does."""
    return replace(asked, user_id=stored_user(request, asked.user_id), caller=request.state.caller)


def with_stored_user(callers: LiveCallers, turn: TurnRequest) -> TurnRequest:
    """The turn with the id under which its caller's user is stored, if it names one. Raises as `stored_user` does."""
    if turn.user_id is None or callers.owner(turn.caller) is None:
        return turn
    return replace(turn, user_id=_stored(callers, turn.caller, turn.user_id))


def shown_user(request: HTTPConnection, stored: str) -> str | None:
    """The caller's own id of a stored user; None if the caller may not see the user."""
    return _callers(request).shown_user(request.state.caller, stored)


def owner(request: HTTPConnection) -> str | None:
    """The caller, if it sees only what it made itself."""
    return _callers(request).owner(request.state.caller)


def _stored(callers: LiveCallers, caller: str | None, user_id: str) -> str:
    stored = callers.stored_user(caller, user_id)
    if len(stored) > MAX_ID:
        raise InvalidBody(f"user_id is too long: with the caller's name it has {len(stored)} characters, of {MAX_ID}.")
    return stored


def _callers(request: HTTPConnection) -> LiveCallers:
    turns: TurnService = request.state.turns
    return turns.callers
