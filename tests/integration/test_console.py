"""What the console's page asks the server, without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.support.console_stage import AGENT, MODELS, ROUTER
from tests.support.serving import serving
from tests.support.session_client import SessionClient, client_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionClient]:
    """A client of the server that all tests share."""
    folder = tmp_path_factory.mktemp("console")
    async with serving(folder, *MODELS, router=ROUTER, agent=AGENT) as server, client_of(server) as client:
        yield client


async def test_browsers_get_the_page_and_programs_get_json(client: SessionClient) -> None:
    page = await client.http.get("/", headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self';"
    )
    assert page.headers["vary"] == "accept"
    assert (await client.http.get("/")).json()["name"] == "switchboard"


async def test_files_are_compressed_typed_and_checked_for_changes(client: SessionClient) -> None:
    script = await client.http.get("/console/main.js")
    assert (script.headers["content-type"], script.headers["content-encoding"]) == (
        "text/javascript; charset=utf-8",
        "gzip",
    )
    assert (script.headers["cache-control"], "'self'" in script.headers["content-security-policy"]) == (
        "no-cache",
        True,
    )
    again = await client.http.get("/console/main.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304
    for path in ("/console/", "/console/none.js", "/console/../page.py", "/console/%2e%2e/page.py"):
        assert (await client.http.get(path)).status_code == 404, path


async def test_every_call_needs_the_token(client: SessionClient) -> None:
    for path in ("turns", "faults", "limits", "models-file", "models-schema"):
        assert (await client.http.get(f"/console/{path}", headers={"authorization": ""})).status_code == 401, path
    for method, path in (("POST", "chat"), ("POST", "drill"), ("POST", "models-file/check"), ("PUT", "models-file")):
        answer = await client.http.request(method, f"/console/{path}", json={}, headers={"authorization": ""})
        assert answer.status_code == 401, path
    assert not [each for each in (await client.http.get("/openapi.json")).json()["paths"] if "console" in each]


async def test_a_turn_tells_how_it_came_about_and_is_counted_for_its_caller(client: SessionClient) -> None:
    body = {"model": "shaky", "messages": [{"role": "user", "content": "Hello"}]}
    before = await _used_requests(client)
    events = await _events(client, "/console/chat", body)
    assert "".join(each["chunk"] for each in events if each["type"] == "content") == "You said: Hello"
    end = events[-1]
    assert (end["type"], end["model"], len(end["attempts"])) == ("complete", "assistant", 2)
    assert end["usage"]["total_cost"] > 0
    turn = (await _turns(client))[0]
    assert (turn["model"], turn["served_model"], turn["outcome"]) == ("shaky", "assistant", "stop")
    assert [each["outcome"] for each in turn["attempts"]] == ["provider_overloaded", "ok"]
    assert turn["attempts"][1]["began_ms"] >= turn["attempts"][0]["ms"] - 1
    assert (await client.http.get("/console/limits")).json()["assistant/fake-echo"]["rpm"] == 600
    # The window slides, so that a request is less than one as soon as its minute is over.
    assert await _used_requests(client) == pytest.approx(before + 1, abs=0.5)


async def test_a_drill_changes_no_breaker_and_no_statistics(client: SessionClient) -> None:
    before = await _turns(client)
    events = await _events(client, "/console/drill", {"fault": "503"})
    assert events[-1]["type"] == "complete"
    assert await _turns(client) == before
    health = (await client.http.get("/health")).json()
    assert {each["breaker"] for each in health["deployments"]} == {"closed"}
    refused = await client.http.post("/console/drill", json={"fault": "fire"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "fault")


async def test_models_yaml_is_checked_and_without_the_switch_not_saved(client: SessionClient) -> None:
    file = (await client.http.get("/console/models-file")).json()
    assert (file["path"], file["editable"], file["problems"]) == ("models.yaml", False, [])
    edited = f"{file['text']}rooter_settings:\n"
    [problem] = (await client.http.post("/console/models-file/check", json={"text": edited})).json()["problems"]
    assert (problem["severity"], problem["line"]) == ("error", edited.count("\n"))
    saved = await client.http.put("/console/models-file", json={"text": file["text"], "version": file["version"]})
    assert (saved.status_code, saved.json()["error"]["code"]) == (403, "editing_disabled")
    assert "model_list" in (await client.http.get("/console/models-schema")).json()["properties"]


async def _events(client: SessionClient, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.http.post(path, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [orjson.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


async def _turns(client: SessionClient) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = (await client.http.get("/console/turns")).json()["turns"]
    return turns


async def _used_requests(client: SessionClient) -> float:
    return float(sum(each["requests"] for each in (await client.http.get("/console/limits")).json().values()))
