"""One run of the bench: every server started, measured in turn, and stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.bench import figures
from tests.bench.figures import Figure, Rounds
from tests.bench.load import Load
from tests.bench.processes import Cores, pinned
from tests.bench.report import Report, machine
from tests.bench.servers import Server, Serving, served_names, vendor

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: `seconds` for each rate, `turns` a caller for each time, and that `rounds` times.

    `starts` is how often each server is started before the run that measures it; 0 steps of `held` streams leave that
    search out.
    """

    rounds: int
    seconds: float
    turns: int = 2
    starts: int = 2
    held: int = len(figures.STEPS)


QUICK = Plan(rounds=1, seconds=0.5, turns=1, starts=0, held=0)


async def bench(plan: Plan, servers: Sequence[Server], say: Say) -> Report:
    """Measure these servers side by side. Raises BenchFailed when one does not start."""
    begun, cores = perf_counter(), Cores.of_this_machine()
    described = machine(cores)
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with AsyncExitStack() as stack:
            own = await stack.enter_async_context(vendor(directory, cores, figures.MODELS))
            starts = await _starts(plan, servers, directory, cores, say)
            serving = [own]
            for server in servers:
                served = server.serving(directory, cores.server, served_names(figures.MODELS))
                serving.append(await stack.enter_async_context(served))
            before = {each.target.name: each.process.memory() for each in serving[1:]}
            rounds = await _rounds(plan, serving, say)
            found = [*rounds.figures()]
            if plan.held:
                found.append(await _held(plan, serving, rounds, say))
            found += _memory(before, serving[1:])
    for each in serving[1:]:
        starts[each.target.name].append(each.process.start)
    found.append(figures.once("process start to health check 200", "s", False, starts))
    names = [each.target.name for each in serving]
    broken = {each: rounds.broken(each) for each in names}
    return Report(
        figures=found,
        machine=described,
        rounds=plan.rounds,
        turns={each: rounds.turns(each) for each in names},
        lost={each: len(answers) for each, answers in broken.items()},
        broken={each: answers[:10] for each, answers in broken.items()},
        seconds=perf_counter() - begun,
    )


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


async def _rounds(plan: Plan, serving: Sequence[Serving], say: Say) -> Rounds:
    """Every load on every server, one at a time; then all of it again."""
    for each in serving:
        await Load(figures.UNPACED, callers=2, turns=15).run(each.target)
    rounds = Rounds()
    for number in range(plan.rounds):
        for name, load in figures.loads(plan.seconds, plan.turns).items():
            for each in serving:
                say(f"round {number + 1} of {plan.rounds}: {name}, {each.target.name}")
                rounds.add(name, each.target.name, await load.run(each.target))
    return rounds


async def _held(plan: Plan, serving: Sequence[Serving], rounds: Rounds, say: Say) -> Figure:
    """The greatest number of paced streams that each server holds; the first that it cannot hold ends the search."""
    held: dict[str, list[float]] = {}
    for each in serving:
        held[each.target.name] = [0]
        for callers in figures.STEPS[: plan.held]:
            say(f"{callers} paced streams: {each.target.name}")
            heard = await figures.held(callers).run(each.target)
            if not figures.keeps_up(heard):
                break
            rounds.add("held", each.target.name, heard)
            held[each.target.name] = [callers]
    return figures.once("paced streams held, p99 gap under 60 ms", "", True, held)


def _memory(before: dict[str, float], serving: Sequence[Serving]) -> list[Figure]:
    after = {each.target.name: each.process.memory() for each in serving}
    return [
        figures.once("memory before the first turn", "MB", False, {name: [value] for name, value in before.items()}),
        figures.once("memory after the last turn", "MB", False, {name: [value] for name, value in after.items()}),
    ]
