"""Parses the error bodies of providers, which come in many forms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from router.providers.litellm_import import litellm

MAX_PROVIDER_TEXT: Final = 2000

MAX_RETRY_AFTER: Final = 31 * 24 * 3600.0
"""Seconds: a month, the longest time over which providers count. A longer wait is a mistake, and not obeyed."""

_CONTEXT_CODES: Final = frozenset(
    {"context_length_exceeded", "context_window_exceeded", "model_context_window_exceeded"}
)
_CONTEXT_MARKERS: Final = (
    "prompt is too long",  # Anthropic, Fireworks
    "exceed context limit",  # Anthropic
    "input exceeds the context window",  # OpenAI, Azure
    "reduce the length of the messages",  # OpenAI, Azure, Groq
    "maximum context length is",  # vLLM, OpenRouter
    "model's context length is only",  # vLLM
    "longer than the maximum model length",  # vLLM
    "too long to fit into the model",  # vLLM
    "exceeds the available context size",  # llama.cpp
    "context size has been exceeded",  # llama.cpp, LM Studio
    "exceeded max context length",  # Ollama
    "exceeds the context length",  # Ollama
    "exceeds maximum context length",  # Ollama
    "longer than the model's context window",  # Switchboard
    "range of input length should be",  # DashScope
    "too large for model with",  # Mistral
    "maximum prompt length is",  # xAI
    "exceeded model token limit",  # Kimi
    "input is too long for requested model",  # Bedrock
)
_BLAMED_CODES: Final = frozenset({"arrearage", "invalid_model", "model_decommissioned", "no_db_connection"})
"""DashScope, Mistral, Groq, LiteLLM Proxy: the account, the model, the model, and a wrong key."""
_BLAMED: Final = re.compile(
    "|".join(
        (
            "your credit balance is too low",  # Anthropic
            "you have reached your specified api usage limits",  # Anthropic
            "access denied, please make sure your account is in good standing",  # DashScope
            "incorrect api key",  # xAI, OpenAI
            "(the )?api key (not valid|expired|not found)",  # Gemini
            "(authentication error|no connected db)",  # LiteLLM Proxy
            "invalid (api[- ]key|proxy server token)",
            "insufficient (account )?balance",  # DeepSeek, Zhipu
            "model not exist",  # DeepSeek
            "invalid model(:| name| id|$)",  # Mistral, LiteLLM Proxy
            r"[\w./-]+: invalid model name",  # LiteLLM Proxy: "/chat/completions: Invalid model name passed in model=x"
            r"\S+ is not a valid model id",  # OpenRouter
            r"the model \S+ (has been decommissioned|does not exist)",  # Groq, vLLM
            "the provided model identifier is invalid",  # Bedrock
            "the security token included in the request is (invalid|expired)",  # Bedrock
            '"?auto"? tool choice requires',  # vLLM
            "llm provider not provided",  # LiteLLM itself: the name of the provider is misspelt
        )
    )
)
"""Beginnings of messages with status 400 that blame the key, the account, the model's name or the server."""
_WRAPPED: Final = re.compile(r"(litellm\.)?\w+(Error|Exception): |\w*(Error|Exception) - |\{'error': [\"']")
"""What LiteLLM, or a proxy, puts before a provider's message."""
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
        """Read a decoded body (`{"error": {...}}`, its inner object, or anything else) and its original `text`.

        Without a body, the JSON object inside `text`, where LiteLLM keeps it, is read instead. A body that is nested
        too deep says nothing.
        """
        try:
            return cls._read(body, text)
        except RecursionError:
            return cls(text=redacted(text))

    @classmethod
    def _read(cls, body: object, text: str) -> ErrorBody:
        body = body if body is not None else _object_in(text)
        body = body[0] if isinstance(body, list) and body else body  # Google's OpenAI-compatible endpoint
        error = body.get("error", body) if isinstance(body, Mapping) else body
        outer = body if isinstance(body, Mapping) else {}
        fields = error if isinstance(error, Mapping) else outer
        message = error if isinstance(error, str) else fields.get("message") or _detail(fields.get("detail")) or text
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
    def blames_deployment(self) -> bool:
        """Whether a 400 blames what the operator configured: the key, the account, the model or the server.

        Only codes and the beginning of the message count: what follows may quote the caller, who must not be able to
        open a breaker.
        """
        if not _BLAMED_CODES.isdisjoint((self.code.lower(), self.type.lower())):
            return True
        message = self.message
        while wrapper := _WRAPPED.match(message):
            message = message[wrapper.end() :]
        return _BLAMED.match(message.lower()) is not None

    @property
    def is_invalid_tool_call(self) -> bool:
        """Whether the provider refuses the tool call that its model made (Groq)."""
        return self.code == "tool_use_failed"

    @property
    def is_rate_limit(self) -> bool:
        """Whether the body reports a rate limit."""
        return self.status == 429 or "rate_limit" in f"{self.code} {self.type}".lower()


def _object_in(text: str) -> object:
    start, end = text.find("{"), text.rfind("}")
    try:
        return orjson.loads(text[start : end + 1]) if 0 <= start < end else None
    except orjson.JSONDecodeError:
        return None


def _detail(detail: object) -> str:
    """FastAPI's `detail`: a text, an object with one, or a list of messages beside the input that they complain of."""
    if isinstance(detail, list):
        return "; ".join(str(each.get("msg") or "") for each in detail if isinstance(each, Mapping))
    if isinstance(detail, Mapping):
        return _detail(detail.get("error") or detail.get("message"))
    return str(detail or "")


def redacted(text: str) -> str:
    """`text` for the log: keys redacted, truncated to MAX_PROVIDER_TEXT characters."""
    return str(litellm.litellm_core_utils.secret_redaction.redact_string(text[: 4 * MAX_PROVIDER_TEXT]))[
        :MAX_PROVIDER_TEXT
    ]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date); None without a valid one."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _credible(milliseconds / 1000)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return _credible(seconds)
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return _credible(max((when - (now or datetime.now(UTC))).total_seconds(), 0.0))
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _credible(seconds: float) -> float | None:
    return seconds if seconds <= MAX_RETRY_AFTER else None


def _retry_delay(text: str) -> float | None:
    """Google names the time to wait in the body alone, as google.rpc.RetryInfo: https://google.aip.dev/193."""
    found = _RETRY_DELAY.search(text)
    return _credible(float(found.group(1))) if found else None


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
