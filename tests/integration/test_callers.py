"""Callers of callers.yaml, through the real server: who is let in, with which models, and what each one sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from config.callers.caller import token_hash
from tests.support.persona_client import CHEF
from tests.support.serving import TOKEN, fake, serving
from tests.support.task_client import TaskClient, submitted

EMBEDDINGS = {**fake("vectors", "fake/embedding"), "model_info": {"mode": "embedding"}}
BROKEN = fake("broken", "openai/gpt-4o", api_key="os.environ/NO_SUCH_KEY")
MODELS = (fake("fast-1"), fake("fast-2"), fake("large"), EMBEDDINGS, BROKEN)
HI = [{"role": "user", "content": "Hi"}]
PATIENCE = 10
"""Seconds, for a busy machine."""


def token_of(name: str) -> str:
    return f"{name}-secret-token"


def entry(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "token_hash": token_hash(token_of(name)), **fields}


CALLERS = (
    entry("phone", models=["fast-*", "agent:sales"]),
    entry("everything"),
    entry("none", models=[]),
    entry("late", expires="2020-01-01"),
    entry("web", users="own"),
    entry("app", users="own"),
)


def write(folder: Path, *entries: Mapping[str, Any]) -> Path:
    """Save callers.yaml as editors do: a new file takes the old one's name."""
    new = folder / "callers.yaml.new"
    new.write_text(yaml.safe_dump({"callers": list(entries)}))
    return new.replace(folder / "callers.yaml")


class Clients:
    """A client for each caller, and for the operator's TOKEN."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self._stack = stack

    async def of(self, name: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {name if name == TOKEN else token_of(name)}"}
        return await self._stack.enter_async_context(httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20))


@asynccontextmanager
async def clients_of(url: str) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(url, stack)


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[Clients]:
    file = write(tmp_path, *CALLERS)
    agent = {"memory": {"long_term": True}}
    async with (
        serving(tmp_path, *MODELS, agent=agent, callers_file=file) as served,
        clients_of(served.url) as clients,
    ):
        yield clients


async def ask(http: httpx.AsyncClient, model: str | None = "fast-1", **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return await http.post("/v1/chat/completions", json=body)


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def names(http: httpx.AsyncClient) -> list[str]:
    return [each["id"] for each in (await http.get("/v1/models")).json()["data"]]


NOT_FOUND = (404, "model_not_found")


async def test_a_caller_is_let_in_until_its_token_expires_and_counted_by_its_name(clients: Clients) -> None:
    for token in ("everything", TOKEN):
        assert (await ask(await clients.of(token))).status_code == 200
    for token in ("late", "unknown"):
        refused = await ask(await clients.of(token))
        assert code_of(refused) == (401, "invalid_api_key")
    assert "expired" in (await ask(await clients.of("late"))).text
    counted = (await (await clients.of(TOKEN)).get("/stats")).json()["callers"]
    assert counted["everything"]["turns"] == 1 and len(counted) == 2


async def test_a_caller_uses_only_the_models_that_it_is_allowed(clients: Clients) -> None:
    phone, everything = await clients.of("phone"), await clients.of("everything")
    persona = (await everything.post("/agents/create-agent", json=CHEF | {"name": "sales", "model": "large"})).json()
    await everything.post("/agents/create-agent", json=CHEF | {"name": "other", "model": "fast-1"})
    assert await names(phone) == ["fast-1", "fast-2", "agent:sales"]
    assert await names(everything) == ["fast-1", "fast-2", "large", "agent:sales", "agent:other"]
    assert await names(await clients.of("none")) == []
    for model in ("fast-1", "fast-2", None, "default", "agent:sales", f"agent:{persona['id']}"):
        assert (await ask(phone, model)).status_code == 200
    for model in ("large", "agent:other", "no-such"):
        refused = await ask(phone, model)
        assert code_of(refused) == NOT_FOUND and refused.json()["error"]["param"] == "model"
        assert (await phone.get(f"/v1/models/{model}")).status_code == 404
    assert (await phone.get("/v1/models/fast-1")).status_code == 200
    by_fallback = await ask(phone, "fast-1", fallbacks=["fast-2", "large"])
    assert code_of(by_fallback) == NOT_FOUND and by_fallback.json()["error"]["param"] == "fallbacks"


async def test_no_api_leads_to_a_model_that_is_not_allowed(clients: Clients) -> None:
    phone, everything = await clients.of("phone"), await clients.of("everything")
    fields = CHEF | {"model": "large"}
    hidden = (await everything.post("/agents/create-agent", json=fields)).json()["id"]
    conversation = (await everything.post("/agents/create-conversation", json={"agent_id": hidden})).json()["id"]
    of_ann = {"user_id": "ann", "query": "Hi"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/chat", {"message": "Hi", "model": "large"}),
        ("/chat/stream", {"message": "Hi", "model": "large"}),
        ("/v1/embeddings", {"model": "vectors", "input": "Hi"}),
        ("/agent/invoke", {**of_ann, "model": "large"}),
        ("/agent/invoke/stream", {**of_ann, "model": "large"}),
        ("/agent/invoke", {**of_ann, "agent_id": hidden, "session_id": "with-agent"}),
        ("/agents/chat-agent", {"conversation_id": conversation, "message": "Hi"}),
        ("/agents/chat-agent/stream", {"conversation_id": conversation, "message": "Hi"}),
        ("/agents/create-agent", fields),
    ]
    for path, body in requests:
        assert code_of(await phone.post(path, json=body)) == NOT_FOUND, path
    assert (await phone.post("/agent/invoke", json=of_ann)).status_code == 200
    assert (await phone.patch(f"/agents/{hidden}", json={"model": "large"})).status_code == 404


async def test_a_caller_with_users_of_its_own_sees_nothing_of_others(clients: Clients) -> None:
    web, app, everything = [await clients.of(each) for each in ("web", "app", "everything")]
    said = {"user_id": "ann", "session_id": "s", "query": "Hi"}
    for http in (web, everything):
        assert (await http.post("/agent/invoke", json=said)).status_code == 200
        body = {"user_id": "ann", "memory_info": "Likes tea."}
        assert (await http.post("/agent/write/longterm", json=body)).status_code == 200
    assert (await app.get("/agent/sessionids/ann")).json() == {"session_ids": []}
    assert (await app.get("/agent/active/sessionid/ann")).json() == {"active_session_id": ""}
    assert (await app.get("/agent/longterm/ann")).json() == {"memories": []}
    assert (await app.get("/agent/status/ann/s")).json()["status"] == "not_found"
    for method, path in (
        ("GET", "history"),
        ("POST", "cancel"),
        ("DELETE", "session"),
    ):
        refused = await app.request(method, f"/agent/{path}/ann/s")
        assert code_of(refused) == (404, "session_not_found")
    refused = await app.patch("/agent/session/ann/s", json={"ttl": 60})
    assert code_of(refused) == (404, "session_not_found")
    resumption = {"user_id": "ann", "session_id": "s", "response_type": "accept"}
    assert code_of(await app.post("/agent/resume", json=resumption)) == (404, "session_not_found")
    memory = (await web.get("/agent/longterm/ann")).json()["memories"][0]["id"]
    assert code_of(await app.delete(f"/agent/longterm/ann/{memory}")) == (404, "memory_not_found")
    # Each sees its own, under its own names; who sees everybody finds them under the caller's name.
    status = (await web.get("/agent/status/ann/s")).json()
    assert (status["status"], status["user_id"]) == ("completed", "ann")
    assert (await everything.get("/agent/status/web:ann/s")).json()["status"] == "completed"
    assert len((await web.get("/agent/history/ann/s")).json()["messages"]) == 2
    assert (await web.patch("/agent/session/ann/s", json={"ttl": 60})).json()["user_id"] == "ann"
    assert (await web.post("/agent/cancel/ann/s")).json()["user_id"] == "ann"
    assert (await web.delete("/agent/session/ann/s")).status_code == 200
    assert (await everything.get("/agent/status/ann/s")).json()["status"] == "completed"
    too_long = await web.post("/agent/invoke", json={**said, "user_id": "x" * 255})
    assert code_of(too_long) == (422, "invalid_field")


async def test_a_caller_with_users_of_its_own_sees_only_its_own_conversations(clients: Clients) -> None:
    web, app, everything = [await clients.of(each) for each in ("web", "app", "everything")]
    agent = (await everything.post("/agents/create-agent", json=CHEF)).json()["id"]
    made = []
    for http in (web, everything):
        made.append((await http.post("/agents/create-conversation", json={"agent_id": agent})).json()["id"])
    of_web = {"conversation_id": made[0], "message": "Hi"}
    assert (await web.post("/agents/chat-agent", json=of_web)).status_code == 200
    seen = {}
    for name, http in (("web", web), ("app", app), ("everything", everything)):
        found = (await http.get("/agents/get-conversations", params={"agent_id": agent})).json()
        seen[name] = [each["id"] for each in found]
        [shown] = (await http.get("/agents/get-agents")).json()
        assert shown["conversations"] == found
    assert seen == {"web": made[:1], "app": [], "everything": made}
    gone = (404, "conversation_not_found")
    assert code_of(await app.post("/agents/chat-agent", json=of_web)) == gone
    assert code_of(await app.get("/agents/get-messages", params={"conversation_id": made[0]})) == gone
    assert code_of(await app.delete(f"/agents/conversations/{made[0]}")) == gone
    assert len((await web.get("/agents/get-messages", params={"conversation_id": made[0]})).json()) == 1
    assert (await web.delete(f"/agents/conversations/{made[0]}")).status_code == 200


async def test_agents_are_for_everybody_and_changed_by_who_made_them(clients: Clients) -> None:
    web, app, everything = [await clients.of(each) for each in ("web", "app", "everything")]
    agent = (await web.post("/agents/create-agent", json=CHEF)).json()["id"]
    seen = (await app.get("/agents/get-agents")).json()
    assert [each["id"] for each in seen] == [agent] and "owner" not in seen[0]
    await everything.post("/agents/create-conversation", json={"agent_id": agent})
    for refused in (
        await app.patch(f"/agents/{agent}", json={"temperature": 0.1}),
        await app.delete(f"/agents/{agent}", params={"cascade": True}),
    ):
        assert code_of(refused) == (403, "not_yours")
    assert (await app.delete(f"/agents/{'0' * 36}")).status_code == 404
    assert (await web.patch(f"/agents/{agent}", json={"temperature": 0.1})).json()["temperature"] == 0.1
    own = (await web.post("/agents/create-conversation", json={"agent_id": agent})).json()["id"]
    assert code_of(await web.delete(f"/agents/{agent}", params={"cascade": True})) == (409, "agent_in_use")
    assert (await web.get("/agents/get-messages", params={"conversation_id": own})).status_code == 200
    assert (await everything.delete(f"/agents/{agent}", params={"cascade": True})).status_code == 200


async def test_a_caller_sees_only_the_tasks_of_its_users(clients: Clients) -> None:
    web, app, everything = [await clients.of(each) for each in ("web", "app", "everything")]
    task = submitted(await web.post("/agent/invoke/async", json={"user_id": "ann", "query": "Hi"}))
    for path in (f"/agent/task/{task}", f"/agent/task/{task}/events"):
        assert code_of(await app.get(path)) == code_of(await app.get(path.replace(task, "0" * 32)))
        assert code_of(await app.get(path)) == (404, "task_not_found")
    assert code_of(await app.delete(f"/agent/task/{task}")) == (404, "task_not_found")
    assert (await app.get("/agent/tasks/ann")).json() == {"tasks": []}
    ended = await TaskClient(web, "ann").ended(task)
    assert (ended["status"], ended["user_id"]) == ("completed", "ann")
    assert [each["user_id"] for each in (await web.get("/agent/tasks/ann")).json()["tasks"]] == ["ann"]
    assert "completed" in (await web.get(f"/agent/task/{task}/events")).text
    assert (await everything.get(f"/agent/task/{task}")).json()["user_id"] == "web:ann"
    assert (await web.delete(f"/agent/task/{task}")).json()["user_id"] == "ann"


async def test_a_response_in_the_background_belongs_to_its_caller(clients: Clients) -> None:
    web, app, everything = [await clients.of(each) for each in ("web", "app", "everything")]
    asked = {"input": "/say Hm.\n/wait 60s", "background": True}
    response = f"/v1/responses/{(await web.post('/v1/responses', json=asked)).json()['id']}"
    for other in (app, everything):
        for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
            assert code_of(await other.request(method, response + path)) == (404, "response_not_found")
    assert (await web.post(f"{response}/cancel")).json()["status"] == "cancelled"
    phone = await clients.of("phone")
    assert code_of(await phone.post("/v1/responses", json={**asked, "model": "large"})) == NOT_FOUND


async def test_a_task_runs_with_what_its_caller_may_use(clients: Clients) -> None:
    phone, everything = await clients.of("phone"), await clients.of("everything")
    of_ann = {"user_id": "ann", "session_id": "s", "query": "Hi"}
    for model in ("large", "no-such"):
        assert code_of(await phone.post("/agent/invoke/async", json={**of_ann, "model": model})) == NOT_FOUND
    assert (await everything.post("/agent/invoke", json={**of_ann, "model": "large"})).status_code == 200
    assert code_of(await phone.post("/agent/invoke/async", json=of_ann)) == NOT_FOUND  # the session's own model
    own = {**of_ann, "session_id": "own"}
    task = submitted(await phone.post("/agent/invoke/async", json=own))
    assert (await TaskClient(phone, "ann").ended(task))["status"] == "completed"


async def test_a_task_of_a_caller_that_was_removed_does_not_run(clients: Clients, tmp_path: Path) -> None:
    removed, everything = await clients.of("app"), await clients.of("everything")
    slow = {"user_id": "ann", "session_id": "s", "query": "/say Hm.\n/wait 60s"}
    first = submitted(await removed.post("/agent/invoke/async", json=slow))
    waits = submitted(await removed.post("/agent/invoke/async", json={**slow, "query": "Hi"}))
    write(tmp_path, entry("everything"))
    async with asyncio.timeout(PATIENCE):
        while (await removed.get("/v1/models")).status_code != 401:
            await asyncio.sleep(0.02)
    client = TaskClient(everything, "app:ann")
    await client.cancel_task(first)
    ended = await client.ended(waits)
    assert (ended["status"], ended["error"]["code"]) == ("error", "token_withdrawn")


async def test_only_operators_see_and_change_what_all_callers_share(clients: Clients) -> None:
    operator = await clients.of(TOKEN)
    calls = [
        ("GET", "/stats", {}),
        ("GET", "/stats/timeseries", {}),
        ("POST", "/reset-stats", {}),
        ("GET", "/metrics", {}),
        ("GET", "/console/turns", {}),
        ("GET", "/console/limits", {}),
        ("GET", "/console/models-file", {}),
        ("POST", "/console/models-file/check", {"text": ""}),
        ("PUT", "/console/models-file", {"text": "", "version": ""}),
        ("POST", "/console/drill", {"fault": "503"}),
    ]
    for method, path, body in calls:
        for token in ("web", "everything"):
            refused = await (await clients.of(token)).request(method, path, json=body or None)
            assert code_of(refused) == (403, "operator_only"), path
            assert refused.json()["error"]["type"] == "permission_error"
        allowed = await operator.request(method, path, json=body or None)
        assert "operator_only" not in allowed.text, path
    assert (await (await clients.of("web")).post("/console/chat", json={"messages": HI, "model": "fast-1"})).is_success


async def test_a_model_that_is_not_allowed_cannot_be_told_from_one_that_does_not_exist(clients: Clients) -> None:
    phone, everything = await clients.of("phone"), await clients.of("everything")
    await everything.post("/agents/create-agent", json=CHEF | {"name": "hidden", "model": "large"})

    async def told(path: str, body: dict[str, Any], there: str, not_there: str) -> None:
        same_id = {"x-request-id": "req-1"}  # Anthropic's errors have it
        found = [await phone.post(path, json={**body, "model": each}, headers=same_id) for each in (there, not_there)]
        texts = [each.text.replace(name, "NAME") for each, name in zip(found, (there, not_there), strict=True)]
        assert texts[0] == texts[1] and found[0].status_code == found[1].status_code == 404

    for there, not_there in (("large", "no-such"), ("broken", "no-such"), ("agent:hidden", "agent:no-such")):
        await told("/v1/chat/completions", {"messages": HI}, there, not_there)
        await told("/v1/messages", {"messages": HI, "max_tokens": 9}, there, not_there)
        await told("/v1/messages/count_tokens", {"messages": HI}, there, not_there)
        await told("/chat", {"message": "Hi"}, there, not_there)
        got = [(await phone.get(f"/v1/models/{name}")).text.replace(name, "") for name in (there, not_there)]
        assert got[0] == got[1]
    await told("/agent/invoke", {"user_id": "ann", "query": "Hi"}, "broken", "no-such")
    await told("/v1/embeddings", {"input": "Hi"}, "vectors", "no-such")
    for model in ("large", "no-such"):
        by_fallback = await ask(phone, fallbacks=[model])
        assert code_of(by_fallback) == NOT_FOUND and by_fallback.json()["error"]["param"] == "fallbacks"


async def test_callers_change_while_the_server_runs(clients: Clients, tmp_path: Path) -> None:
    new, old = await clients.of("new"), await clients.of("everything")

    async def until(status: int, http: httpx.AsyncClient) -> None:
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/v1/models")).status_code != status:
                await asyncio.sleep(0.02)

    write(tmp_path, entry("new"))
    await until(200, new)
    assert (await old.get("/v1/models")).status_code == 401
    write(tmp_path, {"name": "new", "token": "t"})
    async with asyncio.timeout(PATIENCE):
        while (health := (await new.get("/health")).json()["reload"])["ok"]:
            await asyncio.sleep(0.02)
    assert "callers.yaml:3: callers[0].token: unknown key; did you mean 'token_hash'?" in health["problems"]
    assert (await new.get("/v1/models")).status_code == 200  # the last valid file stays in force
