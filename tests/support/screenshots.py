"""Takes the pictures of the console's pages in docs/images: `python -m tests.support.screenshots`. Needs Chromium."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from tests.support.console_stage import AGENT, MODELS, ROUTER, bring_to_life
from tests.support.serving import TOKEN, Served, serving

FOLDER = Path(__file__).parents[2] / "docs" / "images"
WIDTHS = {1280: 800, 390: 844}
SCHEMES = ("light", "dark")
COLOURS = 96

CHAT = ("What is six times seven?", "I want to speak with a person.")

CALL = (
    ("Good morning! I need a room for two nights, with a view of the garden if you have one.", "two nights,"),
    ("Sorry, three nights. And I arrive by the last train, so please tell the front desk.", "three nights."),
)
"""What the caller says, and the words of the answer at which the caller interrupts it, or the picture is taken."""


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), *MODELS, router=ROUTER, agent=AGENT, console_edit=True) as server:
            async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as http:
                await bring_to_life(http)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                for width in WIDTHS:
                    for scheme in SCHEMES:
                        await _take_all(browser, server, width, scheme)
                await browser.close()


async def _take_all(browser: Browser, server: Served, width: int, scheme: Any) -> None:
    viewport: Any = {"width": width, "height": WIDTHS[width]}
    context = await browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-GB")
    page = await context.new_page()

    async def take(name: str, *, height: int = WIDTHS[width]) -> None:
        await page.set_viewport_size({"width": width, "height": height})
        await page.evaluate("document.querySelector('main').scrollTop = 0")
        await page.wait_for_timeout(400)  # charts and lists settle
        _save(await page.screenshot(), FOLDER / f"{name}-{width}-{scheme}.png")

    await page.goto(server.url)
    await page.wait_for_selector("#token")
    await take("sign-in")
    await page.fill("#token", TOKEN)
    await page.press("#token", "Enter")
    await page.wait_for_selector(".first-run")
    await take("first-run")
    await page.select_option(".bar select", "hotel")
    for text in CHAT:
        await _say(page, text)
    await take("chat")
    await page.goto(f"{server.url}/#/chat/phone")
    await _interrupt_a_call(page)
    await take("phone")
    await page.goto(f"{server.url}/#/sessions/ada/booking")
    await page.wait_for_selector(".review")
    await take("sessions")
    await page.goto(f"{server.url}/#/personas")
    await page.click(".choices a")
    await _say(page, "Something with tomatoes?")
    await take("personas", height=WIDTHS[width] if width > 600 else 1500)
    await page.goto(f"{server.url}/#/memory/ada")
    await page.wait_for_selector(".rows li")
    await take("memory")
    await page.goto(f"{server.url}/#/tasks/ada")
    await page.click(".choices a")
    await page.wait_for_selector(".session-head")
    await take("tasks")
    await page.goto(f"{server.url}/#/operations")
    await page.click("details.recent:has-text('breaks-off') summary")
    await page.select_option("select:has(option[value=cut])", "cut")
    await page.click("section:has-text('Fault drill') button.primary")
    await page.wait_for_selector("section:has-text('Fault drill') .waterfall")
    await take("operations", height=2900 if width > 600 else 4600)
    await page.goto(f"{server.url}/#/models")
    await page.click(".cm-content")
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("model_lists: []\n")
    await page.wait_for_selector(".cm-lint-marker-error")
    await take("models")
    await context.close()


async def _interrupt_a_call(page: Page) -> None:
    await page.click(".begin-call")
    await page.wait_for_selector("article[aria-busy=false]")
    for text, heard in CALL:
        await page.fill(".composer textarea", text)
        await page.press(".composer textarea", "Enter")
        await page.wait_for_selector(f"article:last-of-type .heard:has-text('{heard}')")
        if text == CALL[0][0]:
            await page.keyboard.press("Escape")


async def _say(page: Page, text: str) -> None:
    await page.fill(".composer textarea", text)
    await page.click(".composer .primary")
    await page.wait_for_selector("article[aria-busy=true]", state="detached")
    await page.wait_for_selector(".message.agent .foot")


def _save(png: bytes, path: Path) -> None:
    """Save with few colours, which makes the file a third as large."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(main())
