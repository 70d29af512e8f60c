"""One run of the benchmark: starts all servers, measures them in turn, stops them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter

from bench import loads
from bench.figures import Figure
from bench.machine import describe_machine
from bench.memory import MemoryCurve
from bench.plan import Plan
from bench.processes import Cores, pinned
from bench.program import Progress
from bench.report import Report
from bench.servers import RunningServer, Server, run_provider, served_names
from bench.suite import BenchmarkSuite


async def run_benchmark(plan: Plan, servers: Sequence[Server], progress: Progress) -> Report:
    """Measure the provider and these servers. Raises BenchError if one does not start."""
    start, cores = perf_counter(), Cores.of_this_machine()
    machine = describe_machine(cores)
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with run_provider(directory, cores, loads.MODELS) as provider:
            startups = await _measure_startups(plan, servers, directory, cores, progress)
            async with _run_all(provider, servers, directory, cores) as running:
                suite = BenchmarkSuite(plan, running, progress)
                curves = await suite.memory_curves()
                await suite.warm_up()
                results = await suite.rounds()
                throughput = await suite.throughput_curves(results)
                figures = [*results.figures()]
                if plan.max_streams:
                    figures.append(await suite.stream_capacity(results))
                memory_at_end = {each.target.name: each.process.memory() for each in running[1:]}
    for each in running[1:]:
        startups[each.target.name].append(each.process.startup)
    figures += [
        *_memory_figures(curves, memory_at_end),
        Figure.of_values("process start to health check 200", "s", False, startups),
    ]
    names = [each.target.name for each in running]
    broken = {each: results.broken(each) + (curves[each].broken if each in curves else []) for each in names}
    return Report(
        figures=figures,
        machine=machine,
        rounds=plan.rounds,
        first_tokens=results.first_tokens(),
        throughput=throughput,
        memory={each: curve.samples for each, curve in curves.items()},
        turns={each: results.turns(each) + (curves[each].turns if each in curves else 0) for each in names},
        lost={each: len(errors) for each, errors in broken.items()},
        broken={each: errors[:10] for each, errors in broken.items()},
        seconds=perf_counter() - start,
    )


@asynccontextmanager
async def _run_all(
    provider: RunningServer, servers: Sequence[Server], directory: Path, cores: Cores
) -> AsyncIterator[list[RunningServer]]:
    async with AsyncExitStack() as stack:
        running = [provider]
        for server in servers:
            started = server.run(directory, cores.server, served_names(loads.MODELS))
            running.append(await stack.enter_async_context(started))
        yield running


async def _measure_startups(
    plan: Plan, servers: Sequence[Server], directory: Path, cores: Cores, progress: Progress
) -> dict[str, list[float]]:
    """Start each server alone; return the startup times in seconds."""
    startups: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(plan.startups):
        for server in servers:
            progress(f"start {number + 1} of {plan.startups}: {server.name}")
            async with server.run(directory, cores.server, {}) as running:
                startups[server.name].append(running.process.startup)
    return startups


def _memory_figures(curves: Mapping[str, MemoryCurve], at_end: Mapping[str, float]) -> list[Figure]:
    def figure(title: str, values: Mapping[str, float], more_is_better: bool | None = False) -> Figure:
        return Figure.of_values(title, "MB", more_is_better, {name: [value] for name, value in values.items()})

    return [
        figure("memory before the first turn", {name: each.samples[0][1] for name, each in curves.items()}),
        figure("memory after the memory course", {name: each.samples[-1][1] for name, each in curves.items()}),
        figure("memory: last quarter above the second", {name: each.growth for name, each in curves.items()}, None),
        figure("memory after the last turn", at_end),
    ]
