"""Who may open a phone line: a carrier that signs its requests, or whoever has one of the server's own tokens."""

from __future__ import annotations

import base64
from typing import Final

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from api.http.auth import TokenVerifier, authenticated_caller
from api.http.errors import SignatureRefused, Unauthorized
from api.http.guarded_protocol import mark_authenticated
from api.phone.signatures import TELNYX, Carriers

SUBPROTOCOL: Final = "switchboard"
TOKEN_SUBPROTOCOL: Final = "switchboard.token."  # noqa: S105  (the prefix of a token)
"""A browser cannot send headers with a WebSocket. It offers both subprotocols, the second one with its token behind it
in base64url without padding, and the server chooses the first."""

TOKEN_HEADERS: Final = ("authorization", "x-api-key", "api-key")


def caller_of(connection: HTTPConnection, body: bytes = b"") -> str:
    """The caller in the statistics: a carrier, or that of a token. Also in `connection.state`, with `carrier`.

    Raises:
        Unauthorized: the token is not valid.
        SignatureRefused: the carrier's signature is not valid, or nothing says who calls.
        PhoneLineOff: the same, and the carrier's secret is not configured.
    """
    carriers: Carriers = connection.state.carriers
    carrier = connection.state.carrier = _ticket_holder(connection, carriers) or carriers.signer(connection, body)
    if carrier is not None:
        connection.state.caller = carrier
        mark_authenticated(connection)
        return carrier
    if (caller := token_caller(connection)) is None:
        raise carriers.refusal()
    return caller


def token_caller(connection: HTTPConnection) -> str | None:
    """The caller of the token in a header or in a subprotocol, also in `connection.state`; None without a token.

    Raises:
        Unauthorized: the token is not valid.
    """
    if any(name in connection.headers for name in TOKEN_HEADERS):
        return authenticated_caller(connection)
    if (token := _offered_token(connection)) is None:
        return None
    verifier: TokenVerifier = connection.state.tokens
    caller = connection.state.caller = verifier.verify(token)
    mark_authenticated(connection)
    return caller


def chosen_subprotocol(websocket: WebSocket) -> str | None:
    """The subprotocol with which the server accepts the connection."""
    return SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None


def _ticket_holder(connection: HTTPConnection, carriers: Carriers) -> str | None:
    """The carrier whose ticket the path has; None without a ticket. Raises SignatureRefused."""
    ticket = connection.path_params.get("ticket")
    if ticket is None:
        return None
    if carriers.tickets is None or not carriers.tickets.is_valid(ticket):
        raise SignatureRefused("The ticket in the path is not valid, or has expired. Each call gets a new one.")
    return TELNYX


def _offered_token(connection: HTTPConnection) -> str | None:
    offered = (each for each in connection.scope.get("subprotocols", ()) if each.startswith(TOKEN_SUBPROTOCOL))
    encoded = next((each.removeprefix(TOKEN_SUBPROTOCOL) for each in offered), None)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as exc:  # of base64, or of UTF-8
        raise Unauthorized("The token in the subprotocol is not valid base64url.") from exc
