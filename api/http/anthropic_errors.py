"""Anthropic's errors. `api/http/errors.py` has the status of each error; here is what becomes of it on that wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.types import Scope
from structlog.contextvars import get_contextvars

from config.errors import ContextWindowExceeded, SwitchboardError

MESSAGES: Final = ("/v1/messages", "/messages")
MODELS: Final = ("/v1/models", "/models")

OVERLOADED: Final = 529
"""What Anthropic answers where others answer 503."""

TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
"""https://platform.claude.com/docs/en/api/errors"""

TOO_LONG: Final = "prompt is too long"
"""Clients know these words, and make the conversation shorter."""


def speaks_anthropic(scope: Scope) -> bool:
    """Whether the client of this request reads Anthropic's API. On the paths of both APIs its header tells."""
    path: str = scope["path"]
    if path.startswith(MESSAGES):
        return True
    return path.startswith(MODELS) and any(name == b"anthropic-version" for name, _ in scope["headers"])


def anthropic_status(status: int) -> int:
    """The status on Anthropic's wire of an error that has `status` on the others."""
    return OVERLOADED if status == 503 else status


def anthropic_error_object(error: SwitchboardError, status: int) -> dict[str, Any]:
    """`{"type": "error", "error": {type, message}, "request_id"}`. `status` is that of the other wires.

    Outside of a request there is no `request_id`.
    """
    kind = TYPES.get(anthropic_status(status)) or ("invalid_request_error" if status < 500 else "api_error")
    message = f"{TOO_LONG}: {error}" if isinstance(error, ContextWindowExceeded) else str(error)
    request_id = get_contextvars().get("request_id")
    return {"type": "error", "error": {"type": kind, "message": message}} | (
        {"request_id": request_id} if request_id else {}
    )
