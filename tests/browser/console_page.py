"""The console as a person uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.support.serving import TOKEN

TIMEOUT = 15_000
"""Milliseconds, on a busy machine."""

expect.set_options(timeout=TIMEOUT)

SIGN_IN = """token => {
  for (const storage of [sessionStorage, localStorage]) storage.clear();
  if (token !== null) sessionStorage.setItem("switchboard.token", token);
}"""


class ConsolePage:
    """A page of the console. `expected` are parts of the browser's error messages that a test provokes."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.expected: list[str] = []
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(TIMEOUT)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_request)

    async def begin(self, token: str | None = TOKEN) -> None:
        """Be as a new tab, signed in with `token`."""
        await self.page.unroute_all(behavior="wait")
        await self.page.goto(f"{self.url}console/icon.svg")  # a page of the origin that stores nothing
        await self.page.evaluate(SIGN_IN, token)
        self.expected = []
        for each in (self.errors, self.foreign):
            each.clear()

    async def open(self, *route: str) -> None:
        """Open a page by its route, such as `"sessions", "ada"`."""
        address = f"{self.url}#/{'/'.join(quote(each, safe='') for each in route)}"
        if self.page.url.partition("#")[0] == self.url:
            await self.page.evaluate("address => { location.href = address }", address)
        else:
            await self.page.goto(address)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def press(self, name: str) -> None:
        await self.button(name).click()

    async def say(self, text: str) -> None:
        """Send a message without waiting for the answer."""
        await self.page.get_by_role("textbox", name="Message", exact=True).fill(text)
        await self.press("Send")

    @property
    def model(self) -> Locator:
        return self.page.get_by_role("combobox", name="Model", exact=True)

    @property
    def answers(self) -> Locator:
        return self.page.get_by_role("article", name="Agent")

    @property
    def questions(self) -> Locator:
        return self.page.get_by_role("article", name="User")

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    async def ask(self, text: str) -> Locator:
        """Send a message and return its complete answer."""
        count = await self.answers.count()
        await self.say(text)
        answer = self.answers.nth(count)
        await expect(answer).to_have_attribute("aria-busy", "false")
        return answer

    def verify(self) -> None:
        """Nothing went wrong in the browser, and nothing left the origin."""
        errors = [each for each in self.errors if not any(part in each for part in self.expected)]
        assert not errors, errors
        assert not self.foreign, self.foreign

    def _note(self, message: ConsoleMessage) -> None:
        # An image that is opened by itself has no icon of its own, so that the browser asks for the site's.
        is_icon = urlsplit(message.location["url"]).path.endswith("/favicon.ico")
        if message.type in ("error", "warning") and not is_icon:
            self.errors.append(message.text)

    def _note_request(self, request: Request) -> None:
        if urlsplit(request.url)[:2] != urlsplit(self.url)[:2]:
            self.foreign.append(request.url)
        assert TOKEN not in request.url, "the token is in a URL"


async def text_of(part: Locator) -> str:
    """The text of an element. `inner_text` is empty while a message is scrolled out of sight."""
    return await part.text_content() or ""


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, token: str | None = TOKEN, **options: Any
) -> AsyncIterator[ConsolePage]:
    """A page in a context of its own, signed in with `token`. `options` are those of a browser context."""
    context = await browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options})
    try:
        console = ConsolePage(await context.new_page(), url)
        await console.begin(token)
        yield console
        console.verify()
    finally:
        await context.close()
