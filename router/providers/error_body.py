"""What a provider said when it refused: read out of the many shapes of error bodies. Only the wording is judged."""

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
_POLICY_WORDS: Final = (
    "content_filter",
    "content_policy",
    "data_inspection_failed",  # Alibaba DashScope
    "datainspectionfailed",
    "content exists risk",  # DeepSeek
    "requires moderation",  # OpenRouter
)
_WORDING: Final = litellm.litellm_core_utils.exception_mapping_utils.ExceptionCheckers
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error. `text` is for the log alone: shortened, and without anything that looks like a key."""

    text: str = ""
    code: str = ""
    type: str = ""
    message: str = ""
    status: int | None = None
    category: str | None = None

    @classmethod
    def read(cls, body: object, text: str) -> ErrorBody:
        """From a parsed body (`{"error": {...}}`, its inside, or something else) and the text that it came as."""
        error = body.get("error", body) if isinstance(body, Mapping) else body
        fields = error if isinstance(error, Mapping) else {}
        message = fields.get("message") or fields.get("detail") or (error if isinstance(error, str) else text)
        code = fields.get("code")
        return cls(
            text=without_secrets(text),
            code=str(code or ""),
            type=str(fields.get("type") or ""),
            message=str(message),
            status=_status(code),
            category=_category(fields),
        )

    @property
    def is_too_long(self) -> bool:
        """The prompt does not fit the model's context window."""
        return self.code in _CONTEXT_CODES or bool(_WORDING.is_error_str_context_window_exceeded(self.message))

    @property
    def is_not_allowed(self) -> bool:
        """The provider's content policy refused the content."""
        wording = f"{self.code} {self.type} {self.message}".lower()
        known = bool(_WORDING.is_azure_content_policy_violation_error(wording))
        return known or any(word in wording for word in _POLICY_WORDS)

    @property
    def is_rate_limit(self) -> bool:
        """An error without a status that speaks of a rate limit."""
        return self.status == 429 or "rate_limit" in f"{self.code} {self.type}".lower()


def without_secrets(text: str) -> str:
    """`text` as it may be logged: keys struck out, and no longer than a log line should be."""
    return str(litellm.litellm_core_utils.secret_redaction.redact_string(text[: 4 * MAX_PROVIDER_TEXT]))[
        :MAX_PROVIDER_TEXT
    ]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date); None when neither is there."""
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


def _status(code: object) -> int | None:
    """Some providers repeat the HTTP status as the error's code, as a number or as its digits."""
    digits = str(code) if isinstance(code, (int, str)) else ""
    return int(digits) if re.fullmatch(r"[45]\d\d", digits) else None


def _category(error: Mapping[str, Any]) -> str | None:
    """The provider's word for why content was refused. A caller sees it, so it must be a word and no prose."""
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
