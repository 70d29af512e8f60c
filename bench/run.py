"""One run of the bench: every server started, measured in turn, and stopped."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter

from bench import loads
from bench.contest import Contest, Say
from bench.figures import Figure, once
from bench.machine import machine
from bench.memory import Course
from bench.plan import Plan
from bench.processes import Cores, pinned
from bench.report import Report
from bench.servers import Server, Serving, provider, served_names


async def bench(plan: Plan, servers: Sequence[Server], say: Say) -> Report:
    """Measure these servers side by side. Raises BenchFailed when one does not start."""
    begun, cores = perf_counter(), Cores.of_this_machine()
    described = machine(cores)
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with provider(directory, cores, loads.MODELS) as own:
            starts = await _starts(plan, servers, directory, cores, say)
            async with _all_serving(own, servers, directory, cores) as serving:
                contest = Contest(plan, serving, say)
                courses = await contest.courses()
                await contest.warm_up()
                rounds = await contest.rounds()
                throughput = await contest.throughput(rounds)
                found = [*rounds.figures()]
                if plan.held:
                    found.append(await contest.held(rounds))
                after = {each.target.name: each.process.memory() for each in serving[1:]}
    for each in serving[1:]:
        starts[each.target.name].append(each.process.start)
    found += [*_memory(courses, after), once("process start to health check 200", "s", False, starts)]
    names = [each.target.name for each in serving]
    broken = {each: rounds.broken(each) + (courses[each].broken if each in courses else []) for each in names}
    return Report(
        figures=found,
        machine=described,
        rounds=plan.rounds,
        first_tokens=rounds.first_tokens(),
        throughput=throughput,
        memory={each: course.samples for each, course in courses.items()},
        turns={each: rounds.turns(each) + (courses[each].turns if each in courses else 0) for each in names},
        lost={each: len(answers) for each, answers in broken.items()},
        broken={each: answers[:10] for each, answers in broken.items()},
        seconds=perf_counter() - begun,
    )


@asynccontextmanager
async def _all_serving(
    own: Serving, servers: Sequence[Server], directory: Path, cores: Cores
) -> AsyncIterator[list[Serving]]:
    async with AsyncExitStack() as stack:
        serving = [own]
        for server in servers:
            served = server.serving(directory, cores.server, served_names(loads.MODELS))
            serving.append(await stack.enter_async_context(served))
        yield serving


async def _starts(
    plan: Plan, servers: Sequence[Server], directory: Path, cores: Cores, say: Say
) -> dict[str, list[float]]:
    """How long each server takes to start, one after the other and while nothing else runs."""
    starts: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(plan.starts):
        for server in servers:
            say(f"start {number + 1} of {plan.starts}: {server.name}")
            async with server.serving(directory, cores.server, {}) as serving:
                starts[server.name].append(serving.process.start)
    return starts


def _memory(courses: Mapping[str, Course], after: Mapping[str, float]) -> list[Figure]:
    def figure(title: str, values: Mapping[str, float], better: bool | None = False) -> Figure:
        return once(title, "MB", better, {name: [value] for name, value in values.items()})

    return [
        figure("memory before the first turn", {name: each.samples[0][1] for name, each in courses.items()}),
        figure("memory after the memory course", {n: each.samples[-1][1] for n, each in courses.items()}),
        figure("memory: last quarter above the second", {name: each.grown for name, each in courses.items()}, None),
        figure("memory after the last turn", after),
    ]
