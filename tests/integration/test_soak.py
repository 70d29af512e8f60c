"""A soak of a few seconds, and that it would notice what it is there to notice."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from bench.exam.caller import Heard
from bench.soak.callers import Tally, judged
from bench.soak.figures import Holdings, growth
from bench.soak.mix import Kind
from bench.soak.run import Soaked, soak
from router.fake.sample_text import ANSWER

WHOLE: dict[str, Any] = {"text": ANSWER, "finish": "stop"}
CUT_SHORT = {"code": "answer_interrupted"}
CALL = ("get_weather", {"city": "Paris"})


def heard(**fields: Any) -> Heard:
    return Heard(200, {}, b"", 0.1, 0.2, **fields)


async def test_a_few_seconds_of_all_faults_leave_nothing_behind() -> None:
    soaked = await soak(3, callers=8, seed=1, say=lambda _: None)
    assert not soaked.tally.broken
    assert not soaked.tracebacks
    assert (soaked.in_flight, soaked.provider_lines) == (0, 0)
    assert soaked.after.sockets <= soaked.before.sockets
    assert soaked.tasks[1] <= soaked.tasks[0]
    assert min(soaked.tally.count(each) for each in ("whole", "clean error", "hung up")) > 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "kind", "outcome"),
    [
        (heard(**WHOLE), "text", "whole"),
        (heard(calls=(CALL,), finish="tool_calls"), "tool", "whole"),
        (heard(text=ANSWER[:50], error=CUT_SHORT), "text", "clean error"),
        (heard(text=ANSWER[:50], finish="stop"), "text", "broken"),
        (heard(text=ANSWER * 2, finish="stop"), "text", "broken"),
        (heard(text="Nonsense", error=CUT_SHORT), "text", "broken"),
        (heard(text=ANSWER, finish="stop", error=CUT_SHORT), "text", "broken"),
        (heard(error={"code": "internal_error"}), "text", "broken"),
        (heard(calls=(CALL, CALL), finish="tool_calls"), "tool", "broken"),
        (heard(broken="[DONE] must come once", **WHOLE), "text", "broken"),
    ],
)
def test_only_a_whole_answer_or_a_clean_error_will_do(answer: Heard, kind: Kind, outcome: str) -> None:
    assert judged(answer, kind)[0] == outcome


def test_every_kind_of_leak_is_a_fault() -> None:
    tally = Tally()
    tally.add("m", "whole")
    held = Holdings(threads=4, descriptors=20, sockets=3, memory=200.0)
    clean = Soaked(tally, held, held, [200.0] * 40, (9, 9), 0, 0, [], 60)
    assert clean.faults() == []
    for worse in (
        replace(clean, after=replace(held, sockets=4)),
        replace(clean, after=replace(held, descriptors=21)),
        replace(clean, after=replace(held, threads=5)),
        replace(clean, memory=[200.0 + number for number in range(40)]),
        replace(clean, tasks=(9, 10)),
        replace(clean, in_flight=1),
        replace(clean, provider_lines=1),
        replace(clean, tracebacks=["Traceback"]),
        replace(clean, tally=Tally()),
    ):
        assert len(worse.faults()) == 1
    tally.add("m", "broken", "cut")
    assert clean.faults() == ["1 broken turns"]


def test_memory_that_only_fills_at_first_has_not_grown() -> None:
    assert growth([100.0] * 10 + [120.0] * 30) == 0.0
    assert growth([100.0] * 20 + [120.0] * 20) == 20.0


def test_holdings_are_read_from_the_system() -> None:
    before = Holdings.of(os.getpid())
    read, write = os.pipe()
    after = Holdings.of(os.getpid())
    os.close(read)
    os.close(write)
    assert after.descriptors == before.descriptors + 2
    assert after.leaked(before) == [f"descriptors: {before.descriptors} before, {after.descriptors} after"]
    assert before.memory > 1
