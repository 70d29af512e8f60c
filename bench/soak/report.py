"""The report of a soak: text for the terminal, and JSON from which the charts are drawn."""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from bench.machine import cpu_model
from bench.quantiles import quantile
from bench.soak.callers.crowd import MIX
from bench.soak.ledger import Ledger, Turn, first_tokens
from bench.soak.result import SoakResult
from bench.soak.verdict import OUTCOMES, Outcome

SLOTS = 90
"""Points in time of the charts of turns."""


def show(result: SoakResult, console: Console) -> None:
    """Print the report."""
    ledger = result.ledger
    title = f"Soak: {result.soak_seconds:g} s, {result.callers} streams, {len(ledger.turns)} turns"
    console.print(title, markup=False)
    console.print(_turn_table(ledger))
    console.print(_event_table(ledger))
    console.print(_latency_table(ledger))
    console.print(_holdings_table(result))
    for line in _lines(result):
        console.print(line, markup=False)
    for line in (*result.details(), *result.failures()):
        console.print(line, markup=False)
    console.print("FAILED" if result.failures() else "passed", markup=False)


def _turn_table(ledger: Ledger) -> Table:
    table = Table("turns", *OUTCOMES)
    for kind in MIX:
        counts = Counter(turn.outcome for turn in ledger.turns if turn.kind == kind)
        table.add_row(kind, *(str(counts[each] or "-") for each in OUTCOMES))
    table.add_row("all", *(str(ledger.count(each)) for each in OUTCOMES))
    return table


def _event_table(ledger: Ledger) -> Table:
    table = Table("event", "took", "whole", "cut", "clean errors")
    for name, seconds, counts, errors in event_rows(ledger):
        table.add_row(name, seconds, str(counts["whole"]), str(counts["cut"] or "-"), errors)
    return table


def event_rows(ledger: Ledger) -> Iterator[tuple[str, str, Counter[Outcome], str]]:
    """For each event, and for the time without one: its name, its duration, outcomes, and clean errors in words."""
    turns: dict[str, list[Turn]] = {each.name: [] for each in ledger.disturbances} | {"": []}
    for turn in ledger.turns:
        turns[ledger.cause(turn) or ""].append(turn)
    durations = {each.name: f"{each.ended - each.started:.1f} s" for each in ledger.disturbances}
    for name, found in turns.items():
        errors = Counter((turn.kind, turn.code) for turn in found if turn.outcome == "clean error")
        words = ", ".join(f"{number} {kind} {code}" for (kind, code), number in sorted(errors.items()))
        yield name or "no event", durations.get(name, ""), Counter(turn.outcome for turn in found), words


def _latency_table(ledger: Ledger) -> Table:
    table = Table("ms", "p50", "p99")
    for name, samples in latencies(ledger).items():
        table.add_row(name, *(f"{1000 * quantile(samples, share):.0f}" if samples else "-" for share in (0.5, 0.99)))
    return table


def latencies(ledger: Ledger) -> dict[str, list[float]]:
    """Samples in seconds by name."""
    first = {f"first token, {kind}": first_tokens(ledger.turns, kind) for kind in MIX}
    return {**first, "gap between tokens, chat": list(ledger.gaps)}


def _holdings_table(result: SoakResult) -> Table:
    before, after = result.before, result.after
    table = Table("held when idle", "before", "after")
    kinds: tuple[Literal["files", "tcp", "unix", "threads"], ...] = ("files", "tcp", "unix", "threads")
    for kind in kinds:
        table.add_row(f"{kind}, most of a worker", str(before.most(kind)), str(after.most(kind)))
    table.add_row("asyncio tasks, most of a worker", str(before.tasks), str(after.tasks))
    table.add_row("attempts in flight", str(before.in_flight), str(after.in_flight))
    table.add_row("connections to the provider", str(before.provider), str(after.provider))
    table.add_row("connections to PostgreSQL", _states(before.database), _states(after.database))
    table.add_row("connections to Redis", str(before.redis), str(after.redis))
    return table


def _states(connections: Any) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(connections.items())) or "-"


def _lines(result: SoakResult) -> Iterator[str]:
    hang_ups, audit = result.hang_ups, result.audit
    delays = hang_ups.delays
    yield (
        f"hang-ups: {len(delays) + len(hang_ups.late)} while the provider answered; its connection was closed within "
        f"{1000 * quantile(delays, 0.5):.0f} ms (p50), {1000 * quantile(delays, 0.99):.0f} ms (p99); "
        f"{len(hang_ups.late)} later than a second, and {hang_ups.held_up} more because the soak's own loop was late"
        if delays
        else "no hang-ups"
    )
    yield (
        f"stored: {audit.threads} threads with {audit.messages} messages, {audit.tool_calls} calls of tools; "
        f"lost {result.lost}, doubled {result.doubled}"
    )
    for course in result.courses:
        yield (
            f"memory of worker {course.pid}: {course.memory[0]:.0f} to {course.memory[-1]:.0f} MB in "
            f"{course.times[-1] - course.times[0]:.0f} s, {course.kept[-1] - course.kept[0]:.0f} MB of it for threads; "
            f"without them {course.slope:+.1f} MB an hour in the second half"
        )
    busy = [sample.busy for sample in result.samples]
    yield (
        f"machine: busy {100 * sum(busy) / max(1, len(busy)):.0f} %, load average {result.load[0]} before, "
        f"{result.load[1]} after"
    )


def as_json(result: SoakResult) -> dict[str, Any]:
    """What the charts need, and the figures of the tables."""
    ledger = result.ledger
    return {
        "machine": {
            "cpu": cpu_model(),
            "python": platform.python_version(),
            "date": time.strftime("%Y-%m-%d"),
            "load": result.load,
        },
        "seconds": result.soak_seconds,
        "callers": result.callers,
        "proxy": result.proxy,
        "turns": {kind: Counter(turn.outcome for turn in ledger.turns if turn.kind == kind) for kind in MIX},
        "lost": result.lost,
        "doubled": result.doubled,
        "leaks": list(result.leaks),
        "failures": result.failures(),
        "latencies": {
            name: {"p50": quantile(samples, 0.5), "p99": quantile(samples, 0.99), "count": len(samples)}
            for name, samples in latencies(ledger).items()
            if samples
        },
        "hang_ups": {"p99": quantile(result.hang_ups.delays, 0.99) if result.hang_ups.delays else None},
        "slopes": {str(course.pid): course.slope for course in result.courses},
        "events": [
            {"name": each.name, "start": each.started - result.started, "end": each.ended - result.started}
            for each in ledger.disturbances
        ],
        "slots": list(_slots(result)),
        "samples": [
            {
                "at": each.at,
                "memory": {str(pid): held.memory for pid, held in each.processes.items()},
                "descriptors": {str(pid): held.descriptors for pid, held in each.processes.items()},
                "provider": each.provider,
                "database": each.database,
                "redis": each.redis,
                "busy": each.busy,
            }
            for each in result.samples
        ],
    }


def save(result: SoakResult, file: Path) -> dict[str, Any]:
    """Write the JSON; return it."""
    found = as_json(result)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_rounded(found), indent=None, separators=(",", ":")) + "\n")
    return found


def _slots(result: SoakResult) -> Iterator[dict[str, Any]]:
    """Turns by the time of their end."""
    length = result.soak_seconds / SLOTS
    slots: list[list[Turn]] = [[] for _ in range(SLOTS)]
    for turn in result.ledger.turns:
        slots[min(SLOTS - 1, max(0, int((turn.ended - result.started) / length)))].append(turn)
    for number, turns in enumerate(slots):
        yield {
            "at": (number + 0.5) * length,
            "rates": {each: sum(turn.outcome == each for turn in turns) / length for each in OUTCOMES},
            "first_token": {
                kind: quantile(found, 0.99) for kind in ("chat", "session") if (found := first_tokens(turns, kind))
            },
        }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
