"""An interruption on the phone: silence at once, down to the provider, and only what was heard stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.phone import CALL, CALLER, Phone, phone
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import client_of

LOOK_UP = '/say Let me see.\n/call multiply {"a": 6, "b": 7}\n/then\n/say It is forty-two. Anything else?'


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("long", provider.base_url, "fake-ok?gap=20ms&tokens=600"),
        direct("silent", provider.base_url, "fake-silent"),
    ]
    async with serving(tmp_path, *models, agent={"tools": ["multiply"]}) as served:
        yield served


async def transcript(server: Served) -> list[tuple[str, str]]:
    async with client_of(server, CALLER) as client:
        return await client.transcript(CALL)


async def hears(line: Phone, words: int) -> str:
    """Listen to that many words; returns them."""
    text = ""
    while len(text.split()) < words:
        text += (await line.frame())["token"]
    return " ".join(text.split()[:words])


async def says_nothing(line: Phone, seconds: float = 0.2) -> None:
    with pytest.raises(TimeoutError):
        await line.frame(within=seconds)


async def test_it_stops_the_turn_down_to_the_provider(server: Served, provider: FakeProvider) -> None:
    async with phone(server, parameters={"model": "long"}) as line:
        await line.say("Tell me everything")
        heard = await hears(line, 5)
        await line.interrupt(heard)
        async with asyncio.timeout(1):
            while provider.open_connections or provider.log[-1].ended_by is None:
                await asyncio.sleep(0.001)
        assert provider.log[-1].ended_by == "caller"
        await line.send("error", description="a mark: what was sent before the interruption has arrived")
        await drained(line)
        await says_nothing(line)
        assert await transcript(server) == [("user", "Tell me everything"), ("assistant", heard)]


async def drained(line: Phone) -> None:
    """Read what was under way when the line was interrupted."""
    while True:
        try:
            await line.frame(within=0.05)
        except TimeoutError:
            return


async def test_it_stops_a_turn_that_has_not_spoken(server: Served, provider: FakeProvider) -> None:
    async with phone(server, parameters={"model": "silent"}) as line:
        await line.say("Hello?")
        while not provider.log:
            await asyncio.sleep(0.001)
        await line.interrupt("")
        async with asyncio.timeout(1):
            while provider.log[-1].ended_by is None:
                await asyncio.sleep(0.001)
        await says_nothing(line)
        assert await transcript(server) == [("user", "Hello?")]


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("you said: HELLO", "You said: Hello"),
        ("You", "You"),
        ("", None),
        ("You said: Hello there, my friend", "You said: Hello there, my friend"),
    ],
)
async def test_it_counts_after_the_whole_answer_was_sent(server: Served, heard: str, kept: str | None) -> None:
    async with phone(server) as line:
        assert await line.ask("Hello there, my friend") == "You said: Hello there, my friend"
        await line.interrupt(heard)
        assert await line.ask("And?") == "You said: And?"
        answers = [("assistant", kept)] if kept else []
        assert await transcript(server) == [
            ("user", "Hello there, my friend"),
            *answers,
            ("user", "And?"),
            ("assistant", "You said: And?"),
        ]


async def test_the_words_before_and_after_a_tool(server: Served) -> None:
    async with phone(server) as line:
        assert await line.ask(LOOK_UP) == "Let me see. It is forty-two. Anything else?"
        await line.interrupt("It is forty-two. Any")
        assert await line.ask("No") == "You said: No"
        said = [text for role, text in await transcript(server) if role == "assistant"]
        assert said == ["Let me see.", "It is forty-two. Any", "You said: No"]


async def test_the_next_prompt_waits_until_it_is_stored(server: Served, provider: FakeProvider) -> None:
    async with phone(server, parameters={"model": "long"}) as line:
        await line.say("Tell me")
        heard = await hears(line, 3)
        await line.interrupt(heard)
        await line.say("Stop")
        while len(provider.log) < 2:
            await asyncio.sleep(0.001)
        sent: list[dict[str, Any]] = provider.log[-1].body["messages"]
        assert [each["content"] for each in sent[1:]] == ["Tell me", heard, "Stop"]


async def test_words_in_a_row_are_one_question(server: Served) -> None:
    async with phone(server) as line:
        for said in ("I would like", "to book", "a table"):
            await line.say(said)
        frames = [await line.frames()]
        async with client_of(server, CALLER) as client:
            asked = [text for role, text in await client.transcript(CALL) if role == "user"]
        assert " ".join(asked) == "I would like to book a table"
        assert frames[-1][-1]["last"] is True


async def test_a_newer_prompt_supersedes(server: Served, provider: FakeProvider) -> None:
    async with phone(server, parameters={"model": "long"}) as line:
        await line.say("One")
        await hears(line, 2)
        await line.say("Two")
        async with asyncio.timeout(1):
            while len(provider.log) < 2 or provider.log[0].ended_by is None:
                await asyncio.sleep(0.001)
        assert provider.log[0].ended_by == "caller"
        assert ANSWER.startswith((await transcript(server))[1][1])


@pytest.mark.parametrize("model", ["silent", "long"])
async def test_a_hang_up_ends_the_turn(server: Served, provider: FakeProvider, model: str) -> None:
    async with phone(server, parameters={"model": model}) as line:
        await line.say("Hi")
        while not provider.log:
            await asyncio.sleep(0.001)
        if model == "long":
            await hears(line, 2)
    async with asyncio.timeout(1):
        while provider.open_connections or provider.log[-1].ended_by is None:
            await asyncio.sleep(0.001)
    assert provider.log[-1].ended_by == "caller"
