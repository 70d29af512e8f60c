"""Ports for the servers of the tests."""

from __future__ import annotations

import os
import socket
from itertools import count

FIRST = 10_000
"""From here on, below those that the system gives to connections (Linux: 32768). They come and go all the time."""
OF_EACH_PROCESS = 4_000

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = count(FIRST + OF_EACH_PROCESS * _worker)


def free_port() -> int:
    """A port that no other test gets."""
    for port in _numbers:
        with socket.socket() as listener:
            # As servers do: connections of an earlier one do not count.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError  # the numbers do not end
