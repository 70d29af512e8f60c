"""Validates responses and their events with the types of the openai package, which OpenAI generates from its schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, get_args

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

STATUSES = {"completed", "incomplete", "failed"}

AT_ONCE = ("response.created", "response.in_progress")
IN_BACKGROUND = ("response.created", "response.queued", "response.in_progress")
"""The first events of a stream."""


@cache
def event_types() -> dict[str, type[BaseModel]]:
    """The class of each event, by its type."""
    union, *_ = get_args(ResponseStreamEvent)
    return {get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(union)}


def valid_response(value: dict[str, Any]) -> Response:
    return Response.model_validate(value)


def valid_events(events: list[dict[str, Any]], first: int = 0, begin: Sequence[str] = AT_ONCE) -> list[str]:
    """Check each event, their numbers, and that the end says what the deltas said. Returns their types."""
    for event in events:
        event_types()[event["type"]].model_validate(event)
    assert [each["sequence_number"] for each in events] == [*range(first, first + len(events))]
    kinds = [each["type"] for each in events]
    assert kinds[: len(begin)] == list(begin)
    whole = events[-1]["response"]
    assert kinds[-1] == f"response.{whole['status']}"
    assert whole["status"] in STATUSES
    done = [each for each in events if each["type"] == "response.output_item.done"]
    assert [each["item"] for each in done] == whole["output"]
    assert [each["output_index"] for each in done] == [*range(len(done))]
    for number, item in enumerate(whole["output"]):
        texts = [part["text"] for part in item.get("content", ()) if "text" in part]
        deltas = [each["delta"] for each in events if _is_text_of(each, number)]
        assert "".join(deltas) == "".join(texts)
    return kinds


def _is_text_of(event: dict[str, Any], number: int) -> bool:
    return event["type"] == "response.output_text.delta" and event["output_index"] == number
