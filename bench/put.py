"""A load put on a server, with the CPU time that it took on either side."""

from __future__ import annotations

import os
import time

from bench.load import Heard, Load
from bench.servers import Serving


async def put(load: Load, on: Serving, provider: Serving) -> Heard:
    """Put the load on one server and read what it said. `provider` is the one behind it, or the server itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    begun, own, theirs, server = time.perf_counter(), time.process_time(), provider.process.cpu(), on.process.cpu()
    taken = await load.take(on.target)
    server, theirs, own = on.process.cpu() - server, provider.process.cpu() - theirs, time.process_time() - own
    seconds = time.perf_counter() - begun
    heard = load.read(taken)
    heard.cpu, heard.busy = server, (own + theirs) / seconds / cores
    return heard
