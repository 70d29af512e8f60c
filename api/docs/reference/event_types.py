"""The server-sent events of every stream."""

from __future__ import annotations

from api.docs.events import STREAMS, EventType, Stream
from api.docs.reference.tables import code, table


def streams() -> str:
    """A heading and a table for each stream."""
    return "\n".join(map(_stream, STREAMS))


def _stream(stream: Stream) -> str:
    text = f"## {stream.title}\n\n{', '.join(map(code, stream.paths))}. {stream.note}\n\n"
    if stream.common:
        common = "; ".join(f"{code(name)}, {meaning}" for name, meaning in stream.common.items())
        text += f"Each event also has {common}.\n\n"
    return text + table(("`type`", "meaning", "fields"), map(_event, stream.events))


def _event(event: EventType) -> tuple[str, str, str]:
    fields = [f"{code(name)}: {meaning}" for name, meaning in event.fields.items()]
    fields += [f"{code(name)} (not always): {meaning}" for name, meaning in event.optional.items()]
    return code(event.type), event.meaning + (" The last event." if event.last else ""), "<br>".join(fields)
