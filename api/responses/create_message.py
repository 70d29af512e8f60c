"""The message with which a WebSocket asks for a response."""

from __future__ import annotations

from pydantic import StrictBool

from api.responses.input_items import Item
from api.responses.wire import ResponseRequest


class CreateMessage(ResponseRequest):
    """The fields of the request, and what only the WebSocket has.

    `generate` False: no turn runs. The response has no output; it is there to be gone on after.
    """

    generate: StrictBool = True

    def items(self) -> list[Item]:
        """`input` as a list, which may be empty if nothing is generated. Raises RequestError."""
        return [] if self.input == [] and not self.generate else super().items()
