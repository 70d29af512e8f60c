"""Authentication with static tokens, sent as `Authorization: Bearer`, `x-api-key` or `api-key`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import SecretStr

from api.http.errors import Unauthorized
from api.http.guarded_protocol import mark_authenticated

bearer = HTTPBearer(auto_error=False, description="One of SWITCHBOARD_API_TOKENS")
api_key = APIKeyHeader(
    name="x-api-key",
    auto_error=False,
    description="The same token, for clients that cannot send Bearer; also as api-key",
)


SECURITY: Final[Mapping[str, Any]] = {"security": [{"HTTPBearer": []}, {"APIKeyHeader": []}]}
"""OpenAPI security of a route that calls `authenticated_caller` itself, which saves the 0.1 ms of a dependency."""


class TokenVerifier:
    """Verifies tokens in constant time; it keeps only their hashes."""

    def __init__(self, tokens: Sequence[SecretStr]) -> None:
        self._digests = [_digest(token.get_secret_value()) for token in tokens]

    def verify(self, token: str) -> str:
        """Return a short id of the caller, which is the same for the same token.

        Raises:
            Unauthorized: the token is not valid.
        """
        digest = _digest(token)
        # Compare with every token, so that the time does not depend on which one matches.
        if not any([hmac.compare_digest(digest, each) for each in self._digests]):
            raise Unauthorized("The token is not valid. Send one of SWITCHBOARD_API_TOKENS as 'Authorization: Bearer'.")
        return digest.hex()[:12]


def authenticated_caller(request: Request) -> str:
    """Verify the request's token and return the caller's id, see `TokenVerifier.verify`.

    Raises:
        Unauthorized: the token is missing or not valid.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    token = credentials.strip() if scheme.lower() == "bearer" else ""
    token = token or request.headers.get("x-api-key", "") or request.headers.get("api-key", "")  # Azure's clients
    if not token:
        raise Unauthorized("A token is required: send 'Authorization: Bearer TOKEN' or 'x-api-key: TOKEN'.")
    verifier: TokenVerifier = request.state.tokens
    caller = verifier.verify(token)
    mark_authenticated(request)
    return caller


async def authenticate(
    request: Request,
    bearer: Annotated[object, Security(bearer)],
    api_key: Annotated[object, Security(api_key)],
) -> str:
    """`authenticated_caller` as a FastAPI dependency; the parameters are for the OpenAPI description."""
    return authenticated_caller(request)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
