"""What a phone call can do on its line. Each wire of `api/phone/` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Line(Protocol):
    """One caller's line. A method that is cancelled may have sent its part or nothing of it.

    After `transfer` and `hang_up` nothing more is said.
    """

    async def say(self, text: str, *, solicited: bool, language: str | None = None) -> None:
        """Speak the next piece of the current utterance.

        `solicited`: it answers what the caller said; otherwise the agent speaks by itself. `language` is a tag such as
        `en-US`; None is that of the line.
        """

    async def end_utterance(self) -> None:
        """The utterance is complete. A turn that says nothing ends one, too."""

    async def tool_started(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """The agent calls one of its own tools."""

    async def tool_finished(self, call_id: str, content: str) -> None:
        """The tool has returned `content`."""

    async def transfer(self, destination: str) -> None:
        """Connect the caller to the number or sip: address, and end the agent's part of the call."""

    async def hang_up(self) -> None:
        """End the call."""
