"""Binds the sockets that the server listens on, before anything else is loaded."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import Final

from config.errors import ConfigError, Problem

STDERR: Final = 2

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


def keep_from_child_programs() -> None:
    """Let no program that this process starts, such as an MCP server, inherit an open socket or pipe.

    uvicorn's workers get the bound sockets as inheritable ones, and such a program would keep the port of a server that
    was killed.
    """
    with suppress(FileNotFoundError):  # Windows, where handles are not inherited
        for descriptor in map(int, os.listdir("/dev/fd")):
            if descriptor > STDERR:
                with suppress(OSError):  # the one that listed the folder is closed again
                    os.set_inheritable(descriptor, False)


def port_of(listeners: list[socket.socket]) -> int:
    """The port of the bound sockets."""
    return int(listeners[0].getsockname()[1])
