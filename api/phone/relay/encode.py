"""A line of ConversationRelay: what is said becomes frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.calls.speech import played_at
from agent.tools.line_tools import DONE, line_argument
from config.profile.phone import PhoneSettings

LAST = '{"type":"text","token":"","last":true}'


class RelayLine:
    """Sends frames. `has_ended`: `end` was sent, and nothing follows it. A line that is gone drops what it is told.

    `end_cuts`: the carrier does not play what it has when `end` comes, so `end` waits for it.
    """

    def __init__(
        self, websocket: WebSocket, settings: PhoneSettings, on_ended: Callable[[], None], *, end_cuts: bool = False
    ) -> None:
        self._websocket = websocket
        self._settings = settings
        self._tools: dict[str, dict[str, Any]] = {}
        self._on_ended = on_ended
        self._played = 0.0 if end_cuts else None
        self.has_ended = False
        self._options: dict[str, bool] = {}
        if settings.interruptible == "none":
            self._options["interruptible"] = False
        if settings.preemptible:
            self._options["preemptible"] = True

    async def say(self, text: str, *, solicited: bool, language: str | None = None) -> None:
        frame: dict[str, Any] = {"type": "text", "token": text, "last": False, **self._options}
        if language is not None:
            frame["lang"] = language
        if self._played is not None:
            self._played = played_at(self._played, text)
        await self._send(orjson.dumps(frame).decode())

    async def end_utterance(self) -> None:
        await self._send(LAST)

    async def tool_started(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        if (frame := self._frame_of_tool(name, arguments)) is not None:
            self._tools[call_id] = frame

    async def tool_finished(self, call_id: str, content: str) -> None:
        """Carry out a call of `agent.tools.line_tools`, if it was accepted."""
        frame = self._tools.pop(call_id, None)
        if frame is not None and content == DONE:
            await self._send(orjson.dumps(frame).decode())

    def _frame_of_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        value = line_argument(name, arguments, self._settings)
        match name:
            case "sendDigits" if value is not None:
                return {"type": "sendDigits", "digits": value}
            case "playSound" if value is not None:
                return {"type": "play", "source": value}
            case "switchLanguage" if value is not None:
                return {"type": "language", "ttsLanguage": value, "transcriptionLanguage": value}
        return None

    async def transfer(self, destination: str) -> None:
        await self._end(reason="transfer", destination=destination)

    async def hang_up(self) -> None:
        await self._end(reason="hang_up")

    async def _end(self, **data: str) -> None:
        await self._send(LAST)
        if self._played is not None:
            await asyncio.sleep(self._played - asyncio.get_running_loop().time())
        await self._send(orjson.dumps({"type": "end", "handoffData": orjson.dumps(data).decode()}).decode())
        self.has_ended = True
        self._on_ended()

    async def _send(self, frame: str) -> None:
        if self.has_ended:
            return
        try:
            await self._websocket.send_text(frame)
        except WebSocketDisconnect:
            self.has_ended = True
