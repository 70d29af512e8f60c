"""Parses the error bodies of providers, which come in many forms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from router.providers.litellm_import import litellm

MAX_PROVIDER_TEXT: Final = 2000

_CONTEXT_CODES: Final = frozenset(
    {"context_length_exceeded", "context_window_exceeded", "model_context_window_exceeded"}
)
_CONTEXT_MARKERS: Final = (
    "exceeded max context length",  # Ollama
    "exceeds the context length",  # Ollama
)
_UNPAID_MARKERS: Final = ("credit balance is too low", "api usage limits")  # Anthropic, both with status 400
_CONTENT_POLICY_MARKERS: Final = (
    "content_filter",
    "content_policy",
    "data_inspection_failed",  # Alibaba DashScope
    "datainspectionfailed",
    "content exists risk",  # DeepSeek
    "requires moderation",  # OpenRouter
)
_CHECKS: Final = litellm.litellm_core_utils.exception_mapping_utils.ExceptionCheckers
_RETRY_DELAY: Final = re.compile(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error. `text` is only for the log: truncated, and with keys redacted."""

    text: str = ""
    code: str = ""
    type: str = ""
    message: str = ""
    status: int | None = None
    category: str | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, body: object, text: str) -> ErrorBody:
        """Read a decoded body (`{"error": {...}}`, its inner object, or anything else) and its original `text`."""
        error = body.get("error", body) if isinstance(body, Mapping) else body
        fields = error if isinstance(error, Mapping) else {}
        message = fields.get("message") or fields.get("detail") or (error if isinstance(error, str) else text)
        code = fields.get("code")
        return cls(
            text=redacted(text),
            code=str(code or ""),
            type=str(fields.get("type") or ""),
            message=str(message),
            status=_status(code),
            category=_category(fields),
            retry_after=_retry_delay(text),
        )

    @property
    def is_context_window(self) -> bool:
        """Whether the prompt exceeds the model's context window."""
        known = bool(_CHECKS.is_error_str_context_window_exceeded(self.message))
        return known or self.code in _CONTEXT_CODES or any(each in self.message.lower() for each in _CONTEXT_MARKERS)

    @property
    def is_content_policy(self) -> bool:
        """Whether the provider's content policy refused the content."""
        text = f"{self.code} {self.type} {self.message}".lower()
        by_litellm = bool(_CHECKS.is_azure_content_policy_violation_error(text))
        return by_litellm or any(marker in text for marker in _CONTENT_POLICY_MARKERS)

    @property
    def is_unpaid(self) -> bool:
        """Whether the account has run out of credit."""
        return any(marker in self.message.lower() for marker in _UNPAID_MARKERS)

    @property
    def is_rate_limit(self) -> bool:
        """Whether the body reports a rate limit."""
        return self.status == 429 or "rate_limit" in f"{self.code} {self.type}".lower()


def redacted(text: str) -> str:
    """`text` for the log: keys redacted, truncated to MAX_PROVIDER_TEXT characters."""
    return str(litellm.litellm_core_utils.secret_redaction.redact_string(text[: 4 * MAX_PROVIDER_TEXT]))[
        :MAX_PROVIDER_TEXT
    ]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date); None without a valid one."""
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _seconds(value)) is not None:
        return None if value is None else seconds
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max((when - (now or datetime.now(UTC))).total_seconds(), 0.0)


def _seconds(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _retry_delay(text: str) -> float | None:
    """Google names the time to wait in the body alone, as google.rpc.RetryInfo: https://google.aip.dev/193."""
    found = _RETRY_DELAY.search(text)
    return float(found.group(1)) if found else None


def _status(code: object) -> int | None:
    """The HTTP status in an error's code: some providers send it there, as a number or a string."""
    digits = str(code) if isinstance(code, (int, str)) else ""
    return int(digits) if re.fullmatch(r"[45]\d\d", digits) else None


def _category(error: Mapping[str, Any]) -> str | None:
    """Why the content was refused. The caller sees it, so only a single word is accepted, never prose."""
    for candidate in _categories(error):
        if isinstance(candidate, str) and _WORD.fullmatch(candidate):
            return candidate
    return None


def _categories(error: Mapping[str, Any]) -> Iterator[object]:
    inner = error.get("innererror")
    if isinstance(inner, Mapping):
        filters = inner.get("content_filter_result")
        if isinstance(filters, Mapping):  # Azure: {"hate": {"filtered": true}, ...}
            yield from (name for name, found in filters.items() if isinstance(found, Mapping) and found.get("filtered"))
        yield inner.get("code")
    yield error.get("code")
    yield error.get("type")
