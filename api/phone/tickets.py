"""Tickets: what an address has to have that only a verified carrier was told.

Twilio signs the handshake of a WebSocket. Of Telnyx that is not known, so the address of its WebSocket has a ticket.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Final

from pydantic import SecretStr

VALID_FOR: Final = 60
"""Seconds from the answer to an incoming call until its WebSocket is opened."""


class Tickets:
    """Issues and verifies tickets. All servers that share `secret` accept them."""

    def __init__(self, secret: SecretStr, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"phone relay ticket\0" + secret.get_secret_value().encode()).digest()
        self._clock = clock

    def issue(self) -> str:
        """A new ticket, which can be a part of a path."""
        claim = f"{int(self._clock()) + VALID_FOR:x}-{token_hex(8)}"
        return f"{claim}-{self._signature(claim)}"

    def is_valid(self, ticket: str) -> bool:
        claim, _, signature = ticket.rpartition("-")
        if not hmac.compare_digest(self._signature(claim).encode(), signature.encode()):
            return False
        return int(claim.partition("-")[0], 16) >= self._clock()

    def _signature(self, claim: str) -> str:
        digest = hmac.digest(self._key, claim.encode(errors="replace"), "sha256")
        return base64.b32encode(digest[:20]).decode().lower()
