"""An incremental parser for server-sent events.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html with one exception: the last event is returned
even without its blank line, which many providers omit.
"""

from __future__ import annotations

from config.errors import BadAnswer

MAX_EVENT_BYTES = 1 << 20
"""Far more than any real event has. Without a limit, a line that never ends would exhaust the memory."""

_BOM = b"\xef\xbb\xbf"


class EventParser:
    """Turns the bytes of one stream, split at any point, into the `data` of its events."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._tail = bytearray()
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Parse more bytes; returns the payloads of the events that they complete.

        Raises:
            BadAnswer: an event is longer than `max_event_bytes`.
        """
        data = self._with_plain_newlines(data)
        if not self._tail and data.startswith(b"data: ") and data.endswith(b"\n\n"):
            self._at_start = False
            payloads = data[6:-2].split(b"\n\ndata: ")
            # The common case: only events of one line.
            if data.count(b"\n") == 2 * len(payloads) and len(data) <= self._max:
                return [payload for payload in payloads if payload]
        searched = max(len(self._tail) - 1, 0)
        self._tail += data
        if self._at_start and not self._past_bom():
            return []
        if self._tail.find(b"\n\n", searched) < 0:
            self._check(len(self._tail))
            return []
        blocks = bytes(self._tail).split(b"\n\n")
        self._tail = bytearray(blocks.pop())
        self._check(len(self._tail), *map(len, blocks))
        return [payload for payload in map(_payload, blocks) if payload]

    def finish(self) -> list[bytes]:
        """End the stream; returns the payload of a last event without blank line."""
        payload = _payload(bytes(self._tail))
        self._tail.clear()
        return [payload] if payload else []

    def _with_plain_newlines(self, data: bytes) -> bytes:
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")  # the second half of a \r\n split between two reads
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _past_bom(self) -> bool:
        """Drop a byte order mark; False while there are too few bytes to decide."""
        if len(self._tail) < len(_BOM) and _BOM.startswith(self._tail):
            return False
        self._at_start = False
        if self._tail.startswith(_BOM):
            del self._tail[: len(_BOM)]
        return True

    def _check(self, *sizes: int) -> None:
        if max(sizes) > self._max:
            raise BadAnswer(f"the provider sent an event of more than {self._max} bytes")


def _payload(block: bytes) -> bytes:
    """The joined `data` lines of one event; empty for a comment or a ping."""
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:]
    values = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(values)
