"""The signatures of phone carriers."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from starlette.datastructures import MultiDict
from starlette.requests import HTTPConnection

from api.http.errors import PhoneLineOff, SignatureRefused
from api.phone.tickets import Tickets
from config.errors import SwitchboardError
from config.settings import PREFIX, Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

TWILIO: Final = "twilio"
TELNYX: Final = "telnyx"
TWILIO_SIGNATURE: Final = "x-twilio-signature"
TWILIO_ALGORITHM: Final = "x-twilio-webhooks-signature-settings"
TELNYX_SIGNATURE: Final = "telnyx-signature-ed25519"
TELNYX_TIMESTAMP: Final = "telnyx-timestamp"

MAX_AGE: Final = 300
"""Seconds between Telnyx' signature and its arrival, in both directions, because clocks differ."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """Verifies the signatures of carriers whose secret is configured; None of the others."""

    public_url: str | None
    twilio: RequestValidator | None
    telnyx: Ed25519PublicKey | None
    tickets: Tickets | None
    clock: Callable[[], float] = time.time

    @classmethod
    def build(cls, settings: Settings) -> Carriers:
        """The carriers of the settings. Their libraries are loaded only here."""
        twilio = telnyx = tickets = None
        if settings.twilio_auth_token is not None:
            from twilio.request_validator import RequestValidator

            twilio = RequestValidator(settings.twilio_auth_token.get_secret_value())
        if settings.telnyx_public_key is not None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

            telnyx = Ed25519PublicKey.from_public_bytes(base64.b64decode(settings.telnyx_public_key))
            tickets = Tickets(settings.api_tokens[0])
        return cls(settings.public_url, twilio, telnyx, tickets)

    def address(self, connection: HTTPConnection) -> str:
        """The address of this server, without a path, as the carrier knows it."""
        scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
        return self.public_url or f"{scheme}://{connection.headers.get('host', '')}"

    def signer(self, connection: HTTPConnection, body: bytes = b"") -> str | None:
        """The carrier that signed the request; None if it has no signature.

        Raises:
            SignatureRefused: the signature is wrong, or too old.
            PhoneLineOff: the carrier's secret is not configured.
        """
        if (signature := connection.headers.get(TWILIO_SIGNATURE)) is not None:
            self._verify_twilio(connection, signature, body)
            return TWILIO
        if (signature := connection.headers.get(TELNYX_SIGNATURE)) is not None:
            self._verify_telnyx(connection, signature, body)
            return TELNYX
        return None

    def refusal(self) -> SwitchboardError:
        """The error for a request without a signature and without a token."""
        if self.twilio is None and self.telnyx is None:
            return PhoneLineOff(
                f"Phone lines are off. Set {PREFIX}TWILIO_AUTH_TOKEN or {PREFIX}TELNYX_PUBLIC_KEY, to verify the "
                "carrier's requests; or send one of the server's tokens."
            )
        return SignatureRefused("The request has neither the signature of a phone carrier nor a token.")

    def _verify_twilio(self, connection: HTTPConnection, signature: str, body: bytes) -> None:
        from twilio.request_validator import get_signature_algorithm

        if self.twilio is None:
            raise PhoneLineOff(f"Twilio's phone lines are off: {PREFIX}TWILIO_AUTH_TOKEN is not set.")
        fields = MultiDict(form_fields(body))
        algorithm = get_signature_algorithm(connection.headers.get(TWILIO_ALGORITHM))
        url = f"{self.address(connection)}{_target(connection)}"
        urls = [f"ws{url.removeprefix('http')}", url] if connection.scope["type"] == "websocket" else [url]
        if not any([self.twilio.validate(each, fields, signature, algorithm) for each in urls]):
            raise SignatureRefused(
                f"Twilio's signature is wrong. Compare {PREFIX}TWILIO_AUTH_TOKEN, and {PREFIX}PUBLIC_URL with the "
                "address that Twilio calls."
            )

    def _verify_telnyx(self, connection: HTTPConnection, signature: str, body: bytes) -> None:
        from cryptography.exceptions import InvalidSignature

        if self.telnyx is None:
            raise PhoneLineOff(f"Telnyx' phone lines are off: {PREFIX}TELNYX_PUBLIC_KEY is not set.")
        timestamp = connection.headers.get(TELNYX_TIMESTAMP, "")
        try:
            self.telnyx.verify(base64.b64decode(signature, validate=True), f"{timestamp}|".encode() + body)
            age = abs(self.clock() - int(timestamp))
        except (InvalidSignature, ValueError) as exc:  # ValueError: no base64, or no number
            raise SignatureRefused("Telnyx' signature is wrong. Compare the public key.") from exc
        if age > MAX_AGE:
            raise SignatureRefused(f"Telnyx' signature is older than {MAX_AGE} seconds, or a clock is wrong.")


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, in order."""
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def _target(connection: HTTPConnection) -> str:
    query = connection.url.query
    return f"{connection.url.path}?{query}" if query else connection.url.path
