"""Personas and long-term memory."""

from __future__ import annotations

import httpx
from playwright.async_api import expect

from tests.browser.console_page import ConsolePage


async def test_a_persona_is_created_tried_changed_and_deleted(console: ConsolePage, http: httpx.AsyncClient) -> None:
    console.expected = ["409", "422"]
    page = console.page
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method))
    await console.open("personas")
    await page.get_by_role("link", name="New persona").click()
    await console.press("Create")
    await expect(console.alert).to_contain_text("context")
    await page.get_by_label("Name").fill("gardener")
    await page.get_by_label("Context").fill("You are a gardener.")
    await page.get_by_label("First message").fill("What grows at your place?")
    await page.get_by_label("Instructions").fill("Answer in rhymes.")
    await console.press("Create")

    await expect(page.get_by_role("link", name="gardener")).to_have_attribute("aria-current", "true")
    await expect(console.answers.first).to_have_text("What grows at your place?")
    answer = await console.ask("Roses")
    await expect(answer).to_contain_text("You said: Roses")

    await page.get_by_label("Instructions").fill("Answer in prose.")
    await page.get_by_label("temperature").fill("")
    async with page.expect_response(lambda response: response.request.method == "PATCH"):
        await console.press("Save")
    [saved] = [each for each in (await http.get("/agents/get-agents")).json() if each["name"] == "gardener"]
    assert (saved["instructions"], saved["temperature"], saved["max_tokens"]) == ("Answer in prose.", None, 1000)

    await console.press("Conversations")
    await page.locator(".choice").click()
    await expect(console.questions).to_have_text("Roses")
    await expect(console.answers.first).to_have_text("What grows at your place?")
    await expect(console.answers.last).to_contain_text("You said: Roses")
    await page.get_by_text("Context", exact=True).last.click()
    await expect(page.locator("details pre")).to_have_text("You are a gardener.")

    await page.locator("form").get_by_role("button", name="Delete").click()
    await console.button("Cancel").evaluate("each => each.click()")  # as assistive technology does
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.locator("form").get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("It has conversations. They are deleted too.")).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("link", name="gardener")).to_be_hidden()
    await expect(page.get_by_text("Choose a persona, or create one.")).to_be_visible()
    assert methods.count("PATCH") == 1


async def test_a_stored_conversation_is_deleted(console: ConsolePage, http: httpx.AsyncClient) -> None:
    agent = (
        await http.post(
            "/agents/create-agent", json={"context": "C", "first_message": "", "instructions": "", "response_shape": ""}
        )
    ).json()
    await http.post("/agents/create-conversation", json={"agent_id": agent["id"]})
    await console.open("personas", agent["id"])
    await console.press("Conversations")
    await console.page.locator(".choice").click()
    await expect(console.page.get_by_text("No messages yet.")).to_be_visible()
    await console.page.get_by_role("region", name=agent["id"]).get_by_role("button", name="Delete").click()
    await expect(console.page.get_by_text("No conversation yet.")).to_be_visible()
    await http.delete(f"/agents/{agent['id']}")


async def test_memories_are_read_added_searched_and_forgotten(console: ConsolePage, http: httpx.AsyncClient) -> None:
    page = console.page
    await console.open("memory", "elephant")
    await expect(page.get_by_text("The agent remembers nothing of this user.")).to_be_visible()
    for memory in ("Likes peanuts", "Fears mice"):
        await page.get_by_label("New memory").fill(memory)
        await console.press("Remember")
        await expect(page.get_by_text(memory)).to_be_visible()
    await page.get_by_label("Search").fill("mice")
    await page.keyboard.press("Enter")
    await expect(page.locator(".rows li").first).to_contain_text("Fears mice")
    await page.get_by_role("listitem").filter(has_text="Fears mice").get_by_role("button", name="Forget").click()
    await expect(page.get_by_text("Fears mice")).to_be_hidden()
    assert [each["content"] for each in (await http.get("/agent/longterm/elephant")).json()["memories"]] == [
        "Likes peanuts"
    ]
