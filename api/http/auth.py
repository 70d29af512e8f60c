"""Who may call: a static token, as `Authorization: Bearer` or `x-api-key`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import SecretStr

from api.http.errors import Unauthorized

bearer = HTTPBearer(auto_error=False, description="One of SWITCHBOARD_API_TOKENS")
api_key = APIKeyHeader(name="x-api-key", auto_error=False, description="The same token, for clients without Bearer")


SECURITY: Final[Mapping[str, Any]] = {"security": [{"HTTPBearer": []}, {"APIKeyHeader": []}]}
"""For the OpenAPI description of a route that calls `caller_of` itself, since a dependency costs 0.1 ms."""


class TokenCheck:
    """Knows the tokens only by their hashes, and compares in constant time."""

    def __init__(self, tokens: Sequence[SecretStr]) -> None:
        self._digests = [_digest(token.get_secret_value()) for token in tokens]

    def caller(self, presented: str) -> str:
        """A short name for whoever holds the token: the same token, the same name.

        Raises:
            Unauthorized: it is none of the tokens.
        """
        digest = _digest(presented)
        # Every token is compared, so that the time taken does not tell which one was near.
        if not any([hmac.compare_digest(digest, each) for each in self._digests]):
            raise Unauthorized("The token is not valid. Send one of SWITCHBOARD_API_TOKENS as 'Authorization: Bearer'.")
        return digest.hex()[:12]


def caller_of(request: Request) -> str:
    """The name of whoever sends the request, see `TokenCheck.caller`.

    Raises:
        Unauthorized: no token, or a wrong one.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = token.strip() if scheme.lower() == "bearer" else ""
    presented = presented or request.headers.get("x-api-key", "")
    if not presented:
        raise Unauthorized("A token is needed: send 'Authorization: Bearer TOKEN' or 'x-api-key: TOKEN'.")
    check: TokenCheck = request.state.tokens
    return check.caller(presented)


async def authenticate(
    request: Request,
    bearer: Annotated[object, Security(bearer)],
    api_key: Annotated[object, Security(api_key)],
) -> str:
    """`caller_of` as a FastAPI dependency; the parameters tell OpenAPI of it."""
    return caller_of(request)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
