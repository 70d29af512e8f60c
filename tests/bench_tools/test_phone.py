"""Phone calls are measured on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
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
    for name, value in {"TOKENS": 8, "SPOKEN": SPOKEN, "TURN_SECONDS": 0.05, "QUIET": 0.05}.items():
        monkeypatch.setattr(many_calls, name, value)
    async with FakeProvider() as provider:
        models = [direct(f"m{at}", provider.base_url, each) for at, each in enumerate((first_token.MODEL, SPOKEN))]
        async with serving(tmp_path, *models) as served:
            address = urlsplit(served.url)
            yield Target("s", "127.0.0.1", address.port or 0, TOKEN, {first_token.MODEL: "m0", SPOKEN: "m1"})


async def test_each_wire_has_its_first_tokens(target: Target) -> None:
    times = await first_token.first_tokens(target, turns=10)
    assert {name: len(seconds) for name, seconds in times.items()} == {
        "chat completions": 10,
        "sessions": 10,
        "phone relay": 10,
    }
    assert all(0 < each < 10 for seconds in times.values() for each in seconds)


async def test_calls_are_whole_or_interrupted(target: Target) -> None:
    figures = await call_many(target, calls=4, seconds=0.0)
    assert figures.broken == []
    assert (figures.turns >= 4, len(figures.silences) >= 1) == (True, True)
    assert len(figures.first_tokens) == figures.turns
    assert len(figures.gaps) > figures.turns


async def test_an_answer_that_is_not_the_providers_is_broken(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_calls, "TOKENS", 20)
    monkeypatch.setattr(many_calls, "INTERRUPTED_EVERY", 1000)
    figures = await call_many(target, calls=2, seconds=0.0)
    assert any("the answer is" in each for each in figures.broken)


def test_a_word_that_waits_for_its_end_makes_no_gap() -> None:
    figures = ManyCalls()
    many_calls._note(0.0, [(1.0, "Good"), (1.1, " day."), (1.2, " Your"), (1.25, " table")], figures)
    assert [round(each, 3) for each in figures.gaps] == [0.05, 0.05, 0.05]
    assert figures.first_tokens == [1.0]
