"""`wss://HOST/phone/relay`, as Twilio, Telnyx and a careless client use it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.phone.relay.wire import MAX_SAID
from config.log_content import allow_content
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.integration.test_callers import entry, token_of, write
from tests.support.phone import CALL, CALLER, Phone, phone, socket_of
from tests.support.serving import TOKEN, Served, direct, fake, serving
from tests.support.session_client import client_of

TRANSFER = "+1234567890"


@pytest.fixture
async def server(tmp_path: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("direct", provider.base_url, "fake-ok"),
        direct("paced", provider.base_url, "fake-ok?gap=20ms&tokens=60"),
        direct("broken", provider.base_url, "fake-503"),
    ]
    async with serving(tmp_path, *models, router={"num_retries": 0}) as served:
        yield served


async def test_a_call_is_a_session(server: Served) -> None:
    async with phone(server) as line, client_of(server, CALLER) as client:
        assert await line.ask("Hi there") == "You said: Hi there"
        assert await line.ask("And again") == "You said: And again"
        assert await client.transcript(CALL) == [
            ("user", "Hi there"),
            ("assistant", "You said: Hi there"),
            ("user", "And again"),
            ("assistant", "You said: And again"),
        ]


async def test_tokens_go_out_as_they_come_cut_at_word_ends(server: Served) -> None:
    async with phone(server, parameters={"model": "paced"}) as line:
        await line.say("Hi")
        frames = await line.frames()
        assert len(frames) > 20
        assert frames[-1] == {"type": "text", "token": "", "last": True}
        assert all(each.keys() == {"type", "token", "last"} for each in frames)
        text = "".join(each["token"] for each in frames)
        assert text.strip() == ANSWER
        at = 0
        for each in frames[:-1]:
            at += len(each["token"])
            assert text[at : at + 1] in ("", " "), each


async def test_a_token_in_a_subprotocol(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    token = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    offered = ["switchboard", f"switchboard.token.{token}"]
    async with phone(server, subprotocols=offered, additional_headers={}) as line:
        assert line.websocket.subprotocol == "switchboard"
        assert await line.ask("Hi") == "You said: Hi"
    for wrong in ("switchboard.token.d3Jvbmc", "switchboard.token.%"):
        with pytest.raises(InvalidStatus) as caught:
            async with socket_of(server, additional_headers={}, subprotocols=["switchboard", wrong]):
                pass
        assert caught.value.response.status_code == 401
        assert orjson.loads(caught.value.response.body or b"")["error"]["code"] == "invalid_api_key"
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


async def test_bad_frames_are_ignored_with_one_log_line(server: Served) -> None:
    bad = ["", "no json", "[]", "7", b"\xff\xfe", '{"type": "dance"}', '{"type": 7}', "{}", '{"type": "\\ud800"}']
    with capture_logs() as logged:
        async with phone(server) as line:
            for each in bad:
                await line.websocket.send(each)
            for each in ({"voicePrompt": 7}, {"voicePrompt": ["a"], "last": "x"}, {}):
                await line.send("prompt", **each)
            await line.send("interrupt", utteranceUntilInterrupt={}, durationUntilInterruptMs="x")
            await line.send("dtmf", digit=["1"])
            await line.send("setup", callSid="CA9")
            assert await line.ask("Hi") == "You said: Hi"
    ignored = [each for each in logged if each["event"] == "phone_frame_ignored"]
    assert len(ignored) == 1
    assert not [each for each in logged if each["log_level"] == "error"]


@pytest.mark.parametrize(("allowed", "logged"), [(True, "Invalid voice"), (False, None)])
async def test_an_error_of_the_carrier_is_logged(server: Served, allowed: bool, logged: str | None) -> None:
    allow_content(allowed)
    try:
        with capture_logs() as lines:
            async with phone(server) as line:
                await line.send("error", description="Invalid voice")
                assert await line.ask("Hi") == "You said: Hi"
    finally:
        allow_content(False)
    assert [each["description"] for each in lines if each["event"] == "phone_line_error"] == [logged]


async def test_frames_before_the_setup_are_ignored(server: Served) -> None:
    async with socket_of(server) as websocket:
        line = Phone(websocket)
        await line.say("Too early")
        await line.send("setup", callSid="CA1", **{"from": CALLER, "to": "+1"})
        assert await line.ask("Hi") == "You said: Hi"


@pytest.mark.parametrize("call", ["", "a/b", "x" * 300, "\n"])
async def test_a_call_needs_an_id(server: Served, call: str) -> None:
    async with socket_of(server) as websocket:
        await Phone(websocket).send("setup", callSid=call, **{"from": CALLER, "to": "+1"})
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, "callSid" in caught.value.rcvd.reason) == (1008, True)


async def test_ten_megabytes_of_frames(tmp_path: Path) -> None:
    async with serving(tmp_path, fake(), max_body_bytes=200_000) as served:
        async with phone(served) as line:
            for _ in range(100):
                await line.send("dance", steps="x" * 100_000)
            assert await line.ask("Hi") == "You said: Hi"
        async with phone(served, call="CA2") as line:
            await line.send("dance", steps="x" * 200_000)
            with pytest.raises(ConnectionClosed) as caught:
                await line.frame()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009


async def test_ten_megabytes_of_words(server: Served) -> None:
    async with phone(server) as line:
        for _ in range(100):
            await line.send("prompt", voicePrompt="x" * 100_000, last=False)
        for _ in range(20):
            await line.interrupt("so " * 30_000)
        assert await line.ask("Hi") == "You said: Hi"


async def test_each_turn_counts_against_the_limits_of_its_caller(tmp_path: Path) -> None:
    file = write(tmp_path, entry("a", requests_per_minute=1, users="own"))
    async with serving(tmp_path, fake(), callers_file=file) as served:
        headers = {"Authorization": f"Bearer {token_of('a')}"}
        async with phone(served, additional_headers=headers) as line, client_of(served, f"a:{CALLER}") as client:
            assert await line.ask("Hi") == "You said: Hi"
            assert await line.ask("Hi") == "Sorry, something went wrong. Could you say that again?"
            assert [text for _, text in await client.transcript(CALL)] == ["Hi", "You said: Hi"]


async def test_nobody_says_more_than_a_question(server: Served) -> None:
    async with phone(server, caller="x" * 300) as line:
        assert len(await line.ask("a" * 50_000)) == len("You said: ") + MAX_SAID
