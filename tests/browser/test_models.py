"""The editor of models.yaml."""

from __future__ import annotations

import asyncio

import httpx
from playwright.async_api import Route, expect

from tests.browser.console_page import ConsolePage


async def test_an_edited_text_is_checked_and_saved(console: ConsolePage, http: httpx.AsyncClient) -> None:
    page = console.page
    before = (await http.get("/console/models-file")).json()["text"]
    await console.open("models")
    editor = page.get_by_role("textbox", name="Text of models.yaml")
    await expect(editor).to_contain_text("model_list")
    await expect(page.get_by_text("no errors")).to_be_visible()
    await expect(console.button("Save")).to_be_disabled()

    await editor.click()
    await page.keyboard.press("Control+Home")
    await page.keyboard.insert_text("nonsense: [1\n")
    await expect(page.get_by_text("errors: 1")).to_be_visible()
    await expect(page.get_by_role("list", name="Problems")).to_contain_text("line 2")
    await expect(page.locator(".cm-lint-marker-error")).to_be_visible()
    await expect(console.button("Save")).to_be_disabled()
    await console.press("Undo all changes")
    await expect(page.get_by_text("no errors")).to_be_visible()

    undone = asyncio.Event()

    async def late(route: Route) -> None:
        await undone.wait()
        await route.continue_()

    await page.route("**/models-file/check", late)
    await editor.click()
    await page.keyboard.press("Control+Home")
    async with page.expect_request("**/models-file/check"):
        await page.keyboard.insert_text("nonsense: [1\n")
    async with page.expect_response("**/models-file/check") as answer:
        await console.press("Undo all changes")
        undone.set()
    await (await answer.value).finished()
    await page.evaluate("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    await expect(page.get_by_text("no errors")).to_be_visible()
    await page.unroute("**/models-file/check")

    await editor.click()
    await page.keyboard.press("Control+Home")
    await page.keyboard.insert_text("# changed in the console\n")
    await console.press("Save")
    await expect(page.get_by_text("Saved. The server uses the new file.")).to_be_visible()
    assert (await http.get("/console/models-file")).json()["text"] == f"# changed in the console\n{before}"


async def test_keys_are_completed_from_the_schema(console: ConsolePage) -> None:
    page = console.page
    await console.open("models")
    editor = page.get_by_role("textbox", name="Text of models.yaml")
    await expect(editor).to_contain_text("router_settings")
    await editor.click()
    await page.keyboard.press("Control+End")
    await page.keyboard.type("\nrouter_settings:\n")
    await page.keyboard.type("  allowed_fai")
    options = page.get_by_role("option")
    await expect(options).to_contain_text(["allowed_fails", "allowed_fails_policy"])
    opened = await page.evaluate("Date.now()")
    # At first, the editor ignores an Enter that was meant for the text.
    await page.wait_for_function("opened => Date.now() > opened + 75", arg=opened)
    await page.keyboard.press("Enter")
    await expect(editor).to_contain_text("allowed_fails: ")


async def test_without_the_switch_the_page_only_checks(console: ConsolePage) -> None:
    async def not_editable(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, json={**await response.json(), "editable": False})

    await console.page.route("**/console/models-file", not_editable)
    await console.open("models")
    await expect(
        console.page.get_by_text("Only checked here: saving needs SWITCHBOARD_CONSOLE_EDIT=true.")
    ).to_be_visible()
    await expect(console.button("Save")).to_be_hidden()


async def test_a_refusal_takes_only_the_room_that_its_words_need(console: ConsolePage) -> None:
    console.expected = ["403"]
    refusal = {"error": {"message": "This needs one of SWITCHBOARD_API_TOKENS.", "code": "operator_only"}}
    await console.page.route("**/console/models-file", lambda route: route.fulfill(status=403, json=refusal))
    await console.open("models")
    await expect(console.alert).to_contain_text("SWITCHBOARD_API_TOKENS")
    box = await console.alert.bounding_box()
    assert box is not None and box["height"] < 100
