"""A soak of a few seconds; it also has to detect broken answers and leaks."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from bench.exam.caller import ReceivedAnswer
from bench.memory import memory_growth
from bench.soak.load_generator import OutcomeCounts, classify
from bench.soak.resources import ProcessResources
from bench.soak.run import SoakResult, soak
from bench.soak.traffic import Kind
from router.fake.sample_text import ANSWER

WHOLE: dict[str, Any] = {"text": ANSWER, "finish_reason": "stop"}
CUT_SHORT = {"code": "answer_interrupted"}
CALL = ("get_weather", {"city": "Paris"})


def received(**fields: Any) -> ReceivedAnswer:
    return ReceivedAnswer(200, {}, b"", 0.1, 0.2, **fields)


async def test_a_few_seconds_of_all_faults_leave_nothing_behind() -> None:
    result = await soak(3, callers=8, seed=1, progress=lambda _: None)
    assert not result.outcomes.broken
    assert not result.tracebacks
    assert (result.in_flight, result.provider_connections) == (0, 0)
    assert result.after.sockets <= result.before.sockets
    assert result.tasks[1] <= result.tasks[0]
    assert min(result.outcomes.count(each) for each in ("whole", "clean error", "hung up")) > 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "kind", "outcome"),
    [
        (received(**WHOLE), "text", "whole"),
        (received(tool_calls=(CALL,), finish_reason="tool_calls"), "tool", "whole"),
        (received(text=ANSWER[:50], error=CUT_SHORT), "text", "clean error"),
        (received(text=ANSWER[:50], finish_reason="stop"), "text", "broken"),
        (received(text=ANSWER * 2, finish_reason="stop"), "text", "broken"),
        (received(text="Nonsense", error=CUT_SHORT), "text", "broken"),
        (received(text=ANSWER, finish_reason="stop", error=CUT_SHORT), "text", "broken"),
        (received(error={"code": "internal_error"}), "text", "broken"),
        (received(tool_calls=(CALL, CALL), finish_reason="tool_calls"), "tool", "broken"),
        (received(violation="[DONE] must come once", **WHOLE), "text", "broken"),
    ],
)
def test_only_a_whole_answer_or_a_clean_error_will_do(answer: ReceivedAnswer, kind: Kind, outcome: str) -> None:
    assert classify(answer, kind)[0] == outcome


def test_every_kind_of_leak_is_a_failure() -> None:
    outcomes = OutcomeCounts()
    outcomes.add("m", "whole")
    held = ProcessResources(threads=4, descriptors=20, sockets=3, memory=200.0)
    clean = SoakResult(outcomes, held, held, [200.0] * 40, (9, 9), 0, 0, [], 60)
    assert clean.failures() == []
    for worse in (
        replace(clean, after=replace(held, sockets=4)),
        replace(clean, after=replace(held, descriptors=21)),
        replace(clean, after=replace(held, threads=5)),
        replace(clean, memory=[200.0 + number for number in range(40)]),
        replace(clean, tasks=(9, 10)),
        replace(clean, in_flight=1),
        replace(clean, provider_connections=1),
        replace(clean, tracebacks=["Traceback"]),
        replace(clean, outcomes=OutcomeCounts()),
    ):
        assert len(worse.failures()) == 1
    outcomes.add("m", "broken", "cut")
    assert clean.failures() == ["1 broken turns"]


def test_initial_memory_growth_does_not_count() -> None:
    assert memory_growth([100.0] * 10 + [120.0] * 30) == 0.0
    assert memory_growth([100.0] * 20 + [120.0] * 20) == 20.0


def test_process_resources_are_read_from_the_system() -> None:
    before = ProcessResources.of(os.getpid())
    read, write = os.pipe()
    after = ProcessResources.of(os.getpid())
    os.close(read)
    os.close(write)
    assert after.descriptors == before.descriptors + 2
    assert after.leaks_since(before) == [f"descriptors: {before.descriptors} before, {after.descriptors} after"]
    assert before.memory > 1
