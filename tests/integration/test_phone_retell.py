"""`wss://HOST/phone/retell/...`, as Retell uses it: https://docs.retellai.com/api-references/llm-websocket"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from langchain_core.tools import tool
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.tools.tool_set import SERVER_TOOLS
from api.phone.retell import routes
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import Json, SessionClient, client_of
from tests.support.session_rig import eventually

SECRET = "retell-hunter2-0123456789"
"""A test fails whose log lines have a part of it, see `tests.support.log_watch`."""
ANN, LINE = "+12137771234", "+12137771235"
PACED, LONG, BROKEN = "+12137770001", "+12137770002", "+12137770003"
GREETING = "Hello! How can I help you?"
AGENT = {
    "tools": ["transferCall", "multiply", "book_hotel"],
    "review": ["book_hotel"],
    "filler": {"after": 0.02, "en": "Let me see."},
    "phone": {
        "greeting": GREETING,
        "model": "fake",
        "error": "Something broke.",
        "review": "I am asking a colleague.",
        "reminder": {"say": "Are you there?"},
        "numbers": {
            PACED: {"model": "paced", "greeting": "The paced line."},
            LONG: {"model": "long"},
            BROKEN: {"model": "broken"},
        },
    },
}
SECOND = 1.0
"""What the wire contract allows; everything here takes a few milliseconds."""


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first numbers that were multiplied, once for each time that the tool ran."""
    multiplied: list[int] = []

    @tool
    async def multiply(a: int, b: int) -> str:
        """Multiply two numbers. For zero that takes long."""
        multiplied.append(a)
        await asyncio.sleep(0 if a else 0.1)
        return str(a * b)

    monkeypatch.setitem(SERVER_TOOLS, "multiply", multiply)
    return multiplied


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider, multiplied: list[int]) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("paced", provider.base_url, "fake-ok?gap=5ms&tokens=12"),
        direct("long", provider.base_url, "fake-ok?gap=20ms&tokens=600"),
        direct("broken", provider.base_url, "fake-503"),
    ]
    router = {"num_retries": 0, "first_token_timeout": 20}
    async with serving(tmp_path, *models, router=router, agent=AGENT, retell_secret=SECRET) as served:
        yield served


@pytest.fixture
async def ann(server: Served) -> AsyncIterator[SessionClient]:
    async with client_of(server, ANN) as client:
        yield client


class Retell:
    """Retell's side of one connection. `transcript` is what both sides said, as Retell heard it."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.transcript: list[Json] = []
        self.asked = 0

    async def send(self, kind: str, **fields: Any) -> None:
        await self.websocket.send(orjson.dumps({"interaction_type": kind, **fields}).decode())

    async def receive(self) -> Json:
        async with asyncio.timeout(5):
            text = await self.websocket.recv()
        assert isinstance(text, str), "Retell closes connections with binary frames"
        return dict(orjson.loads(text))

    def hears(self, role: str, content: str) -> None:
        self.transcript.append({"role": role, "content": content, "words": []})

    async def ask(self, kind: str = "response_required") -> int:
        self.asked += 1
        await self.send(kind, response_id=self.asked, transcript=self.transcript)
        return self.asked

    async def response(self, response_id: int, kind: str = "response") -> list[Json]:
        """The frames of one response to its end. Frames about tools may be among them."""
        frames: list[Json] = []
        while not frames or not frames[-1].get("content_complete"):
            frames.append(await self.receive())
            if "content" in frames[-1] and frames[-1]["response_type"] in ("response", "agent_interrupt"):
                assert frames[-1]["response_type"] == kind
                assert frames[-1]["response_id" if kind == "response" else "interrupt_id"] == response_id
        return frames

    async def talk(self, said: str) -> str:
        """The user says something, and the agent's answer is spoken to its end."""
        self.hears("user", said)
        answer = spoken(await self.response(await self.ask()))
        self.hears("agent", answer)
        return answer

    async def is_silent(self) -> None:
        """Nothing was sent before the answer to a ping."""
        await self.send("ping_pong", timestamp=7)
        assert await self.receive() == {"response_type": "ping_pong", "timestamp": 7}


def spoken(frames: list[Json]) -> str:
    said = [each["content"] for each in frames if each["response_type"] in ("response", "agent_interrupt")]
    return "".join(said).strip()


def address(server: Served, call: str = "call-1", secret: str | None = SECRET) -> str:
    return "/".join(filter(None, (server.url.replace("http", "ws", 1), "phone/retell", secret, call)))


@asynccontextmanager
async def calling(
    server: Served, number: str = LINE, call: str = "call-1", greeting: str | None = GREETING, **details: Any
) -> AsyncIterator[Retell]:
    """A call from Ann that has been greeted."""
    async with connect(address(server, call), proxy=None) as websocket:
        retell = Retell(websocket)
        assert (await retell.receive())["response_type"] == "config"
        numbers = {"call_type": "phone_call", "direction": "inbound", "from_number": ANN, "to_number": number}
        await retell.send("call_details", call={"call_id": call, "call_status": "registered", **numbers, **details})
        begin = await retell.response(0)
        assert spoken(begin) == (greeting or "")
        if greeting:
            retell.hears("agent", greeting)
        yield retell


async def becomes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECOND):
        while not condition():
            await asyncio.sleep(0.001)


# The call


async def test_the_first_frame_asks_for_the_calls_details_and_for_pings(server: Served) -> None:
    async with connect(address(server), proxy=None) as websocket:
        retell = Retell(websocket)
        assert await retell.receive() == {
            "response_type": "config",
            "config": {"auto_reconnect": True, "call_details": True, "transcript_with_tool_calls": False},
        }
        await retell.is_silent()  # the greeting waits for the number that was called
        await retell.send("call_details", call={"from_number": ANN, "to_number": PACED})
        assert spoken(await retell.response(0)) == "The paced line."


async def test_a_call_is_a_session_that_hears_only_new_words(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        assert await retell.talk("Good morning.") == "You said: Good morning."
        assert await retell.talk("Is it late?") == "You said: Is it late?"
    assert await ann.transcript("call-1") == [
        ("user", "Good morning."),
        ("assistant", "You said: Good morning."),
        ("user", "Is it late?"),
        ("assistant", "You said: Is it late?"),
    ]


async def test_the_answer_comes_in_pieces_of_whole_words(server: Served) -> None:
    async with calling(server, PACED, greeting="The paced line.") as retell:
        retell.hears("user", "Hello.")
        frames = await retell.response(await retell.ask())
        assert len(frames) > 6
        assert spoken(frames) == " ".join(ANSWER.split()[:12])
        assert [each["content_complete"] for each in frames] == [False] * (len(frames) - 1) + [True]
        assert all(each["content"].startswith(" ") for each in frames[1:-1])


async def test_an_outbound_call_is_the_session_of_the_person_who_was_called(server: Served, ann: SessionClient) -> None:
    numbers = {"direction": "outbound", "from_number": PACED, "to_number": ANN}
    async with calling(server, greeting="The paced line.", **numbers) as retell:
        await retell.talk("Hello?")
    assert len(await ann.transcript("call-1")) == 2


async def test_a_web_call_has_no_number_and_is_its_own_user(server: Served) -> None:
    async with calling(server, from_number=None, to_number=None, direction=None) as retell:
        await retell.talk("Hello?")
    async with client_of(server, "anonymous call-1") as web:
        assert len(await web.transcript("call-1")) == 2


# Who goes on speaking


async def test_a_newer_response_id_ends_the_older_one_down_to_the_provider(
    server: Served, provider: FakeProvider, ann: SessionClient
) -> None:
    async with calling(server, LONG) as retell:
        retell.hears("user", "My name is Mike")
        first = await retell.ask()
        for _ in range(3):
            assert (await retell.receive())["response_id"] == first
        retell.transcript[-1]["content"] = "My name is Mike Trump"
        second = await retell.ask()
        while (frame := await retell.receive())["response_id"] == first:
            pass
        for _ in range(3):
            assert frame["response_id"] == second
            frame = await retell.receive()
        await becomes_true(lambda: provider.log[0].ended_by == "caller")
        assert [each["content"] for each in provider.log[1].body["messages"] if each["role"] != "system"] == [
            "My name is Mike Trump"
        ]
    await becomes_true(lambda: provider.log[1].ended_by == "caller")
    assert [text for role, text in await ann.transcript("call-1") if role == "user"] == ["My name is Mike Trump"]


async def test_an_answer_that_was_never_spoken_goes_with_its_question(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        retell.hears("user", "I want")
        await retell.response(await retell.ask())
        retell.transcript[-1]["content"] = "I want a room."
        assert spoken(await retell.response(await retell.ask())) == "You said: I want a room."
    assert await ann.transcript("call-1") == [("user", "I want a room."), ("assistant", "You said: I want a room.")]


async def test_a_tool_that_ran_is_not_forgotten(server: Served, ann: SessionClient, multiplied: list[int]) -> None:
    asks = '/call multiply {"a": 6, "b": 7}\n/then\n/say Forty-two.'
    async with calling(server) as retell:
        retell.hears("user", asks)
        await retell.response(await retell.ask())
        retell.transcript[-1]["content"] = f"{asks} And then?"
        assert spoken(await retell.response(await retell.ask())) == "You said: And then?"
    assert multiplied == [6]
    said = [text for role, text in await ann.transcript("call-1") if role == "user"]
    assert said == [asks, "And then?"]


async def test_only_what_was_heard_is_kept_of_an_answer(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        retell.hears("user", "/say It costs one hundred dollars in the winter.")
        await retell.response(await retell.ask())
        retell.hears("agent", "It costs one hundred")
        assert await retell.talk("Stop.") == "You said: Stop."
    assert [text for _, text in await ann.transcript("call-1")][1:3] == ["It costs one hundred", "Stop."]


async def test_a_caller_who_interrupts_and_hangs_up_has_not_heard_the_rest(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        retell.hears("user", "/say It costs one hundred dollars in the winter.")
        await retell.response(await retell.ask())
        retell.hears("agent", "It costs one hundred")
        await retell.send("update_only", transcript=retell.transcript, turntaking="user_turn")
    await eventually(lambda: _second_text(ann, "It costs one hundred"))


async def _second_text(client: SessionClient, text: str) -> bool:
    return (await client.transcript("call-1"))[1][1] == text


async def test_a_request_without_new_words_takes_the_rest_of_the_answer_over(server: Served) -> None:
    async with calling(server, PACED, greeting="The paced line.") as retell:
        retell.hears("user", "Hello.")
        await retell.ask()
        first = await retell.receive()
        retell.hears("agent", first["content"])
        second = await retell.ask()
        rest = [first]
        while not rest[-1]["content_complete"]:
            rest.append(await retell.receive())
        assert spoken(rest) == " ".join(ANSWER.split()[:12])
        assert rest[-1]["response_id"] == second
        assert spoken(await retell.response(await retell.ask())) == ""


async def test_an_update_ends_no_response(server: Served) -> None:
    async with calling(server, PACED, greeting="The paced line.") as retell:
        retell.hears("user", "Hello.")
        asked = await retell.ask()
        first = await retell.receive()
        retell.hears("agent", first["content"])
        retell.hears("user", "Mhm")
        await retell.send("update_only", transcript=retell.transcript, turntaking="user_turn")
        rest = await retell.response(asked)
        assert spoken([first, *rest]) == " ".join(ANSWER.split()[:12])


async def test_a_caller_who_hangs_up_ends_the_turn_down_to_the_provider(
    server: Served, provider: FakeProvider, ann: SessionClient
) -> None:
    async with calling(server, LONG) as retell:
        retell.hears("user", "Hello.")
        asked = await retell.ask()
        assert (await retell.receive())["response_id"] == asked
    await becomes_true(lambda: provider.log[0].ended_by == "caller")


# What the agent does


async def test_retell_notes_the_calls_of_tools(server: Served) -> None:
    async with calling(server) as retell:
        retell.hears("user", '/call multiply {"a": 6, "b": 7}\n/then\n/say Forty-two.')
        frames = await retell.response(await retell.ask())
    called, result = (each for each in frames if each["response_type"].startswith("tool_call"))
    assert called == {
        "response_type": "tool_call_invocation",
        "tool_call_id": called["tool_call_id"],
        "name": "multiply",
        "arguments": '{"a":6,"b":7}',
    }
    assert result["tool_call_id"] == called["tool_call_id"]
    assert (result["response_type"], result["content"]) == ("tool_call_result", "42")
    assert spoken(frames) == "Forty-two."


async def test_a_tool_that_takes_long_is_announced_in_the_same_response(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        assert await retell.talk('/call multiply {"a": 0, "b": 7}\n/then\n/say Nothing.') == "Let me see. Nothing."
    assert (await ann.transcript("call-1"))[-1] == ("assistant", "Nothing.")


async def test_a_transfer_is_the_end_of_the_response(server: Served) -> None:
    async with calling(server) as retell:
        retell.hears("user", "I want to talk to a human.")
        frames = await retell.response(await retell.ask())
        assert spoken(frames) == "Connecting you now."
        assert frames[-1]["transfer_number"] == "+1234567890"
        assert [each for each in frames[:-1] if "transfer_number" in each] == []
        await retell.is_silent()


async def test_the_agent_hangs_up_and_goes_on_when_the_caller_interrupts_its_goodbye(tmp_path: Path) -> None:
    agent = {"tools": ["endCall"], "phone": {"greeting": GREETING}}
    async with serving(tmp_path, fake(), agent=agent, retell_secret=SECRET) as server, calling(server) as retell:
        retell.hears("user", "Bye.")
        frames = await retell.response(await retell.ask())
        assert (spoken(frames), frames[-1]["end_call"]) == ("Goodbye.", True)
        retell.hears("agent", "Good")
        assert await retell.talk("Wait!") == "You said: Wait!"


async def test_a_reminder_is_spoken_as_a_response_and_not_stored(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        await retell.talk("Hello.")
        assert spoken(await retell.response(await retell.ask("reminder_required"))) == "Are you there?"
        retell.hears("agent", "Are you there?")
        assert await retell.talk("Yes.") == "You said: Yes."
    assert [text for _, text in await ann.transcript("call-1")] == [
        "Hello.",
        "You said: Hello.",
        "Yes.",
        "You said: Yes.",
    ]


async def test_the_outcome_of_a_review_is_spoken_unasked(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        retell.hears("user", '/call book_hotel {"hotel_name": "Ritz"}\n/then\n/say The Ritz is booked.')
        assert spoken(await retell.response(await retell.ask())) == "I am asking a colleague."
        assert (await ann.status("call-1"))["status"] == "interrupted"
        await ann.resume("call-1", response_type="accept")
        frames = await retell.response(1, "agent_interrupt")
        assert spoken(frames) == "The Ritz is booked."


async def test_who_waits_for_a_decision_is_reminded_of_it(server: Served) -> None:
    async with calling(server) as retell:
        await retell.talk('/call book_hotel {"hotel_name": "Ritz"}')
        assert spoken(await retell.response(await retell.ask("reminder_required"))) == "I am asking a colleague."


async def test_a_call_that_is_too_long_ends_with_a_goodbye(tmp_path: Path) -> None:
    agent = {"phone": {"max_call_length": 0.2, "goodbye": "That is all."}}
    async with (
        serving(tmp_path, fake(), agent=agent, retell_secret=SECRET) as server,
        calling(server, greeting=None) as retell,
    ):
        frames = await retell.response(1, "agent_interrupt")
        assert (spoken(frames), frames[-1]["end_call"]) == ("That is all.", True)
        assert await retell.talk("Wait!") == "You said: Wait!"


async def test_a_failed_turn_ends_its_response_with_a_sentence(server: Served) -> None:
    async with calling(server, BROKEN) as retell:
        retell.hears("user", "Hello.")
        assert spoken(await retell.response(await retell.ask())) == "Something broke."


# The connection


async def test_a_call_that_connects_again_goes_on_without_a_second_greeting(server: Served, ann: SessionClient) -> None:
    async with calling(server) as retell:
        await retell.talk("Yes.")
        transcript = retell.transcript
        retell.websocket.transport.abort()
    async with calling(server, greeting=None) as again:
        again.transcript, again.asked = transcript, 1
        assert await again.talk("Yes.") == "You said: Yes."  # the same word is another message after an answer
    assert len(await ann.transcript("call-1")) == 4


async def test_an_answer_that_a_lost_connection_cut_is_given_again_once(
    server: Served, ann: SessionClient, provider: FakeProvider
) -> None:
    async with calling(server, LONG) as retell:
        retell.hears("user", "Hello.")
        asked = await retell.ask()
        await retell.receive()
        transcript = retell.transcript
        retell.websocket.transport.abort()
    await becomes_true(lambda: provider.log[0].ended_by == "caller")
    async with calling(server, LONG, greeting=None) as again:
        await again.send("response_required", response_id=asked, transcript=transcript)
        assert (await again.receive())["response_id"] == asked
        assert [text for role, text in await ann.transcript("call-1") if role == "user"] == ["Hello."]


async def test_without_details_the_call_begins_all_the_same(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "TIME_FOR_DETAILS", 0.05)
    async with connect(address(server), proxy=None) as websocket:
        retell = Retell(websocket)
        await retell.receive()
        assert spoken(await retell.response(0)) == GREETING
    monkeypatch.setattr(routes, "TIME_FOR_DETAILS", 60)
    async with connect(address(server, "call-2"), proxy=None) as websocket:
        retell = Retell(websocket)
        await retell.receive()
        assert await retell.talk("Hello?") == "You said: Hello?"


async def test_a_server_that_stops_lets_the_answer_end(tmp_path: Path, provider: FakeProvider) -> None:
    async def listen(served: Served, begun: asyncio.Event) -> tuple[str, int]:
        async with calling(served, greeting=None) as retell:
            retell.hears("user", "Hello.")
            asked = await retell.ask()
            first = await retell.receive()
            begun.set()
            answer = spoken([first, *await retell.response(asked)])
            with pytest.raises(ConnectionClosed) as closed:
                await retell.receive()
            assert closed.value.rcvd is not None
            return answer, closed.value.rcvd.code

    begun = asyncio.Event()
    paced = direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=20")
    async with serving(tmp_path, paced, retell_secret=SECRET) as served:
        listening = asyncio.create_task(listen(served, begun))
        await begun.wait()
    assert await listening == (" ".join(ANSWER.split()[:20]), 1012)


async def test_the_newer_of_two_connections_of_a_call_wins(server: Served) -> None:
    async with calling(server) as older, calling(server, greeting=None) as newer:
        with pytest.raises(ConnectionClosed) as closed:
            await older.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code != 1000  # to Retell, 1000 is a hang-up
        assert await newer.talk("Hello?") == "You said: Hello?"


async def test_frames_that_are_not_understood_are_ignored_with_one_line(server: Served) -> None:
    async with calling(server) as retell:
        with capture_logs() as lines:
            for frame in ("{", "[]", '{"interaction_type": "news"}', '{"interaction_type": "ping_pong"}', "", "\x00"):
                await retell.websocket.send(frame)
            await retell.websocket.send(b"\xff\xfe")
            assert await retell.talk("Hello?") == "You said: Hello?"
        assert len([each for each in lines if each["event"] == "phone_frame_ignored"]) == 1
        await retell.send("response_required", response_id=retell.asked, transcript=retell.transcript)
        await retell.is_silent()  # an id that is not newer asks for nothing


# Who may connect


async def refused(server: Served, url: str, **headers: str) -> tuple[int, Json]:
    with pytest.raises(InvalidStatus) as denied:
        async with connect(url, additional_headers=headers, proxy=None):
            pass
    response = denied.value.response
    return response.status_code, orjson.loads(response.body or b"{}")["error"]


async def test_a_wrong_secret_is_refused_before_the_upgrade(server: Served) -> None:
    for secret in ("another-secret-0123456789", f"{SECRET}x", None):
        status, error = await refused(server, address(server, secret=secret))
        assert status == 403
        assert SECRET not in str(error)


async def test_without_a_secret_the_line_is_off(tmp_path: Path) -> None:
    async with serving(tmp_path, fake()) as server:
        for secret in (SECRET, None):
            status, error = await refused(server, address(server, secret=secret))
            assert status == 404
            assert "SWITCHBOARD_RETELL_SECRET" in error["message"]
        async with connect(address(server, secret=None), additional_headers=server.headers, proxy=None) as websocket:
            assert (await Retell(websocket).receive())["response_type"] == "config"


async def test_a_call_needs_a_valid_id(server: Served) -> None:
    status, error = await refused(server, address(server, call="%20"))
    assert (status, error["param"]) == (422, "call_id")


async def test_a_token_of_the_server_lets_a_simulated_phone_in(server: Served) -> None:
    url = address(server, secret=None)
    async with connect(url, additional_headers=server.headers, proxy=None) as websocket:
        assert (await Retell(websocket).receive())["response_type"] == "config"
    status, _ = await refused(server, url, Authorization="Bearer wrong")
    assert status == 401
