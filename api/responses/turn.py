"""One response: from the request to the events of its turn, whatever the transport."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from secrets import token_hex

from starlette.requests import HTTPConnection

from agent.events import Event
from agent.responses.store import ResponseStore
from agent.turn import Turn
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.http.turn_response import begin_turn, prepared
from api.responses.encode import ResponseEncoder, Save, unsaved
from api.responses.response_object import Object, ResponseInfo
from api.responses.stored_items import Conversation, Unstored, conversation
from api.responses.wire import ResponseRequest
from config.errors import StorageUnavailable
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class ResponseTurn:
    """A turn that runs while `events` are read, and what encodes them."""

    turn: Turn
    events: AsyncGenerator[Event, None]
    encoder: ResponseEncoder
    session_id: str | None
    said: Conversation


async def begin(
    connection: HTTPConnection, caller: str, body: ResponseRequest, unstored: Unstored | None = None
) -> ResponseTurn:
    """Begin the response that `body` asks for. It may go on after the response `unstored`.

    Raises:
        RequestError: a field is invalid, not supported or too large; `param` names it.
        PreviousResponseNotFound: it goes on after a response that is not stored.
        ModelNotFound, ModelUnavailable, ServerStopping: see `TurnService.begin`.
    """
    said, request = await read_request(connection, caller, body, unstored)
    begun = await begin_turn(connection, request)
    turn = begun.turn
    info = ResponseInfo(
        key=turn.ids.turn_id,
        created_at=_now(),
        now=_now,
        model=lambda: turn.record.model,
        echoed=body.echoed(),
        provider_fields=lambda: turn.record.provider_fields,
    )
    encoder = ResponseEncoder(info, _save(connection, caller, body, said))
    return ResponseTurn(turn, begun.events, encoder, request.session_id, said)


async def without_turn(
    connection: HTTPConnection, caller: str, body: ResponseRequest, unstored: Unstored | None = None
) -> tuple[ResponseEncoder, Conversation]:
    """The encoder of a response for which no turn runs: it only says what later ones go on after.

    Raises as `begin` does.
    """
    turns: TurnService = connection.state.turns
    said, request = await read_request(connection, caller, body, unstored)
    model = turns.check(await prepared(turns, connection.state.personas, request))
    info = ResponseInfo(token_hex(16), _now(), _now, lambda: model, body.echoed())
    return ResponseEncoder(info, _save(connection, caller, body, said)), said


async def read_request(
    connection: HTTPConnection, caller: str, body: ResponseRequest, unstored: Unstored | None = None
) -> tuple[Conversation, TurnRequest]:
    """What the response goes on after, and the turn that it asks for.

    Raises RequestError and PreviousResponseNotFound, see `begin`.
    """
    settings: Settings = connection.state.settings
    responses: ResponseStore = connection.state.responses
    said = await conversation(responses, caller, body.previous_response_id, body.items(), unstored)
    return said, body.turn_request(connection.headers, caller, settings.max_tools, said.items, said.earlier)


def _save(connection: HTTPConnection, caller: str, body: ResponseRequest, said: Conversation) -> Save:
    if body.store is False:
        return unsaved
    responses: ResponseStore = connection.state.responses

    async def save(response: Object) -> bool:
        try:
            await responses.add(caller, said.previous, said.input, response)
        except StorageUnavailable:  # already logged; the answer has been said
            return False
        return True

    return save


def _now() -> int:
    return int(time.time())
