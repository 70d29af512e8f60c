"""Signing in, and a server that goes away."""

from __future__ import annotations

from playwright.async_api import Browser, Locator, expect

from tests.browser.console_page import ConsolePage, opened
from tests.support.prefix_proxy import prefix_proxy
from tests.support.server_process import ServerProcess
from tests.support.serving import TOKEN


async def test_the_token_opens_the_console_and_stays_in_the_tab(console: ConsolePage) -> None:
    await console.begin(token=None)
    await console.open("memory")
    await console.page.get_by_label("Token").fill(TOKEN)
    await console.press("Sign in")
    await expect(console.page.get_by_role("heading", name="Memory")).to_be_visible()
    assert await console.page.evaluate("[sessionStorage['switchboard.token'], Object.values(localStorage)]") == [
        TOKEN,
        [],
    ]

    await console.open("chat")
    await console.ask("A secret")
    await console.page.reload()
    await expect(console.answers).to_contain_text("A secret")
    await console.press("Sign out")
    await expect(console.page.get_by_label("Token")).to_be_visible()
    assert await console.page.evaluate("Object.entries(sessionStorage)") == []


async def test_a_wrong_token_is_refused_in_words(console: ConsolePage) -> None:
    await console.begin(token=None)
    console.expected = ["401"]
    await console.open()
    for token in ("wrong", "falsch-ß-密钥"):
        await console.page.get_by_label("Token").fill(token)
        await console.press("Sign in")
        await expect(console.alert).to_have_text("The server does not accept this token.")
        assert await console.page.get_by_label("Token").input_value() == token


async def test_a_token_that_is_no_longer_valid_leads_to_the_sign_in_once(console: ConsolePage) -> None:
    await console.begin(token="revoked")
    console.expected = ["401"]
    loads: list[str] = []
    console.page.on("load", lambda page: loads.append(page.url))
    await console.open()
    await expect(console.alert).to_have_text("The server no longer accepts the token. Sign in again.")
    await console.page.get_by_label("Token").fill(TOKEN)
    await console.press("Sign in")
    await expect(console.page.get_by_role("heading", name="Talk to your models")).to_be_visible()
    assert len(loads) == 1


async def test_a_server_that_goes_away_and_comes_back_loses_nothing(browser: Browser, server: ServerProcess) -> None:
    """Behind a proxy that also puts everything below a path."""
    async with prefix_proxy(server.url) as proxy, opened(browser, proxy.url) as console:
        console.expected = ["Failed to load resource", "net::ERR"]
        await console.open()
        answer = await console.ask("Hello")
        await expect(answer).to_contain_text("You said: Hello")
        await console.press("Show the request")
        await expect(console.page.locator("pre.code")).to_contain_text(f"{proxy.url}v1/chat/completions")
        await console.press("Close")
        await _draft(console).fill("Half a thought")

        await proxy.stop()
        await console.open("operations")
        banner = console.page.get_by_text("The server does not answer. The page reconnects by itself")
        await expect(banner).to_be_visible()
        await console.open("chat")
        await expect(_draft(console)).to_have_value("Half a thought")

        await proxy.start()
        await expect(banner).to_be_hidden()
        await expect(_draft(console)).to_have_value("Half a thought")
        await console.press("Send")
        await expect(console.answers.nth(1)).to_contain_text("You said: Half a thought")


def _draft(console: ConsolePage) -> Locator:
    return console.page.get_by_role("textbox", name="Message", exact=True)
