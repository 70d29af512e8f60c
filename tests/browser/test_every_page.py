"""What holds on every page: accessibility, the keyboard, narrow screens, languages, and the size of it all."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from api.console.page import ASSETS
from tests.browser.console_page import ConsolePage, opened
from tests.support.server_process import ServerProcess

AXE = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [
    ("chat",),
    ("chat", "phone"),
    ("sessions", "ada", "booking"),
    ("personas", "new"),
    ("memory", "ada"),
    ("tasks", "ada"),
    ("operations",),
    ("models",),
]


@pytest.mark.skipif(not AXE.is_file(), reason="run `make tests/clients/node_modules` first")
async def test_axe_finds_nothing_serious(console: ConsolePage) -> None:
    await console.open()
    await console.ask("**Hello** `you`")
    # Through the debugger's world, since the page's policy forbids scripts in the page.
    await console.page.evaluate(AXE.read_text())
    for page in PAGES:
        await console.open(*page)
        await _settled(console, page[0])
        await _find_nothing(console, page[0])
    await console.open("chat", "phone")
    await _interrupt_a_call(console)
    await _find_nothing(console, "a call")
    await console.press("Sign out")
    await expect(console.page.get_by_label("Token")).to_be_visible()
    await _find_nothing(console, "sign-in")


async def _interrupt_a_call(console: ConsolePage) -> None:
    """Leave a call with words that were heard, that were not, and that are not yet."""
    await console.press("Call")
    await console.press("Keypad")
    for number in (1, 2):
        await expect(console.answers.locator(".heard").first).to_contain_text("Hello!")
        await console.say("/tokens 300")
        await expect(console.answers.nth(number).locator(".heard")).to_contain_text("Good morning")
    await expect(console.answers.nth(1)).to_contain_text("not heard")


async def _find_nothing(console: ConsolePage, page: str) -> None:
    """All rules in light colours; in dark ones only that of the contrast: nothing else depends on colours."""
    assert await _violations(console, {}) == [], page
    await console.page.emulate_media(color_scheme="dark")
    assert await _violations(console, {"runOnly": ["color-contrast"]}) == [], f"{page}, dark"
    await console.page.emulate_media(color_scheme="light")


async def _violations(console: ConsolePage, options: dict[str, Any]) -> list[str]:
    found = await console.page.evaluate("options => axe.run({ resultTypes: ['violations'], ...options })", options)
    return [
        f"{each['id']}: {node['html'][:150]} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


async def test_nothing_is_wider_than_a_phone(browser: Browser, server: ServerProcess) -> None:
    async with opened(browser, f"{server.url}/", viewport={"width": 390, "height": 844}) as console:
        await console.open()
        await console.ask("x" * 300)
        for page in PAGES:
            await console.open(*page)
            await _settled(console, page[0])
            width = await console.page.evaluate(
                "[document.documentElement, document.querySelector('main')].map(each => each.scrollWidth)"
            )
            assert max(width) <= 390, page
        await console.press("Menu")
        await console.page.get_by_role("link", name="Memory").click()
        await expect(console.page.get_by_role("heading", name="Memory")).to_be_visible()
        await expect(console.page.get_by_role("link", name="Memory")).to_be_hidden()
        await expect(console.page.locator("main")).to_be_focused()
        await console.press("Menu")
        await console.page.get_by_role("link", name="Memory").click()
        await expect(console.page.get_by_role("link", name="Memory")).to_be_hidden()


async def test_the_keyboard_reaches_everything_and_the_focus_is_seen(console: ConsolePage) -> None:
    page = console.page
    await console.open("chat")
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    reached = set()
    for _ in range(25):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
            )
        )
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or await page.evaluate("document.activeElement === document.body")
    assert {"Message", "Messages", "What can you do?"} <= reached, reached

    await page.get_by_role("textbox", name="Message", exact=True).focus()
    await page.keyboard.type("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await page.keyboard.press("Enter")
    await expect(console.answers).to_contain_text("You said: one")
    await expect(console.questions).to_have_text("one\ntwo")


async def test_the_console_speaks_chinese_and_remembers_language_and_theme(console: ConsolePage) -> None:
    page = console.page
    await console.open("operations")
    await page.get_by_role("combobox", name="Theme").select_option("dark")
    await page.get_by_role("combobox", name="Language").select_option("zh")
    await expect(page.get_by_role("heading", name="故障演练")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    for each in await page.locator("nav a").all_inner_texts():
        assert not each.isascii()


async def test_the_first_run_says_how_to_add_a_key(console: ConsolePage) -> None:
    await console.open("chat")
    card = console.page.get_by_role("complementary", name="First run")
    await expect(card).to_contain_text("OPENAI_API_KEY=...")
    await expect(card).to_contain_text(".env")
    answer = await console.ask("It works all the same")
    await expect(answer).to_contain_text("You said: It works all the same")


async def test_everything_weighs_less_than_300_kb(console: ConsolePage) -> None:
    sizes: dict[str, int] = {}
    console.page.on("response", lambda response: sizes.setdefault(response.url, 0))
    await console.open("models")
    await expect(console.page.get_by_role("textbox", name="Text of models.yaml")).to_be_visible()
    loaded = [each.removeprefix(f"{console.url}console/") for each in sizes if "/console/" in each]
    files = [ASSETS / each for each in loaded if (ASSETS / each).is_file()]
    assert len(files) > 30
    total = sum(len(gzip.compress(each.read_bytes(), 6)) for each in [*files, ASSETS / "index.html"])
    assert total < 300_000, total
    encoding = await console.page.evaluate(
        "fetch('console/vendor/editor.js').then(each => each.headers.get('content-encoding'))"
    )
    assert encoding == "gzip"


async def _settled(console: ConsolePage, name: str) -> None:
    await expect(console.page.locator("nav a[aria-current=page]")).to_have_attribute("href", f"#/{name}")
    await expect(console.page.get_by_text("Loading...")).to_have_count(0)
