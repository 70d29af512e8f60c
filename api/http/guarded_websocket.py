"""uvicorn's WebSocket protocol, with the time to finish that HTTP requests have when the server stops."""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.http.guarded_protocol import ConnectionGuard

SERVICE_RESTART: Final = 1012
"""The close code of a server that stops (RFC 6455's registry)."""


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """When the server stops, the application is told with a disconnect message whose code is `SERVICE_RESTART`.

    It finishes what runs and closes the connection. uvicorn would close it at once.
    """

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        guard: ConnectionGuard = self.app_state["guard"]
        self.queue.put_nowait({"type": "websocket.disconnect", "code": SERVICE_RESTART})
        guard.drain.begin(self._on_drained)

    async def send(self, message: Any) -> None:
        """Send the application's message. A handshake that it refuses is complete: uvicorn would log an error."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def _on_drained(self) -> None:
        if not self.disconnected:
            super().shutdown()
