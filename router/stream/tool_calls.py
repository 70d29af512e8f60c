"""Assembles streamed tool calls, so that an incomplete call never leaves the router."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import uuid4

import orjson

from config.errors import BadAnswer
from router.stream.valid_text import valid_text

MAX_CALLS = 128
MAX_ARGUMENT_CHARS = 1 << 20

NOT_SENDABLE: Final = "the provider sent a tool call whose arguments are not JSON that can be sent again"

PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""An id that every provider but Mistral accepts."""


class ToolCallCollector:
    """Collects the fragments of one answer's tool calls by their `index`.

    `original_ids` are those ids of the provider, by ours, that carry more than a name; see `router.history`.
    """

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}
        self._newest: dict[int, int] = {}
        """The place in `_calls` of the newest call, by the provider's index."""
        self.original_ids: dict[str, str] = {}

    @property
    def text(self) -> str:
        """Names and arguments as far as they came."""
        return "".join(f"{call['name'] or ''}{''.join(call['arguments'])}" for call in self._calls.values())

    def add(self, fragments: Iterable[Mapping[str, Any]]) -> None:
        """Add one delta's fragments.

        Raises:
            BadAnswer: there are too many calls, or the arguments are too long.
        """
        for fragment in fragments:
            function = fragment.get("function") or {}
            call = self._call_for(fragment)
            call["id"] = call["id"] or fragment.get("id")
            call["name"] = call["name"] or function.get("name")
            call["arguments"].append(function.get("arguments") or "")
            call["size"] += len(call["arguments"][-1])
            if len(self._calls) > MAX_CALLS or call["size"] > MAX_ARGUMENT_CHARS:
                raise BadAnswer("the provider sent too many tool calls, or one that is too long")

    def _call_for(self, fragment: Mapping[str, Any]) -> dict[str, Any]:
        index, id = fragment.get("index"), fragment.get("id")
        if not isinstance(index, int):
            # Some providers send no index, and repeat the id instead.
            known = next((at for at, call in self._calls.items() if id and call["id"] == id), None)
            index = max(self._calls, default=-1) + (1 if id or not self._calls else 0) if known is None else known
        place = self._newest.get(index, index)
        call = self._calls.get(place)
        if call and id and call["id"] and id != call["id"]:
            # Some providers send several calls with index 0; a different id is a different call.
            same = (at for at, each in self._calls.items() if each["index"] == index and each["id"] == id)
            place = next(same, max(self._calls) + 1)
        self._newest[index] = place
        return self._calls.setdefault(place, {"index": index, "id": None, "name": None, "arguments": [], "size": 0})

    def complete_calls(self) -> list[dict[str, Any]]:
        """The calls in order, each as one OpenAI tool-call delta with all keys. Indexes start at 0.

        The ids are new: providers' ids are too long for others, repeat, or are missing.

        Raises:
            BadAnswer: a call has no name, its arguments are not a JSON object, or they cannot be stored and sent again:
                they have integers beyond 64 bits, are nested too deep, or have invalid text.
        """
        calls = [call for _, call in sorted(self._calls.items())]
        complete = [_complete_call(number, call) for number, call in enumerate(calls)]
        times = Counter(call["id"] for call in calls)
        self.original_ids = {
            ours["id"]: call["id"]
            for ours, call in zip(complete, calls, strict=True)
            if call["id"] and times[call["id"]] == 1 and not PLAIN_ID.fullmatch(call["id"]) and _is_valid(call["id"])
        }
        return complete


def _complete_call(number: int, call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = "".join(call["arguments"]).strip() or "{}"
    try:
        parsed = orjson.loads(arguments)
        orjson.dumps(json.loads(arguments))  # the agent reads them so, and orjson rounds long integers
    except (ValueError, TypeError, RecursionError) as exc:
        raise BadAnswer(NOT_SENDABLE) from exc
    if not call["name"] or not _is_valid(call["name"]) or not isinstance(parsed, dict):
        raise BadAnswer("the provider sent a tool call without a name, or whose arguments are not an object")
    return {
        "index": number,
        "id": f"call_{uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call["name"], "arguments": arguments},
    }


def _is_valid(text: str) -> bool:
    return valid_text(text) == text
