"""Runs a load and measures the CPU time that it takes."""

from __future__ import annotations

import os
import time

from bench.load import Load, LoadResult
from bench.processes import BenchError
from bench.servers import RunningServer


async def run_load(load: Load, server: RunningServer, provider: RunningServer) -> LoadResult:
    """Run the load on `server`; `provider` is the provider behind it, or `server` itself.

    Responses are parsed after the load, so that parsing takes no CPU time from it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    start, client_cpu = time.perf_counter(), time.process_time()
    provider_cpu, server_cpu = provider.process.cpu(), server.process.cpu()
    responses = await load.send(server.target)
    server_cpu = server.process.cpu() - server_cpu
    load_cpu = provider.process.cpu() - provider_cpu + time.process_time() - client_cpu
    seconds = time.perf_counter() - start
    result = load.parse(responses)
    result.server_cpu, result.load_utilization = server_cpu, load_cpu / seconds / cores
    return result


async def run_load_unbroken(load: Load, server: RunningServer, provider: RunningServer) -> LoadResult:
    """Run the load; raises BenchError if any answer is broken."""
    result = await run_load(load, server, provider)
    require_unbroken(result, server)
    return result


def require_unbroken(result: LoadResult, server: RunningServer) -> None:
    """Raises BenchError if any answer is broken."""
    if result.broken:
        count, example = len(result.broken), result.broken[0]
        raise BenchError(f"{server.target.name} gave {count} broken answers, for example: {example}")
