"""Sessions: their list, history, reviews, expiry, and two turns at once."""

from __future__ import annotations

import json

import httpx
from playwright.async_api import Browser, Route, expect

from tests.browser.console_page import ConsolePage, opened
from tests.support.server_process import ServerProcess

BOOKING = '/say I can book that.\n/call book_hotel {"hotel_name": "Ritz"}\n/then\n/say Done.'


async def test_a_users_sessions_are_found_and_restored(console: ConsolePage) -> None:
    page = console.page
    await console.open("sessions")
    await page.get_by_label("User", exact=True).fill("ada")
    await console.press("Open")
    await expect(page.get_by_role("link", name="sums")).to_be_visible()
    await page.get_by_label("Search").fill("SUMS")
    await expect(page.locator(".choices a")).to_have_count(1)
    await page.get_by_role("link", name="sums").click()
    await expect(console.questions).to_contain_text("/call multiply")
    await expect(console.answers).to_contain_text("It is forty-two.")
    await expect(console.answers.locator(".tool-card")).to_contain_text('multiply{"a":6,"b":7}done')

    await page.reload()
    await expect(console.answers).to_contain_text("It is forty-two.")
    answer = await console.ask("And now?")
    await expect(answer).to_contain_text("You said: And now?")
    await expect(page.get_by_role("link", name="And now?")).to_be_visible()

    await console.open("sessions", "nobody")
    await expect(page.get_by_text("This user has no session yet.")).to_be_visible()


async def test_a_search_is_not_repeated(browser: Browser, server: ServerProcess) -> None:
    """It asks for the statuses of hundreds of sessions. Without one, the list is kept up to date."""
    async with opened(browser, f"{server.url}/") as console:
        lists: list[str] = []
        console.page.on("request", lambda request: lists.append(request.url) if "/sessionids/" in request.url else None)
        await console.page.clock.install()
        await console.open("sessions", "ada")
        await expect(console.page.get_by_role("link", name="sums")).to_be_visible()
        async with console.page.expect_request("**/sessionids/ada"):
            await console.page.clock.fast_forward("00:06")
        async with console.page.expect_request("**/sessionids/ada"):  # a search looks at more sessions
            await console.page.get_by_label("Search").fill("SUMS")
        await expect(console.page.locator(".choices a")).to_have_count(1)
        loaded = len(lists)
        await console.page.clock.fast_forward("00:06")
        await expect(console.page.locator(".choices a")).to_have_count(1)
        assert len(lists) == loaded
        async with console.page.expect_request("**/sessionids/ada"):
            await console.page.get_by_label("Search").fill("")


async def test_a_review_takes_four_answers(console: ConsolePage) -> None:
    page = console.page
    for clicks, result in (
        (["Accept"], "Ritz"),
        (["Reject"], "declined"),
        (["Answer in words", "Send"], "Ask for the price first."),
        (["Edit", "Run with these arguments"], "Savoy"),
    ):
        await console.open("sessions", "reviewer", f"review-{clicks[0]}")
        await expect(page.get_by_text("No messages yet.")).to_be_visible()
        await console.say(BOOKING)
        card = page.get_by_role("region", name="Review of book_hotel")
        await expect(card).to_contain_text("hotel_name")
        await card.get_by_role("button", name=clicks[0]).click()
        if clicks[0] == "Edit":
            await card.get_by_label("hotel_name").fill("Savoy")
        elif clicks[0] == "Answer in words":
            await card.get_by_role("textbox").fill("Ask for the price first.")
        for name in clicks[1:]:
            await card.get_by_role("button", name=name).click()
        await expect(card).to_be_hidden()
        tool = console.answers.locator(".tool-card").first
        await tool.click()
        await expect(tool.locator("pre").last).to_contain_text(result)
        await expect(console.answers.last).to_contain_text("Done.")


async def test_an_edit_that_the_server_refuses_stays_in_its_form(console: ConsolePage) -> None:
    console.expected = ["400"]
    page = console.page
    schema = {
        "hotel_name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "beds": {"type": ["integer", "null"]},
        "view": {"$ref": "#/$defs/View"},
    }

    async def answer(route: Route) -> None:
        status = await (response := await route.fetch()).json()
        for each in status["interrupts"]:
            each["args_schema"]["properties"] = schema
            each["action_request"]["args"] |= {"view": "sea", "beds": None}
        await route.fulfill(response=response, body=json.dumps(status))

    await page.route("**/agent/status/**", answer)
    await console.open("sessions", "reviewer", "refused")
    await expect(page.get_by_text("No messages yet.")).to_be_visible()
    await console.say(BOOKING)
    await console.press("Edit")
    card = page.get_by_role("region", name="Review of book_hotel")
    await card.get_by_label("hotel_name").fill("Savoy")
    async with page.expect_request("**/agent/resume/stream") as sent:
        await console.press("Run with these arguments")
    body = (await sent.value).post_data_json
    assert body and body["args"] == {"hotel_name": "Savoy", "view": "sea"}
    await expect(console.alert).to_contain_text("view")
    await expect(card.get_by_label("hotel_name")).to_have_value("Savoy")
    await expect(card.get_by_label("view")).to_have_value('"sea"')
    await page.unroute_all(behavior="wait")


async def test_a_message_before_the_review_is_answered_can_reject_it(console: ConsolePage) -> None:
    console.expected = ["409"]
    await console.open("sessions", "reviewer", "impatient")
    await console.say(BOOKING)
    await expect(console.page.get_by_role("region", name="Review of book_hotel")).to_be_visible()
    await console.say("Never mind")
    await expect(console.alert).to_contain_text("book_hotel")
    await expect(console.page.get_by_role("textbox", name="Message", exact=True)).to_have_value("Never mind")
    await console.press("Reject and send")
    await expect(console.answers.last).to_contain_text("You said: Never mind")
    await expect(console.page.get_by_role("region", name="Review of book_hotel")).to_be_hidden()


async def test_a_second_message_while_the_agent_answers_offers_what_the_api_does(console: ConsolePage) -> None:
    console.expected = ["409"]
    page = console.page
    for choice in ("Wait in line", "Interrupt and send", "Cancel"):
        await console.open("sessions", "eager", choice)
        await expect(page.get_by_text("No messages yet.")).to_be_visible()
        await console.say("/tokens 60" if choice == "Wait in line" else "/tokens 10000")
        await expect(console.answers).to_contain_text("Good morning")
        await console.say("Second")
        await expect(console.alert).to_contain_text("Another turn runs")
        await console.press(choice)
        if choice == "Cancel":
            await expect(page.get_by_role("textbox", name="Message", exact=True)).to_have_value("Second")
            await console.press("Stop")
        else:
            await expect(console.answers.last).to_contain_text("You said: Second")
        await expect(console.button("Stop")).to_be_hidden()
        await expect(console.questions).to_have_count(1 if choice == "Cancel" else 2)
        await expect(console.answers.first).to_contain_text("Good morning")


async def test_expiry_and_deletion(console: ConsolePage, http: httpx.AsyncClient) -> None:
    page = console.page
    await console.open("sessions", "forgetful", "s-1")
    await console.ask("Hello")
    await expect(page.get_by_text("never expires")).to_be_visible()
    await console.press("Expiry")
    await console.press("in a day")
    await expect(page.get_by_text("never expires")).to_be_hidden()
    assert (await http.get("/agent/status/forgetful/s-1")).json()["expires_at"] is not None

    await console.press("Delete")
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("This user has no session yet.")).to_be_visible()
    assert (await http.get("/agent/status/forgetful/s-1")).json()["status"] == "not_found"


async def test_a_turn_of_another_client_appears_by_itself(console: ConsolePage, http: httpx.AsyncClient) -> None:
    await console.open("sessions", "watched", "s-1")
    await console.ask("Hello")
    await http.post("/agent/invoke", json={"user_id": "watched", "session_id": "s-1", "query": "From elsewhere"})
    await expect(console.answers.last).to_contain_text("You said: From elsewhere")
