"""What the APIs without sessions share: how a request's turn begins, and how a whole answer is sent."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson
from fastapi import Response
from starlette.requests import HTTPConnection

from agent.events import Event
from agent.personas.service import PersonaService
from agent.turn import Turn
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.http.caller_scope import with_stored_user

SAFE_IN_HEADERS: Final = "/:#*@+,=()[] "
"""Characters that are not percent-encoded in headers. Names of models and deployments may be in any language."""


@dataclass(frozen=True, slots=True)
class BegunTurn:
    """The turn of a request. It runs while `events` are read."""

    turn: Turn
    events: AsyncGenerator[Event, None]
    request: TurnRequest


async def begin_turn(connection: HTTPConnection, request: TurnRequest) -> BegunTurn:
    """Begin the turn, with the persona that `request.model` may name. Raises as `TurnService.begin` does."""
    turns: TurnService = connection.state.turns
    personas: PersonaService = connection.state.personas
    request = await prepared(turns, personas, request)
    turn = turns.begin(request)
    return BegunTurn(turn, turns.run(turn, request.session_key, request.fingerprint), request)


async def prepared(turns: TurnService, personas: PersonaService, request: TurnRequest) -> TurnRequest:
    """The request with the persona that its model names, and with its user's stored id. Raises as `begin_turn` does."""
    return with_stored_user(turns.callers, await personas.resolve(request))


def served_headers(turn: Turn) -> Mapping[str, str]:
    """Headers for the model, the deployment and the number of attempts, as known so far, and `superseded`."""
    record = turn.record
    headers = {
        "x-switchboard-model": quote(record.model, SAFE_IN_HEADERS),
        "x-switchboard-attempts": str(len(record.attempts)),
    }
    if record.served_deployment is not None:
        headers["x-switchboard-deployment"] = quote(record.served_deployment, SAFE_IN_HEADERS)
    if turn.superseded:
        headers["x-switchboard-superseded"] = "true"
    return headers


def whole_response(answer: Mapping[str, Any], turn: Turn, began: float, standing: Mapping[str, str]) -> Response:
    """A turn's answer with its headers and `standing`. The request `began` at that time of `time.perf_counter`."""
    overhead = time.perf_counter() - began - turn.record.provider_seconds
    headers = {**standing, **served_headers(turn), "x-switchboard-overhead-ms": f"{overhead * 1000:.1f}"}
    return Response(orjson.dumps(answer), headers=headers, media_type="application/json")
