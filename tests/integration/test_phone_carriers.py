"""Carriers: who may open a line, what TwiML a call gets, and what follows the relay."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, fromstring

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]
from websockets.exceptions import InvalidStatus

from tests.integration.test_callers import entry, write
from tests.support.phone import CALL, CALLER, phone, socket_of
from tests.support.serving import Served, fake, serving
from tests.support.session_client import assert_error, client_of

PUBLIC = "https://phone.example.com"
AUTH_TOKEN = "twilio-secret"
KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
CALLED = {"CallSid": CALL, "From": CALLER, "To": "+18885550100", "Direction": "inbound", "CallStatus": "ringing"}
AGENT: dict[str, Any] = {
    "tools": ["transferCall", "endCall"],
    "transfer_destinations": ["+15550123", {"number": "sip:desk@example.com", "name": "Desk"}],
    "phone": {
        "greeting": {"en": "Hello & welcome", "de": "Guten Tag"},
        "voice": "Anna",
        "tts_provider": "ElevenLabs",
        "hints": ["Ritz", "Savoy"],
        "languages": {"de-DE": {"voice": "Berta", "transcription_provider": "Google"}},
        "numbers": {"+18885550199": {"language": "de-DE", "voice": "Berta"}},
    },
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    secrets = {"twilio_auth_token": SecretStr(AUTH_TOKEN), "telnyx_public_key": PUBLIC_KEY, "public_url": PUBLIC}
    async with serving(tmp_path, fake(), agent=AGENT, **secrets) as served:
        yield served


def by_twilio(path: str, fields: Mapping[str, str] | None = None, base: str = PUBLIC) -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(f"{base}{path}", fields or {})}


def by_telnyx(body: str = "", timestamp: float | None = None) -> dict[str, str]:
    at = str(int(time.time() if timestamp is None else timestamp))
    signature = base64.b64encode(KEY.sign(f"{at}|{body}".encode())).decode()
    return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": at}


async def post(server: Served, path: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> httpx.Response:
    sent = {"content-type": "application/x-www-form-urlencoded", **headers}
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.post(path, content=urlencode(fields), headers=sent)


async def asked(server: Served, path: str = "/phone/incoming", **fields: str) -> Element:
    """The TwiML that Twilio gets."""
    form = {**CALLED, **fields}
    response = await post(server, path, form, by_twilio(path, form))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/xml")
    return fromstring(response.content)


async def test_a_call_begins_with_a_relay(server: Served) -> None:
    expected = VoiceResponse()
    connect = Connect(action=f"{PUBLIC}/phone/relay/action")
    connect.conversation_relay(
        url="wss://phone.example.com/phone/relay",
        welcome_greeting="Hello & welcome",
        welcome_greeting_interruptible="any",
        language="en-US",
        voice="Anna",
        tts_provider="ElevenLabs",
        hints="Ritz,Savoy",
        interruptible="any",
        dtmf_detection=True,
        application_reconnect=True,
    ).language(code="de-DE", voice="Berta", transcription_provider="Google")
    expected.append(connect)
    (relay,) = fromstring(str(expected)).iter("ConversationRelay")
    answered = await asked(server)
    assert [each.tag for each in answered.iter()] == ["Response", "Connect", "ConversationRelay", "Language"]
    assert answered[0].attrib == {"action": f"{PUBLIC}/phone/relay/action"}
    assert answered[0][0].attrib == relay.attrib
    assert answered[0][0][0].attrib == relay[0].attrib


async def test_the_called_number_has_its_own_voice(server: Served) -> None:
    relay = (await asked(server, To="+18885550199"))[0][0]
    assert (relay.get("welcomeGreeting"), relay.get("language"), relay.get("voice")) == ("Guten Tag", "de-DE", "Berta")
    relay = (await asked(server, From="+18885550199", To=CALLER, Direction="outbound-api"))[0][0]
    assert relay.get("voice") == "Berta"


async def test_telnyx_gets_what_it_knows_and_a_ticket(server: Served) -> None:
    response = await post(server, "/phone/incoming", CALLED, by_telnyx(urlencode(CALLED)))
    relay = fromstring(response.content)[0][0]
    known = {"url", "welcomeGreeting", "welcomeGreetingInterruptible", "voice", "language", "interruptible"}
    assert set(relay.attrib) == known | {"dtmfDetection"}
    assert [each.attrib for each in relay] == [
        {"code": "en-US", "voice": "Anna", "ttsProvider": "ElevenLabs"},
        {"code": "de-DE", "voice": "Berta", "transcriptionProvider": "Google"},
    ]
    path = relay.attrib["url"].removeprefix("wss://phone.example.com")
    async with phone(server, path=path, additional_headers={}, control_id="v3:1") as line:
        assert await line.ask("Hi") == "You said: Hi"


async def test_the_handshake_of_twilio(server: Served) -> None:
    for base in ("wss://phone.example.com", PUBLIC):
        async with phone(server, additional_headers=by_twilio("/phone/relay", base=base)) as line:
            assert await line.ask("Hi") == "You said: Hi"  # no greeting: Twilio says it
    async with phone(server, additional_headers=by_telnyx()) as line:
        assert await line.ask("Hi") == "You said: Hi"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Twilio-Signature": "wrong"},
        {"X-Twilio-Signature": ""},
        by_twilio("/phone/other"),
        by_twilio("/phone/relay", base="wss://other.example.com"),
        {**by_telnyx(), "telnyx-timestamp": "1"},
        by_telnyx(timestamp=time.time() - 4000),
        by_telnyx(timestamp=time.time() + 4000),
        {**by_telnyx(), "telnyx-signature-ed25519": "%"},
        {**by_telnyx(), "telnyx-timestamp": ""},
        {},
    ],
)
async def test_a_wrong_signature_is_refused_before_the_upgrade(server: Served, headers: dict[str, str]) -> None:
    for path in ("/phone/relay", "/phone/relay/1-2-3"):
        with pytest.raises(InvalidStatus) as caught:
            async with socket_of(server, path, additional_headers=headers):
                pass
        assert caught.value.response.status_code == 403
        assert orjson.loads(caught.value.response.body or b"")["error"]["code"] == "invalid_signature"
    assert_error(await post(server, "/phone/incoming", CALLED, headers), 403, "invalid_signature")


async def test_a_changed_form_is_refused(server: Served) -> None:
    path = "/phone/relay/action"
    signed = {**CALLED, "HandoffData": '{"reason": "transfer", "destination": "+15550123"}'}
    changed = {**signed, "To": "+1"}
    assert_error(await post(server, path, changed, by_twilio(path, signed)), 403, "invalid_signature")
    assert_error(await post(server, path, changed, by_telnyx(urlencode(signed))), 403, "invalid_signature")
    assert_error(await post(server, path, {"a": "x" * 70_000}, by_twilio(path)), 413, "body_too_large")


async def test_without_a_secret_only_tokens_open_a_line(tmp_path: Path) -> None:
    async with serving(tmp_path, fake()) as served:
        for headers, says in (({}, "TWILIO_AUTH"), (by_twilio("/phone/relay"), "TWILIO"), (by_telnyx(), "TELNYX")):
            with pytest.raises(InvalidStatus) as caught:
                async with socket_of(served, additional_headers=headers):
                    pass
            assert caught.value.response.status_code == 404
            error = orjson.loads(caught.value.response.body or b"")["error"]
            assert error["code"] == "phone_line_off"
            assert f"SWITCHBOARD_{says}" in error["message"]
            assert_error(await post(served, "/phone/incoming", CALLED, headers), 404, "phone_line_off")
        response = await post(served, "/phone/incoming", CALLED, served.headers)
        assert served.url.replace("http", "ws", 1) in response.text
        assert_error(await post(served, "/phone/incoming", CALLED, {"x-api-key": "wrong"}), 401, "invalid_api_key")


async def test_a_transfer_is_dialled(server: Served) -> None:
    async with phone(server, parameters={}) as line:
        assert await line.heard() == "Hello & welcome"
        await line.say("Give me a human")
        data = (await line.frames(until="end"))[-1]["handoffData"]
    ended = {"SessionStatus": "ended", "CallStatus": "in-progress"}
    response = await asked(server, "/phone/relay/action", HandoffData=data, **ended)
    assert [(each.tag, each.text) for each in response] == [("Dial", "+15550123")]
    response = await asked(server, "/phone/relay/action", **ended)  # a carrier that does not return the data
    assert [(each.tag, each.text) for each in response] == [("Dial", "+15550123")]
    response = await asked(server, "/phone/relay/action", HandoffData='{"reason":"transfer","destination":"desk"}')
    assert (response[0][0].tag, response[0][0].text) == ("Sip", "sip:desk@example.com")


@pytest.mark.parametrize(
    "data",
    [
        '{"reason": "transfer", "destination": "+19005550100"}',
        '{"reason": "transfer"}',
        '{"reason": "transfer", "destination": ["+15550123"]}',
        '{"reason": "hang_up"}',
        "[1]",
        "no json",
    ],
)
async def test_any_other_end_hangs_up(server: Served, data: str) -> None:
    response = await asked(server, "/phone/relay/action", HandoffData=data, SessionStatus="ended")
    assert [each.tag for each in response] == ["Hangup"]


async def test_a_relay_that_broke_off_begins_again_without_a_greeting(server: Served) -> None:
    broken = {"SessionStatus": "failed", "ErrorCode": "64105", "CallStatus": "in-progress", "SessionDuration": "3"}
    path = "/phone/relay/action"
    for rejoins in range(1, 6):
        (connect,) = await asked(server, path, **broken)
        assert connect[0].tag == "ConversationRelay"
        assert "welcomeGreeting" not in connect[0].attrib
        path = connect.attrib["action"].removeprefix(PUBLIC)
        assert path == f"/phone/relay/action?rejoins={rejoins}"
    assert [each.tag for each in await asked(server, path, **broken)] == ["Say", "Hangup"]
    (connect,) = await asked(server, path, **{**broken, "SessionDuration": "40"})
    assert connect.attrib["action"] == f"{PUBLIC}/phone/relay/action"
    for over in ({"CallStatus": "completed"}, {"HandoffData": '{"reason": "hang_up"}'}):
        assert [each.tag for each in await asked(server, path, **{**broken, **over})] == ["Hangup"]


async def test_carriers_are_limited_by_callers_yaml_if_it_names_them(tmp_path: Path) -> None:
    token, sorry = SecretStr(AUTH_TOKEN), "Sorry, something went wrong. Could you say that again?"
    for number, entries in enumerate(([entry("a")], [entry("twilio", requests_per_minute=1)])):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = write(folder, *entries)
        async with serving(folder, fake(), callers_file=file, twilio_auth_token=token, public_url=PUBLIC) as served:
            async with phone(served, additional_headers=by_twilio("/phone/relay")) as line:
                assert [await line.ask("Hi"), await line.ask("Hi")] == ["You said: Hi", ["You said: Hi", sorry][number]]


async def test_carriers_are_callers_in_the_statistics(server: Served) -> None:
    async with phone(server, additional_headers=by_twilio("/phone/relay", base="wss://phone.example.com")) as line:
        await line.ask("Hi")
    async with client_of(server) as client:
        callers = (await client.http.get("/stats")).json()["callers"]
    assert callers["twilio"]["requests"] == 1
