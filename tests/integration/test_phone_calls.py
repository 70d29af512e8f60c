"""What happens in a phone call beside its turns: hand-offs, keys, reviews, silence, its end, and its coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from langchain_core.tools import tool
from websockets.exceptions import ConnectionClosed

from agent.tools.tool_set import SERVER_TOOLS
from router.fake.server.fake_provider import FakeProvider
from tests.support.phone import CALL, CALLER, Phone, phone
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import SessionClient, client_of

AGENT = {
    "tools": ["transferCall", "endCall", "multiply", "book_hotel"],
    "review": ["book_hotel"],
    "transfer_destinations": [{"number": "+15550123", "name": "Billing"}],
}
BOOK = '/say Let me book that.\n/call book_hotel {"hotel_name": "Ritz"}\n/then\n/say It is booked.'
REVIEW = "One moment, I am asking a colleague."
ERROR = "Sorry, something went wrong. Could you say that again?"


@asynccontextmanager
async def line_of(folder: Path, *models: Any, agent: dict[str, Any] | None = None, **said: Any) -> AsyncIterator[Phone]:
    async with serving(folder, *(models or [fake()]), agent={**AGENT, **(agent or {}), "phone": said}) as served:
        async with phone(served) as line:
            yield line


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, fake(), agent=AGENT) as served:
        yield served


@pytest.fixture
async def sessions(server: Served) -> AsyncIterator[SessionClient]:
    async with client_of(server, CALLER) as client:
        yield client


async def decide(sessions: SessionClient, decision: str = "accept", **fields: Any) -> None:
    await sessions.resume(CALL, response_type=decision, **fields)


async def closed(line: Phone) -> int | None:
    """Read until the server closes the connection; returns its code."""
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await line.websocket.recv()
    return caught.value.rcvd.code if caught.value.rcvd else None


async def test_a_transfer_ends_the_relay_after_the_words_before_it(server: Served) -> None:
    async with phone(server) as line:
        await line.say("I want a human")
        frames = await line.frames(until="end")
        assert "".join(each["token"] for each in frames[:-1]).strip() == "Connecting you now."
        assert frames[-2]["last"] is True
        assert orjson.loads(frames[-1]["handoffData"]) == {"reason": "transfer", "destination": "+15550123"}
        await line.say("Are you there?")
        with pytest.raises(TimeoutError):
            await line.frame(within=0.1)


async def test_the_end_of_a_call(server: Served) -> None:
    async with phone(server) as line:
        await line.say("Goodbye")
        frames = await line.frames(until="end")
        assert "".join(each["token"] for each in frames[:-1]).strip() == "Goodbye."
        assert orjson.loads(frames[-1]["handoffData"]) == {"reason": "hang_up"}


async def test_telnyx_gets_the_end_when_the_words_are_played(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.calls.speech.SECONDS_PER_WORD", 0.5)
    async with phone(server, control_id="v3:1") as line:
        await line.say("Goodbye")
        assert await line.heard() == "Goodbye."
        with pytest.raises(TimeoutError):
            await line.frame(within=0.1)
        assert (await line.frame())["type"] == "end"


async def test_keys_are_text(server: Served) -> None:
    async with phone(server) as line:
        await line.send("dtmf", digit="1")
        assert await line.heard() == "You said: 1"


async def test_keys_are_collected(tmp_path: Path) -> None:
    async with line_of(tmp_path, dtmf="collect") as line:
        for digit in "4#2*#":
            await line.send("dtmf", digit=digit)
        heard = [await line.heard()]
        if heard == ["You said: 4"]:
            heard.append(await line.heard())
        assert heard[-1].endswith("2*")
        await line.send("dtmf", digit="#")
        assert await line.ask("Hi") == "You said: Hi"


async def test_a_person_decides_while_the_caller_waits(server: Served, sessions: SessionClient) -> None:
    async with phone(server) as line:
        assert await line.ask(BOOK) == f"Let me book that. {REVIEW}"
        assert await line.ask("Is it done?") == REVIEW
        assert await line.ask("Hello?") == REVIEW
        await decide(sessions)
        assert await line.heard() == "It is booked."
        assert await line.heard() == "You said: Is it done? Hello?"
        said = [text for role, text in await sessions.transcript(CALL) if role != "tool"]
        assert said[1:] == ["Let me book that.", "It is booked.", "Is it done? Hello?", "You said: Is it done? Hello?"]


async def test_an_interruption_of_what_a_review_brought(server: Served, sessions: SessionClient) -> None:
    async with phone(server) as line:
        await line.ask(BOOK)
        await decide(sessions)
        assert await line.heard() == "It is booked."
        await line.interrupt("It is")
        assert await line.ask("Thanks") == "You said: Thanks"
        said = [text for role, text in await sessions.transcript(CALL) if role == "assistant"]
        assert said == ["Let me book that.", "It is", "You said: Thanks"]


async def test_a_transfer_after_a_review_is_carried_out(server: Served, sessions: SessionClient) -> None:
    script = BOOK.replace("/say It is booked.", '/say I connect you.\n/call transferCall {"destination": "Billing"}')
    async with phone(server) as line:
        await line.ask(script)
        await decide(sessions)
        frames = await line.frames(until="end")
        assert "".join(each["token"] for each in frames[:-1]).strip() == "I connect you."
        assert orjson.loads(frames[-1]["handoffData"])["destination"] == "+15550123"


async def test_a_second_review_keeps_the_caller_waiting(server: Served, sessions: SessionClient) -> None:
    again = BOOK.replace(
        "/say It is booked.", '/say One more.\n/call book_hotel {"hotel_name": "Savoy"}\n/then\n/say Both.'
    )
    async with phone(server) as line:
        await line.ask(again)
        await decide(sessions)
        assert await line.heard() == "One more."
        await decide(sessions, "reject")
        assert await line.heard() == "Both."


async def test_a_review_outlasts_the_connection(server: Served, sessions: SessionClient) -> None:
    async with phone(server) as line:
        await line.ask(BOOK)
    async with phone(server) as line:
        assert await line.ask("Hello?") == REVIEW
        await decide(sessions)
        assert await line.heard() == "It is booked."
        assert await line.heard() == "You said: Hello?"


@pytest.mark.parametrize("script", ["/fail 503", "/say One two three\n/fail 503"])
async def test_an_error_is_a_sentence(tmp_path: Path, script: str) -> None:
    async with serving(tmp_path, fake(), router={"num_retries": 0}) as served, phone(served) as line:
        said = await line.ask(script)
        assert said.endswith(ERROR)
        assert "503" not in said
        assert await line.ask("Hi") == "You said: Hi"


async def test_a_model_that_does_not_exist_is_a_sentence(server: Served) -> None:
    async with phone(server, parameters={"model": "nothing"}) as line:
        assert await line.ask("Hi") == ERROR
    async with phone(server, parameters={"agent": "nobody"}) as line:
        assert await line.ask("Hi") == ERROR


async def test_languages(tmp_path: Path) -> None:
    said = {"error": {"en": "Oh no.", "de": "Oh nein."}, "languages": {"de-DE": {"voice": "Berta"}}}
    async with line_of(tmp_path, **said) as line:
        for spoken, token, language in (("de", "Oh nein.", "de-DE"), ("en-US", "Oh no.", None), ("fr", "Oh no.", None)):
            await line.send("prompt", voicePrompt="/fail 400", lang=spoken, last=True)
            frame, _ = await line.frames()
            assert (frame["token"], frame.get("lang")) == (token, language)


async def test_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.calls.speech.SECONDS_PER_WORD", 0.001)
    reminder = {"after": 0.15, "say": "Hello?", "times": 2, "hang_up": True}
    async with line_of(tmp_path, reminder=reminder, goodbye="Bye then.") as line:
        assert await line.ask("Hi") == "You said: Hi"
        assert await line.heard() == "Hello?"
        await line.interrupt("")
        assert await line.heard() == "Hello?"
        assert await line.ask("Yes") == "You said: Yes"
        assert [await line.heard() for _ in range(3)] == ["Hello?", "Hello?", "Bye then."]
        assert (await line.frames(until="end"))[-1]["type"] == "end"


async def test_a_reminder_is_not_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.calls.speech.SECONDS_PER_WORD", 0.001)
    async with serving(tmp_path, fake(), agent={"phone": {"reminder": {"after": 0.1, "say": "Hello?"}}}) as served:
        async with phone(served) as line, client_of(served, CALLER) as client:
            await line.ask("Hi")
            assert await line.heard() == "Hello?"
            await line.interrupt("")
            assert await line.ask("Yes") == "You said: Yes"
            said = [text for _, text in await client.transcript(CALL)]
            assert said == ["Hi", "You said: Hi", "Yes", "You said: Yes"]


async def test_a_call_has_a_maximum_length(tmp_path: Path) -> None:
    async with line_of(tmp_path, max_call_length=0.2, goodbye="Time is up.") as line:
        await line.say("/say Well,\n/wait 5s\n/say no.")
        frames = await line.frames(until="end")
        assert "".join(each.get("token", "") for each in frames).split() == ["Well,", "Time", "is", "up."]


async def test_a_connection_that_comes_back_goes_on(tmp_path: Path) -> None:
    agent = {"phone": {"greeting": "Welcome."}}
    async with serving(tmp_path, fake(), agent=agent) as served, client_of(served, CALLER) as client:
        async with phone(served) as line:
            assert await line.heard() == "Welcome."
            assert await line.ask("One") == "You said: One"
        async with phone(served) as line:
            assert await line.ask("Two") == "You said: Two"
            said = [text for _, text in await client.transcript(CALL)]
            assert said == ["One", "You said: One", "Two", "You said: Two"]


async def test_the_newer_of_two_connections_wins(server: Served) -> None:
    async with phone(server) as older:
        assert await older.ask("One") == "You said: One"
        await older.say("/say Two\n/wait 5s\n/say Three")
        await older.frame()
        async with phone(server) as newer, phone(server, call="CA2") as other, client_of(server) as client:
            assert await closed(older) == 4000
            assert (await client.http.get("/health")).json()["phone_calls"] == 2
            assert await newer.ask("Four") == "You said: Four"
            assert await other.ask("Five") == "You said: Five"


async def test_who_answers_depends_on_the_number(tmp_path: Path) -> None:
    agent = {"phone": {"model": "one", "numbers": {"+1 888 555-0101": {"model": "two"}}}}
    async with FakeProvider() as provider:
        models = [direct(name, provider.base_url, f"fake-ok:{name}") for name in ("one", "two")]
        async with serving(tmp_path, *models, agent=agent) as served:
            for call, to in (("CA1", "+18885550100"), ("CA2", "+18885550101")):
                async with phone(served, call=call, to=to) as line:
                    await line.ask("Hi")
        assert [each.model for each in provider.log] == ["fake-ok:one", "fake-ok:two"]


async def test_hidden_numbers_are_different_users(server: Served) -> None:
    for call in ("CA1", "CA2"):
        async with phone(server, call=call, caller="anonymous") as line:
            await line.ask("Hi")
    async with client_of(server, "anonymous CA1") as client:
        assert (await client.get("sessionids/anonymous CA1"))["session_ids"] == ["CA1"]


async def test_a_turn_is_finished_before_the_server_stops(tmp_path: Path) -> None:
    async def listen(served: Served, begun: asyncio.Event) -> tuple[str, int | None]:
        async with phone(served) as line:
            await line.say("/say One.\n/wait 300ms\n/say Two.")
            first = (await line.frame())["token"]
            begun.set()
            return first + await line.heard(), await closed(line)

    begun = asyncio.Event()
    async with serving(tmp_path, fake()) as served:
        listening = asyncio.create_task(listen(served, begun))
        await begun.wait()
    said, code = await listening
    assert (said, code) == ("One.Two.", 1012)


async def test_a_filler_is_spoken_and_not_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = asyncio.Event()

    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Book a room."""
        await sign.wait()
        return "Booked."

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
    agent = {
        "tools": ["book_hotel"],
        "filler": {"after": 0.02, "en": ["One moment."], "de": ["Moment."]},
        "phone": {"languages": {"de": {}}},
    }
    async with serving(tmp_path, fake(), agent=agent) as served, client_of(served, CALLER) as client:
        async with phone(served) as line:
            await line.send("prompt", voicePrompt=BOOK, lang="de-DE", last=True)
            said = ""
            while "Moment" not in said:
                said += (await line.frame())["token"]
            assert said.strip() == "Let me book that. Moment."
            sign.set()
            assert await line.heard() == "It is booked."
            await line.interrupt("Let me book that. Mom")
            await line.ask("Hi")
            words = [text for role, text in await client.transcript(CALL) if role == "assistant"]
            assert words == ["Let me book that.", "You said: Hi"]


async def test_the_agent_acts_on_the_line(tmp_path: Path) -> None:
    tools = {"tools": ["sendDigits", "playSound", "switchLanguage"], "review": []}
    said = {"sounds": {"bell": "https://example.com/bell.mp3"}, "languages": {"de-DE": {}}}
    calls = [
        ('sendDigits {"digits": "1w#"}', {"type": "sendDigits", "digits": "1w#"}),
        ('sendDigits {"digits": "rm -rf"}', None),
        ('playSound {"sound": "bell"}', {"type": "play", "source": "https://example.com/bell.mp3"}),
        ('playSound {"sound": "https://example.com/other.mp3"}', None),
        (
            'switchLanguage {"language": "de"}',
            {"type": "language", "ttsLanguage": "de-DE", "transcriptionLanguage": "de-DE"},
        ),
        ('switchLanguage {"language": "fr"}', None),
    ]
    async with line_of(tmp_path, agent=tools, **said) as line:
        for call, frame in calls:
            await line.say(f"/call {call}\n/then\n/say Well.")
            frames = await line.frames()
            assert [each for each in frames if each["type"] != "text"] == ([frame] if frame else []), call


async def test_words_that_are_not_finished_put_a_reminder_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.calls.speech.SECONDS_PER_WORD", 0.001)
    async with line_of(tmp_path, reminder={"after": 0.4, "say": "Hello?"}) as line:
        await line.ask("Hi")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await line.frame(within=0.2)
            await line.send("prompt", voicePrompt="I am", lang="en-US", last=False)
        assert await line.heard() == "Hello?"
