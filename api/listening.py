"""Binds the sockets that the server listens on, before anything else is loaded."""

from __future__ import annotations

import errno
import socket
from typing import Final

from config.errors import ConfigError, Problem

HINTS: Final = {
    errno.EADDRINUSE: "another program uses it. Stop that program, or choose another port with --port",
    errno.EACCES: "this user may not use it. Choose a port above 1023 with --port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind `port` on every address of `host`. Port 0 is any free port, the same on every address.

    Raises:
        ConfigError: the host is unknown, or the port is in use.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or "the name is not valid"
        problem = Problem(f"the address {host} cannot be found: {reason}", key="SWITCHBOARD_HOST")
        raise ConfigError([problem]) from exc
    bound: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        bound.append(listener := socket.socket(family, kind, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((address[0], port_of(bound) or port, *address[2:]))
        except OSError as exc:
            for each in bound:
                each.close()
            reason = HINTS.get(exc.errno or 0) or str(exc.strerror)
            problem = Problem(f"cannot listen on port {port} of {host}: {reason}", key="SWITCHBOARD_PORT")
            raise ConfigError([problem]) from exc
    return bound


def port_of(listeners: list[socket.socket]) -> int:
    """The port of the bound sockets."""
    return int(listeners[0].getsockname()[1])
