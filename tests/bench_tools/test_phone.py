"""Phone calls are measured on a real server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.load import Target
from bench.phone import first_token, many_calls
from bench.phone.many_calls import ManyCalls, call_many
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import TOKEN, direct, serving

SPOKEN = "fake-ok?gap=5ms&tokens=8"


@pytest.fixture
async def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Target]:
    short = {"TURN_SECONDS": 0.05, "QUIET": 0.05, "CALLER_SECONDS": 0.02, "SECONDS_PER_WORD": 0.001}
    for name, value in {"TOKENS": 8, "SPOKEN": SPOKEN, **short}.items():
        monkeypatch.setattr(many_calls, name, value)
    async with FakeProvider() as provider:
        models = [direct(f"m{at}", provider.base_url, each) for at, each in enumerate((first_token.MODEL, SPOKEN))]
        async with serving(tmp_path, *models) as served:
            address = urlsplit(served.url)
            yield Target("s", "127.0.0.1", address.port or 0, TOKEN, {first_token.MODEL: "m0", SPOKEN: "m1"})


async def call(target: Target, *, pauses: bool = False) -> ManyCalls:
    """Four calls."""
    figures = await call_many(target, calls=4, seconds=0.05, pauses=pauses, cpu={"callers": time.process_time})
    assert figures.cpu["callers"] > 0
    return figures


async def test_each_wire_has_its_first_tokens(target: Target) -> None:
    times = await first_token.first_tokens(target, turns=10)
    assert {name: len(seconds) for name, seconds in times.items()} == {
        "chat completions": 10,
        "sessions": 10,
        "phone relay": 10,
    }
    assert all(0 < each < 10 for seconds in times.values() for each in seconds)


@pytest.mark.parametrize("pauses", [True, False])
async def test_whole_calls_have_their_gaps(target: Target, monkeypatch: pytest.MonkeyPatch, pauses: bool) -> None:
    monkeypatch.setattr(many_calls, "INTERRUPTED_EVERY", 1000)
    figures = await call(target, pauses=pauses)
    assert (figures.broken, figures.silences) == ([], [])
    assert figures.turns >= 4 and len(figures.first_tokens) == figures.turns
    assert len(figures.gaps) > figures.turns


async def test_callers_pause_between_their_turns(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_turn, turns = many_calls._whole_turn, 0

    async def counted(*given: Any) -> list[str]:
        nonlocal turns
        turns += 1
        return await whole_turn(*given)

    monkeypatch.setattr(many_calls, "_whole_turn", counted)
    monkeypatch.setattr(many_calls, "INTERRUPTED_EVERY", 1000)
    monkeypatch.setattr(many_calls, "CALLER_SECONDS", 0.5)
    assert (await call(target, pauses=True)).broken == []
    assert turns <= 4 * 3  # each call lasts for one exchange before it counts


async def test_interrupted_calls_have_their_silences(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_calls, "INTERRUPTED_EVERY", 1)
    figures = await call(target)
    assert figures.broken == []
    assert len(figures.silences) == figures.turns >= 4


async def test_an_answer_that_is_not_the_providers_is_broken(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_calls, "TOKENS", 20)
    monkeypatch.setattr(many_calls, "INTERRUPTED_EVERY", 1000)
    figures = await call(target)
    assert any("the answer is" in each for each in figures.broken)


def test_a_caller_listens_until_the_answer_is_played() -> None:
    words = [" word"] * 64  # 25.6 s of speech that arrive in 3.2 s
    assert many_calls._pause_after(words) == pytest.approx(25.6 - 3.2 + 5.0)
    assert many_calls._pause_after([" word"]) == pytest.approx(5.0)


def test_a_word_that_waits_for_its_end_makes_no_gap() -> None:
    figures = ManyCalls()
    many_calls._note(0.0, [(1.0, "Good"), (1.1, " day."), (1.2, " Your"), (1.25, " table")], figures)
    assert [round(each, 3) for each in figures.gaps] == [0.05, 0.05, 0.05]
    assert figures.first_tokens == [1.0]
