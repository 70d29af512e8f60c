"""Operations: what the server counts, its deployments, its last turns, and the drill."""

from __future__ import annotations

import json

import httpx
from playwright.async_api import Route, expect

from tests.browser.console_page import ConsolePage


async def test_totals_charts_and_deployments_are_shown(console: ConsolePage) -> None:
    page = console.page
    await console.open("operations")
    await expect(page.locator(".tile").filter(has_text="succeeded")).to_contain_text("%")
    for title in (
        "Turns per minute",
        "Time to the first token",
        "Failed attempts by class",
        "Cost by model",
        "Cost by caller",
    ):
        chart = page.locator("figure").filter(has_text=title)
        await expect(chart.locator("canvas")).to_be_visible()
    await expect(page.get_by_role("img", name="provider_overloaded")).to_be_visible()
    for name in ("Last hour", "Last day", "Live"):
        await console.press(name)
        await expect(console.button(name)).to_have_attribute("aria-pressed", "true")
    table = page.get_by_role("region", name="Deployments")
    await expect(table.get_by_role("row").filter(has_text="fake/503")).to_contain_text("provider_overloaded")
    await expect(table.get_by_role("row").filter(has_text="OPENAI_API_KEY")).to_contain_text("not usable")
    await expect(table.get_by_role("row").filter(has_text="90K tpm").first).to_contain_text("600 rpm")
    await expect(page.get_by_text("agent.yaml names no MCP server.")).to_be_visible()


async def test_a_recent_turn_opens_as_a_waterfall(console: ConsolePage, http: httpx.AsyncClient) -> None:
    body = {"model": "breaks-off", "messages": [{"role": "user", "content": "/tokens 30"}]}
    await http.post("/v1/chat/completions", json=body)
    await console.open("operations")
    turn = console.page.locator("details.recent").filter(has_text="breaks-off").first
    await expect(turn).to_contain_text("continued")
    await turn.locator("summary").click()
    attempts = turn.get_by_role("listitem")
    await expect(attempts).to_have_count(2)
    await expect(attempts.first).to_contain_text("answer_cut")
    await expect(attempts.last).to_contain_text("continued the answer")
    first, second = [await each.locator(".track i").first.bounding_box() for each in await attempts.all()]
    assert first and second and first["x"] < second["x"]


async def test_a_drill_shows_how_a_turn_survives_and_counts_nowhere(
    console: ConsolePage, http: httpx.AsyncClient
) -> None:
    turns: int = (await http.get("/console/turns")).json()["turns"][0]["id"]
    page = console.page
    await console.open("operations")
    await page.get_by_role("combobox", name="Fault", exact=True).select_option("cut")
    await console.press("Run")
    drill = page.locator("section").filter(has=page.get_by_role("heading", name="Fault drill"))
    await expect(drill.locator(".continued")).to_contain_text("continued by healthy")
    await expect(drill.locator(".waterfall li")).to_have_count(2)
    assert " ".join(await drill.locator(".markdown").all_inner_texts()).count(" ") == 39
    assert (await http.get("/console/turns")).json()["turns"][0]["id"] == turns
    assert "faulty" not in (await http.get("/stats")).text


async def test_counting_begins_anew(console: ConsolePage, http: httpx.AsyncClient) -> None:
    page = console.page
    await console.open("operations")
    await console.press("Count anew")
    await page.get_by_role("dialog").get_by_role("button", name="Count anew").click()
    await expect(page.locator(".tile").filter(has_text="turns")).to_contain_text("0")
    assert (await http.get("/stats")).json()["reset_by"] is not None


async def test_200_deployments_and_failed_servers_are_shown(console: ConsolePage) -> None:
    def many(health: dict[str, object]) -> dict[str, object]:
        [one, *_] = health["deployments"]  # type: ignore[misc]
        health["deployments"] = [{**one, "id": f"d-{n}", "model_name": f"group {n}"} for n in range(200)]
        health["mcp_servers"] = {
            "weather": {"state": "down", "tools": 0, "reason": "it does not answer", "since": "2026-01-01T00:00:00Z"}
        }
        health["reload"] = {
            "ok": False,
            "problems": ["models.yaml:7: model_list[0]: unknown key"],
            "at": "2026-01-01T00:00:00Z",
        }
        return health

    async def answer(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=json.dumps(many(await response.json())))

    page = console.page
    await page.route("**/health", answer)
    await console.open("operations")
    rows = page.get_by_role("region", name="Deployments").locator("tbody tr")
    await expect(rows).to_have_count(200)
    await page.get_by_label("Search").fill("group 19")
    await expect(rows).to_have_count(11)
    await expect(page.get_by_text("models.yaml:7: model_list[0]: unknown key")).to_be_visible()
    await expect(page.get_by_role("listitem").filter(has_text="weather")).to_contain_text("it does not answer")
    await page.unroute_all(behavior="wait")
