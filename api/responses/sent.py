"""What is known of a response from its events, when another process goes on with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from api.responses.open_item import MESSAGE, REASONING, REFUSAL, TEXT, THOUGHT, ItemKind, OpenItem, OpenPart

ITEMS: Final = {"message": MESSAGE, "reasoning": REASONING}
PARTS: Final = {"output_text": TEXT, "refusal": REFUSAL, "summary_text": THOUGHT}


@dataclass(frozen=True, slots=True)
class Sent:
    """The number of events and of items so far. `open` is an item that has not ended."""

    events: int = 0
    items: int = 0
    open: OpenItem | None = None


NOTHING: Final = Sent()


def sent_by(frames: Iterable[str]) -> Sent:
    """What these SSE events have sent. An empty one is counted, and was left out."""
    numbers, items, item = 0, 0, None
    for frame in frames:
        numbers += 1
        if not frame:
            continue
        event = orjson.loads(frame.partition("\ndata: ")[2])
        match event["type"]:
            case "response.output_item.added":
                item = _opened(event)
            case "response.output_item.done":
                items, item = items + 1, None
            case _ if item is not None:
                _add(item, event)
    return Sent(numbers, items, item)


def _opened(event: dict[str, Any]) -> OpenItem | None:
    """The item; None for a call, whose events are never apart."""
    kind: ItemKind | None = ITEMS.get(event["item"]["type"])
    return kind if kind is None else OpenItem(kind, event["item"]["id"], event["output_index"])


def _add(item: OpenItem, event: dict[str, Any]) -> None:
    match event:
        case {"part": part} if event["type"].endswith(".added"):
            item.part = OpenPart(PARTS[part["type"]], item)
        case {"part": part}:
            item.parts.append(part)
            item.part = None
        case {"delta": text} if item.part is not None:
            item.part.texts.append(text)
