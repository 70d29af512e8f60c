"""Tool calls are handed on whole. Their fragments are gathered here, so a call that was cut never leaves the router."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import orjson

from config.errors import BadAnswer

MAX_CALLS = 128
MAX_ARGUMENT_CHARS = 1 << 20


class ToolCallGatherer:
    """Gathers the fragments of one answer's tool calls by their `index`."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, fragments: Iterable[Mapping[str, Any]]) -> None:
        """Take one delta's fragments.

        Raises:
            BadAnswer: more calls or longer arguments than any real answer has.
        """
        for fragment in fragments:
            function = fragment.get("function") or {}
            call = self._call_for(fragment)
            call["id"] = call["id"] or fragment.get("id")
            call["name"] = call["name"] or function.get("name")
            call["arguments"].append(function.get("arguments") or "")
            call["size"] += len(call["arguments"][-1])
            if len(self._calls) > MAX_CALLS or call["size"] > MAX_ARGUMENT_CHARS:
                raise BadAnswer("the provider sent an endless tool call")

    def _call_for(self, fragment: Mapping[str, Any]) -> dict[str, Any]:
        index, id = fragment.get("index"), fragment.get("id")
        if not isinstance(index, int):
            # Some providers number nothing, and repeat the id instead.
            begun = next((at for at, call in self._calls.items() if id and call["id"] == id), None)
            index = max(self._calls, default=-1) + (1 if id or not self._calls else 0) if begun is None else begun
        known = self._calls.get(index)
        if known and id and known["id"] and id != known["id"]:
            # Some providers send every whole call with index 0; another id is another call.
            index = max(self._calls) + 1
        return self._calls.setdefault(index, {"id": None, "name": None, "arguments": [], "size": 0})

    def whole(self) -> list[dict[str, Any]]:
        """The calls in their order, each as one OpenAI tool-call delta with all its keys, numbered 0, 1, 2.

        Raises:
            BadAnswer: a call has no name, or its arguments are not a JSON object: it was cut, or the model stumbled.
        """
        calls = [call for _, call in sorted(self._calls.items())]
        ids = {call["id"] for call in calls if call["id"]}
        # The tools' results find their calls by the id, so two calls that share one get ids of their own.
        shared = len(ids) < sum(bool(call["id"]) for call in calls)
        return [_whole_call(number, {**call, "id": None} if shared else call) for number, call in enumerate(calls)]


def _whole_call(number: int, call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = "".join(call["arguments"]).strip() or "{}"
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError as exc:
        raise BadAnswer("the provider sent a tool call whose arguments are not JSON") from exc
    if not call["name"] or not isinstance(parsed, dict):
        raise BadAnswer("the provider sent a tool call without a name or without an object of arguments")
    return {
        "index": number,
        "id": call["id"] or f"call_{uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call["name"], "arguments": arguments},
    }
