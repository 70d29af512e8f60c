"""The output item that is being written, and its part that grows. A part's deltas share all but text and number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from api.responses.response_object import Object, message, reasoning, refusal_part, summary_part, text_part


@dataclass(frozen=True, slots=True)
class PartKind:
    """The words of one kind of part: of the events about the part and about its text, and of its place in the item."""

    part_event: str
    text_event: str
    position: str
    key: str
    make: Callable[[str], Object]
    extra: Mapping[str, object] = field(default_factory=dict)


TEXT = PartKind(
    "response.content_part", "response.output_text", "content_index", "text", text_part, extra={"logprobs": []}
)
REFUSAL = PartKind("response.content_part", "response.refusal", "content_index", "refusal", refusal_part)
THOUGHT = PartKind(
    "response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index", "text", summary_part
)


@dataclass(frozen=True, slots=True)
class ItemKind:
    """A kind of item: the prefix of its id, and its object from id, parts and status."""

    prefix: str
    make: Callable[[str, Sequence[Object], str], Object]


MESSAGE = ItemKind("msg", message)
REASONING = ItemKind("rs", lambda item_id, parts, _: reasoning(item_id, parts))


class OpenPart:
    """A part and its `texts` so far."""

    def __init__(self, kind: PartKind, item: OpenItem) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.place: Object = {"item_id": item.id, "output_index": item.index, kind.position: len(item.parts)}
        delta = {"type": f"{kind.text_event}.delta", **self.place, **kind.extra}
        self._prefix = orjson.dumps(delta)[:-1] + b',"delta":'

    def delta(self, text: str, number: int) -> bytes:
        """The event that adds `text`, as JSON."""
        self.texts.append(text)
        return self._prefix + orjson.dumps(text) + b',"sequence_number":%d}' % number

    def object(self) -> Object:
        return self.kind.make("".join(self.texts))


class OpenItem:
    """A message, or thoughts. `index` is its place in the output."""

    def __init__(self, kind: ItemKind, item_id: str, index: int) -> None:
        self.kind, self.id, self.index = kind, item_id, index
        self.parts: list[Object] = []
        self.part: OpenPart | None = None

    def object(self, status: str) -> Object:
        return self.kind.make(self.id, self.parts, status)
