"""Shows a rehearsal: what was said in each call, which expectations failed, and the latencies. Or all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from rich.console import RenderableType
from rich.text import Text

from api.rehearsal.results import CallResult, Latency, StepResult, first_words, silences
from api.rehearsal.script_file import Step
from api.terminal import render
from api.terminal.screen import Screen
from config.errors import Problem

SPEAKERS: Final = len("caller")
"""Columns."""


class Report:
    """Writes to the screen. With several callers, it shows what the first of them heard."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def begin(self, script: str, url: str, callers: int) -> None:
        """Say what is rehearsed."""
        many = f" · {callers} callers" if callers > 1 else ""
        said = Text.assemble(("Rehearsal", "bold"), f" · {render.clean(script)} · {render.clean(url)}{many}")
        self._screen.show(said)
        self._screen.show(Text())

    def call(self, call: CallResult) -> None:
        """Show a call that has ended."""
        if call.caller != 1:
            return
        mark = Text("✓ ", "green") if call.ok else Text("✗ ", "red")
        self._screen.show(Text.assemble(mark, (render.clean(call.name), "bold"), (f"  {_ending(call)}", "note")))
        for step in call.steps:
            self._screen.show(*_dialogue(step))
            self._problems(step.problems)
        self._problems(call.problems)
        self._screen.show(Text())

    def end(self, calls: Sequence[CallResult]) -> None:
        """Show what the first caller did not hear, the latencies of all calls, and the sum."""
        self._others(calls)
        latencies = (("first word", first_words(calls)), ("silence after an interruption", silences(calls)))
        rows = [(name, str(each.count), *_milliseconds(each)) for name, each in latencies if each.count]
        if rows:
            self._screen.show(render.table("latency", "measured", "p50", "p99", "longest", rows=rows))
            self._screen.show(Text())
        failed = sum(not call.ok for call in calls)
        if failed:
            self._screen.problem(f"{failed} of {_count(len(calls), 'call')} failed.")
        else:
            self._screen.note(f"{_count(len(calls), 'call')}, all as expected.")

    def _problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self._screen.problem(str(problem))

    def _others(self, calls: Sequence[CallResult]) -> None:
        """The failures of the other callers: the first at each key."""
        others: dict[tuple[int | None, str | None], list[Problem]] = {}
        for problem in (each for call in calls if call.caller != 1 for each in call.all_problems):
            others.setdefault((problem.line, problem.key), []).append(problem)
        for found in others.values():
            self._screen.problem(f"{found[0]} (in {_count(len(found), 'call')} of other callers)")
        if others:
            self._screen.show(Text())


def as_json(script: str, url: str, calls: Sequence[CallResult]) -> str:
    """The whole rehearsal, with times in milliseconds."""
    whole = {
        "ok": all(call.ok for call in calls),
        "script": script,
        "url": url,
        "latency_ms": {"first_word": _latency_json(first_words(calls)), "silence": _latency_json(silences(calls))},
        "calls": [_call_json(call) for call in calls],
    }
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()


def _dialogue(step: StepResult) -> Iterator[RenderableType]:
    if did := _did(step.step):
        yield render.speaker(Text("caller", "name"), render.plain(did), SPEAKERS)
    times = [f"first word {step.first_word * 1000:.0f} ms"] if step.first_word is not None else []
    if step.silence is not None:
        times.append(f"interrupted, silent after {step.silence * 1000:.0f} ms")
    heard = " ".join(step.heard.split())
    text = render.plain(heard or "(nothing)", "" if heard else "note")
    said = Text.assemble(text, (f"  {' · '.join(times)}", "note")) if times else text
    yield render.speaker(Text("agent", "note"), said, SPEAKERS)


def _did(step: Step) -> str:
    """What the caller did, in words."""
    if step.dial is not None:
        return f"[dials {step.dial}]"
    if step.wait is not None:
        return f"[is silent for {step.wait:g} s]"
    return step.say or ""


def _ending(call: CallResult) -> str:
    ended = {
        "caller": "the caller hung up",
        "agent": "the agent hung up",
        "transfer": f"transferred to {render.clean(call.destination or '')}",
        "error": "broke off",
    }
    return f"{ended[call.ended]} after {call.seconds:.1f} s"


def _milliseconds(each: Latency) -> tuple[str, ...]:
    return tuple(f"{value * 1000:.0f} ms" for value in (each.p50, each.p99, each.longest) if value is not None)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _latency_json(each: Latency) -> dict[str, Any]:
    return {"count": each.count, "p50": _ms(each.p50), "p99": _ms(each.p99), "longest": _ms(each.longest)}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _call_json(call: CallResult) -> dict[str, Any]:
    return {
        "name": call.name,
        "caller": call.caller,
        "call_id": call.call_id,
        "ok": call.ok,
        "ended_by": call.ended,
        "transferred_to": call.destination,
        "seconds": round(call.seconds, 3),
        "steps": [_step_json(step) for step in call.steps],
        "failures": [_problem_json(each) for each in call.problems],
    }


def _step_json(step: StepResult) -> dict[str, Any]:
    done = step.step.model_dump(include={"say", "dial", "wait", "interrupt_after"}, exclude_none=True)
    return {
        **done,
        "heard": step.heard,
        "first_word_ms": _ms(step.first_word),
        "silence_ms": _ms(step.silence),
        "failures": [_problem_json(each) for each in step.problems],
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file) if problem.file else None,
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
    }
