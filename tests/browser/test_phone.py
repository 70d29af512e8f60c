"""The chat as a phone: what is heard, interruptions, keys, transfers, and a line that breaks."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, WebSocketRoute, expect

from tests.browser.console_page import ConsolePage, opened, text_of
from tests.support.prefix_proxy import prefix_proxy
from tests.support.server_process import ServerProcess

GREETING = "Hello! How can I help you?"
NUMBER = "+1234567890"
FAST, SLOW = "120", "15"


async def test_the_agent_keeps_only_what_was_heard(console: ConsolePage, http: httpx.AsyncClient) -> None:
    page = console.page
    await _call(console, "listener")
    await expect(_heard(console.answers)).to_have_text(GREETING)
    await _pace(console, SLOW)
    await console.say("/tokens 100")
    answer = console.answers.nth(1)
    await expect(answer).to_contain_text(re.compile(r"first word \d+ ms"))
    await expect(_heard(answer)).to_contain_text("Good morning")
    await page.keyboard.press("Escape")
    await expect(answer).to_contain_text("not heard")
    first = await text_of(_heard(answer))
    rest = await text_of(answer.locator("s"))
    assert first.startswith("Good morning") and rest and f"{first} {rest}" != first

    await console.say("/tokens 90")
    answer = console.answers.nth(2)
    await expect(_heard(answer)).to_contain_text("Good morning")
    await _pace(console, FAST)
    await console.say("Never mind")  # in the middle of it
    second = await text_of(_heard(answer))
    await expect(answer).to_contain_text("not heard")
    await expect(_heard(console.answers.nth(3))).to_have_text("You said: Never mind")

    await page.get_by_role("link", name="Open the session").click()
    await expect(console.answers).to_have_text([first, second, "You said: Never mind"])
    await page.get_by_role("link", name="Chat", exact=True).click()
    await page.get_by_role("link", name="Back to the call").click()
    await console.press("Hang up")
    await expect(page.get_by_text("You hung up.")).to_be_visible()
    await expect(page.get_by_text("Call ended")).to_be_visible()
    assert await _said(http, "listener") == [first, second, "You said: Never mind"]


async def test_keys_reach_the_agent_and_it_transfers_and_ends_calls(console: ConsolePage) -> None:
    page = console.page
    await _call(console, "dialler")
    await console.press("Keypad")
    await console.press("7")
    await expect(page.get_by_role("article", name="Keys")).to_have_text("7")
    await expect(_heard(console.answers.last)).to_contain_text("7")
    await console.say("I want to speak with a person.")
    await expect(page.get_by_text(f"Transferred to {NUMBER}")).to_be_visible()
    await expect(_heard(console.answers.last)).to_have_text("Connecting you now.")

    await console.press("Call again")
    await expect(_heard(console.answers)).to_have_text(GREETING)
    await console.say("Goodbye")
    await expect(page.get_by_text("The agent ended the call.")).to_be_visible()
    await expect(_heard(console.answers.last)).to_have_text("Goodbye.")


async def test_a_call_survives_a_server_that_goes_away_and_needs_websockets(
    browser: Browser, server: ServerProcess, http: httpx.AsyncClient
) -> None:
    """Behind a proxy that also puts everything below a path."""
    async with prefix_proxy(server.url) as proxy, opened(browser, proxy.url) as console:
        console.expected = ["WebSocket", "Failed to load resource", "net::ERR"]
        await _call(console, "traveller")
        await console.say("One")
        await expect(_heard(console.answers.last)).to_have_text("You said: One")
        await proxy.stop()
        await expect(console.page.get_by_text("Connecting again...")).to_be_visible()
        await expect(console.page.get_by_text("The server does not answer.")).to_be_visible()
        await console.page.get_by_role("textbox", name="Message", exact=True).fill("Two")
        await expect(console.button("Send")).to_be_disabled()
        await proxy.start()
        await expect(console.page.get_by_text("The connection is back. The call goes on.")).to_be_visible()
        await console.press("Send")
        await expect(_heard(console.answers.last)).to_have_text("You said: Two")
        assert await _said(http, "traveller") == ["You said: One", "You said: Two"]

        await console.press("Hang up")
        proxy.passes_websockets = False
        await console.press("Call again")
        await expect(console.alert).to_contain_text("Does a proxy between here and the server pass WebSockets on?")
        await expect(console.button("Call again")).to_be_focused()


async def test_every_frame_has_its_effect(browser: Browser, server: ServerProcess) -> None:
    """Also those that are on their way while the caller interrupts. In a page of its own, since a relay stays."""
    async with opened(browser, f"{server.url}/") as console:
        await _hear_every_frame(console)


async def _hear_every_frame(console: ConsolePage) -> None:
    sent: list[dict[str, Any]] = []

    def relay(socket: WebSocketRoute) -> None:
        async def on_message(message: str | bytes) -> None:
            frame = json.loads(message)
            sent.append(frame)
            for answer in ANSWERS[frame["type"]]:
                socket.send(json.dumps(answer))
            if frame["type"] == "dtmf":
                await socket.close(code=1008, reason="The setup frame has no valid callSid.")

        socket.on_message(on_message)

    page = console.page
    await page.route_web_socket("**/phone/relay", relay)
    await _call(console, "tester", SLOW)
    await expect(_heard(console.answers)).to_contain_text("Calls")
    assert await console.button("Interrupt").is_disabled()  # the frame says so
    await expect(console.answers).to_have_attribute("aria-busy", "true")
    await _pace(console, FAST)
    await expect(_heard(console.answers)).to_have_text(RECORDED)
    await _pace(console, SLOW)
    await console.say("您好")
    await expect(_heard(console.answers.nth(1))).to_contain_text("One two")
    await console.press("Interrupt")
    await console.say("And now?")
    await expect(console.answers).to_have_count(3)
    await expect(_heard(console.answers.nth(2))).to_contain_text("One two")
    for event in ("plays bell.mp3", "presses 1w2", "changes the language to de-DE"):
        await expect(page.get_by_text(f"The agent {event}").first).to_be_visible()
    await console.press("Keypad")
    await console.press("#")
    await expect(console.alert).to_have_text("The setup frame has no valid callSid.")

    words = [(each["type"], each.get("lang")) for each in sent]
    assert words == [
        ("setup", None),
        ("prompt", "zh-CN"),
        ("interrupt", None),
        ("prompt", "de-DE"),
        ("interrupt", None),
        ("dtmf", None),
    ]
    assert sent[2]["utteranceUntilInterrupt"].startswith("One two")
    assert 100 < sent[2]["durationUntilInterruptMs"] < 15_000


RECORDED = "Calls are recorded, to train our staff and for nothing else."

ANSWERS: dict[str, list[dict[str, Any]]] = {
    "setup": [{"type": "text", "token": RECORDED, "last": True, "interruptible": False}],
    "prompt": [
        {"type": "play", "source": "bell.mp3"},
        {"type": "sendDigits", "digits": "1w2"},
        {"type": "language", "ttsLanguage": "de-DE", "transcriptionLanguage": "de-DE"},
        {"type": "of another time"},
        {"type": "text", "token": "One two", "last": False},
        {"type": "text", "token": " three four five six seven eight nine ten eleven twelve", "last": False},
    ],
    "interrupt": [{"type": "text", "token": " thirteen", "last": False}, {"type": "text", "token": "", "last": True}],
    "dtmf": [],
}
"""What a relay sends on each frame. The words after an interruption were on their way."""


async def test_a_call_that_cannot_begin_says_why(console: ConsolePage) -> None:
    page = console.page
    console.expected = ["404", "401"]
    refusal: dict[str, Any] = {"error": {"message": "Phone lines are off.", "type": "invalid_request_error"}}
    await page.route("**/phone/incoming", lambda route: route.fulfill(status=404, json=refusal))
    await _open(console, "nobody")
    await console.press("Call")
    await expect(console.alert).to_have_text("Phone lines are off.")
    await page.route("**/phone/incoming", lambda route: route.fulfill(status=401, json={}))
    await console.press("Call again")
    await expect(console.alert).to_have_text("The server no longer accepts the token. Sign in again.")


async def _call(console: ConsolePage, user: str, pace: str = FAST) -> None:
    await _open(console, user)
    await _pace(console, pace)
    await console.press("Call")
    await expect(console.page.get_by_text("On the phone")).to_be_visible()


async def _open(console: ConsolePage, user: str) -> None:
    await console.open("chat")
    await console.page.get_by_role("link", name="Talk like a phone").click()
    await console.page.get_by_label("User", exact=True).fill(user)


async def _pace(console: ConsolePage, letters: str) -> None:
    await console.page.get_by_role("slider").fill(letters)


def _heard(answer: Locator) -> Locator:
    return answer.locator(".heard")


async def _said(http: httpx.AsyncClient, user: str) -> list[str]:
    """What the agent said in the user's only session, as it is stored."""
    [session] = (await http.get(f"/agent/sessionids/{user}")).json()["session_ids"]
    messages = (await http.get(f"/agent/history/{user}/{session}")).json()["messages"]
    return [each["content"] for each in messages if each["role"] == "assistant"]
