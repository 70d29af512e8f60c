"""uvicorn's server, which leaves no connection behind when it stops to listen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress

import uvicorn


class DrainingServer(uvicorn.Server):
    """Answers also the connections that wait in a socket's queue when the shutdown begins.

    The kernel resets those when the last process closes the socket. Their clients may have sent a request already, and
    a proxy does not send it again.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state["guard"].drain.begin()
        # Without a pause in between, so that no more than a few microseconds are left for new connections.
        waiting = list(_accept_all(sockets or ()))
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            with suppress(OSError):  # its client has hung up
                await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accept_all(listeners: Sequence[socket.socket]) -> Iterator[socket.socket]:
    for listener in listeners:
        listener.setblocking(False)
        while True:
            try:
                connection, _ = listener.accept()
            except ConnectionAbortedError:
                continue  # its client has hung up
            except OSError:
                break  # there is none, or this process has no file descriptor left
            yield connection
