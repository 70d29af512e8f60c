"""Background tasks."""

from __future__ import annotations

import httpx
from playwright.async_api import expect

from tests.browser.console_page import ConsolePage


async def test_a_task_is_started_followed_and_its_session_opened(console: ConsolePage) -> None:
    page = console.page
    await console.open("tasks", "worker")
    await expect(page.get_by_text("This user has no tasks.")).to_be_visible()
    await page.get_by_label("What should the agent do?").fill('/call multiply {"a": 6, "b": 7}')
    await console.press("Start")
    detail = page.locator(".split-detail")
    await expect(detail).to_contain_text("completed")
    await expect(detail).to_contain_text("multiply")
    await expect(console.answers).to_contain_text("42")
    await expect(page.locator(".choices a")).to_contain_text("completed")
    await page.reload()
    await expect(console.answers).to_contain_text("42")
    await page.get_by_role("link", name="Open the session").click()
    await expect(console.questions).to_contain_text("/call multiply")


async def test_a_running_task_shows_its_progress_and_is_cancelled(
    console: ConsolePage, http: httpx.AsyncClient
) -> None:
    page = console.page
    await console.open("tasks", "canceller")
    await page.get_by_label("What should the agent do?").fill("/tokens 10000")
    await console.press("Start")
    await expect(console.answers).to_contain_text("Good morning")
    await expect(page.locator(".split-detail")).to_contain_text("running")
    await page.locator(".split-detail").get_by_role("button", name="Cancel").click()
    await expect(page.locator(".split-detail")).to_contain_text("cancelled")
    [task] = (await http.get("/agent/tasks/canceller")).json()["tasks"]
    assert task["status"] == "cancelled"


async def test_a_task_that_waits_for_a_review_and_one_that_failed(console: ConsolePage) -> None:
    page = console.page
    await console.open("tasks", "waiter")
    await page.get_by_label("What should the agent do?").fill('/call book_hotel {"hotel_name": "Ritz"}')
    await console.press("Start")
    await expect(page.get_by_text("A tool waits for your decision. Open the session to answer.")).to_be_visible()
    await page.get_by_role("link", name="Open the session").click()
    await expect(page.get_by_role("region", name="Review of book_hotel")).to_be_visible()

    await console.open("tasks", "loser")
    await page.get_by_label("What should the agent do?").fill("/fail 400")
    await console.press("Start")
    await expect(page.locator(".split-detail").get_by_role("alert")).to_contain_text("rejected the request")
