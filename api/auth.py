"""Who may call: a static token, as `Authorization: Bearer` or `x-api-key`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from api.errors import Unauthorized

bearer = HTTPBearer(auto_error=False, description="One of SWITCHBOARD_API_TOKENS")
api_key = APIKeyHeader(name="x-api-key", auto_error=False, description="The same token, for clients without Bearer")


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


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None,
    key: Annotated[str | None, Security(api_key)] = None,
) -> str:
    """FastAPI dependency: the caller's name, see `TokenCheck.caller`."""
    presented = credentials.credentials if credentials else key
    if not presented:
        raise Unauthorized("A token is needed: send 'Authorization: Bearer TOKEN' or 'x-api-key: TOKEN'.")
    check: TokenCheck = request.state.tokens
    return check.caller(presented)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
