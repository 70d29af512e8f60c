"""Authentication with static tokens, sent as `Authorization: Bearer`, `x-api-key`, `api-key`, or HTTP Basic.

HTTP Basic is for clients that can only be given a URL, `http://any:TOKEN@host`. A 401 does not offer it: browsers would
ask for a user and a password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from api.http.errors import OperatorOnly, Unauthorized
from api.http.guarded_protocol import mark_authenticated
from config.callers.caller import LiveCallers, is_token_id, token_id


class TokenVerifier:
    """Verifies `tokens`, and those of `callers`, in constant time; it keeps only their hashes."""

    def __init__(self, tokens: Sequence[SecretStr], callers: LiveCallers | None = None) -> None:
        self._digests = [_digest(token.get_secret_value()) for token in tokens]
        self._callers = callers or LiveCallers()

    def verify(self, token: str) -> str:
        """Return the caller's name in callers.yaml, otherwise a short id, which is the same for the same token.

        Raises:
            Unauthorized: the token is not valid, or has expired.
        """
        digest = _digest(token)
        # Compare with every token, so that the time does not depend on which one matches.
        if any([hmac.compare_digest(digest, each) for each in self._digests]):
            return token_id(digest)
        caller = self._callers.with_digest(digest)
        if caller is None:
            raise Unauthorized("The token is not valid. Send one of SWITCHBOARD_API_TOKENS as 'Authorization: Bearer'.")
        if caller.has_expired():
            raise Unauthorized("The token has expired. Ask the operator of this server for a new one.")
        return caller.name


def authenticated_caller(request: HTTPConnection) -> str:
    """Verify the request's token and return the caller's id, see `TokenVerifier.verify`; also in `request.state`.

    Raises:
        Unauthorized: the token is missing or not valid.
    """
    headers = request.headers
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    token = credentials.strip() if scheme.lower() == "bearer" else ""
    token = token or headers.get("x-api-key", "") or headers.get("api-key", "")  # the latter from Azure's clients
    if not token and scheme.lower() == "basic":
        token = _password(credentials)
    if not token:
        raise Unauthorized("A token is required: send 'Authorization: Bearer TOKEN' or 'x-api-key: TOKEN'.")
    verifier: TokenVerifier = request.state.tokens
    caller = request.state.caller = verifier.verify(token)
    mark_authenticated(request)
    return caller


async def authenticate(request: Request) -> str:
    """`authenticated_caller` as a FastAPI dependency. It is async, because FastAPI calls others in a thread."""
    return authenticated_caller(request)


async def authenticate_operator(caller: Annotated[str, Depends(authenticate)]) -> None:
    """A dependency that lets only operators in. Raises OperatorOnly for callers of callers.yaml."""
    require_operator(caller)


def require_operator(caller: str) -> None:
    """Raise OperatorOnly unless the caller has one of SWITCHBOARD_API_TOKENS."""
    if not is_token_id(caller):
        raise OperatorOnly("This needs one of SWITCHBOARD_API_TOKENS: it shows or changes what all callers share.")


def _password(credentials: str) -> str:
    """The password of HTTP Basic; empty if there is none."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # of base64, which has two errors for it, or of UTF-8
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
