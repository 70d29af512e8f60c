"""The response object and its items, as OpenAI's clients read them. No I/O and no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agent.events import HandOff, Usage
from config.errors import QuotaExhausted, RateLimitReached, RequestError, SwitchboardError

Object = dict[str, Any]

ID_PREFIX: Final = "resp_"
"""Of the id of a response. Its key follows; in the background, that is the id of its task."""

INCOMPLETE: Final[Mapping[str, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an incomplete answer, and OpenAI's words for them."""


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What a response says beside its output.

    `key` is the part that the ids of the response and its items share. `created_at` is in Unix seconds, like `now()`.
    `model` is called for the first event, when the serving model is known. `echoed` is what the response repeats of its
    request; `provider_fields` are OpenAI's fields that the provider sent for the answer.
    """

    key: str
    created_at: int
    now: Callable[[], int]
    model: Callable[[], str]
    echoed: Mapping[str, Any]
    provider_fields: Callable[[], Mapping[str, str]] = dict

    @property
    def id(self) -> str:
        return f"{ID_PREFIX}{self.key}"

    def response(self, status: str, output: Sequence[Object] = (), **changes: Any) -> Object:
        """The response with this `status`."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self.model(),
            "output": list(output),
            "usage": None,
            **self.echoed,
            **changes,
        }

    def finished(self, reason: str, output: Sequence[Object], usage: Usage) -> Object:
        """The response at its end. `reason` is that of TurnFinished."""
        changes: Object = {"usage": usage_of(usage)}
        if "service_tier" in (fields := self.provider_fields()):
            changes["service_tier"] = fields["service_tier"]
        if reason in INCOMPLETE:
            return self.response("incomplete", output, incomplete_details={"reason": INCOMPLETE[reason]}, **changes)
        return self.response("completed", output, completed_at=self.now(), **changes)

    def failed(self, error: SwitchboardError, output: Sequence[Object]) -> Object:
        """The response of a turn that failed after its first event. It is stored only in the background."""
        problem = {"code": _code(error), "message": str(error)}
        return self.response("failed", output, error=problem, store=self.echoed["background"])

    def cancelled(self, output: Sequence[Object]) -> Object:
        """The response of a turn that its caller cancelled."""
        return self.response("cancelled", output)


def item_id(kind: str, key: str, number: int) -> str:
    """The id of an item: its `kind`, such as "msg", the key of its response, and its number."""
    return f"{kind}_{key}{number:04x}"


def message(item_id: str, parts: Sequence[Object], status: str = "completed") -> Object:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": list(parts)}


def text_part(text: str) -> Object:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str) -> Object:
    return {"type": "refusal", "refusal": text}


def reasoning(item_id: str, summary: Sequence[Object]) -> Object:
    return {"id": item_id, "type": "reasoning", "summary": list(summary)}


def summary_part(text: str) -> Object:
    return {"type": "summary_text", "text": text}


def function_call(item_id: str, call: HandOff, *, done: bool = True) -> Object:
    """The call; without its arguments while it is not `done`."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "arguments": orjson.dumps(call.arguments).decode() if done else "",
        "call_id": call.call_id,
        "name": call.name,
    }


def usage_of(usage: Usage) -> Object:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }


def _code(error: SwitchboardError) -> str:
    match error:
        case RateLimitReached() | QuotaExhausted():
            return "rate_limit_exceeded"
        case RequestError():
            return "invalid_prompt"
    return "server_error"
