"""`/agent/*` as applications use it: the real server on a real port, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from pydantic import SecretStr
from sqlalchemy import select

from agent.sessions.sessions_table import sessions
from agent.sessions.store import SessionStore
from agent.sessions.sweeper import Sweeper
from agent.sessions.threads import Threads
from agent.storage.checkpoints import open_checkpoints
from agent.storage.database import open_database
from agent.turns import TurnService
from config.profile.agent_file import AgentProfile
from router.fake.sample_text import ANSWER
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import (
    SessionClient,
    assert_error,
    client_of,
    parse_event,
    parse_turn,
    said_in,
    text_of,
    types_of,
)
from tests.support.task_client import TaskClient

TRANSFER = "/say One moment.\n/call transferCall"
BOOK = '/call book_hotel {"hotel_name": "Ritz"}'


@pytest.fixture
async def server(tmp_path: Path, database_url: SecretStr, provider: FakeProvider) -> AsyncIterator[Served]:
    models = [
        fake(),
        fake("broken", "fake/503"),
        fake("shaky", "fake/cut"),
        direct("provider", provider.base_url, "fake-ok"),
        direct("paced", provider.base_url, "fake-ok?gap=100ms&tokens=600"),
    ]
    agent = {
        "tools": ["transferCall", "multiply", "book_hotel"],
        "review": ["book_hotel"],
        "memory": {"long_term": True},
    }
    async with serving(
        tmp_path, *models, agent=agent, router={"num_retries": 0}, database_url=database_url, keep_alive_interval=0.05
    ) as served:
        yield served


@pytest.fixture
async def store(tmp_path: Path, database_url: SecretStr) -> AsyncIterator[SessionStore]:
    """The store of another process on the server's database; it blocks while it opens, so it has to come first."""
    async with open_database(database_url.get_secret_value(), tmp_path, 2, 10.0) as database:
        yield SessionStore(database)


# Invoke


async def test_a_turn_in_one_answer(client: SessionClient) -> None:
    answer = await client.invoke("Hello")
    [said] = answer["result"]["messages"]
    assert (said["role"], said["content"]) == ("assistant", "You said: Hello")
    assert answer.keys() == {
        "session_id", "status", "timestamp", "message", "result", "interrupt_data", "interrupts"
    }  # fmt: skip
    assert (answer["session_id"], answer["status"]) == ("s", "completed")
    assert (answer["message"], answer["interrupt_data"], answer["interrupts"]) == ("", None, [])
    assert said_in(answer) == "You said: Hello"
    usage = answer["result"]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > usage["output_tokens"] > 0


async def test_a_turn_in_a_stream(client: SessionClient) -> None:
    events = await client.stream("invoke", query='/say Six times seven.\n/call multiply {"a": 6, "b": 7}')
    assert types_of(events) == ["text_chunk", "tool_call", "text_chunk", "completed"]
    assert text_of(events) == "Six times seven. The tool answered: 42"
    [called] = [event for event in events if event["type"] == "tool_call"]
    [call] = called["data"]["tool_calls"]
    assert (call.keys(), call["name"], call["args"]) == ({"id", "name", "args", "type"}, "multiply", {"a": 6, "b": 7})
    done = events[-1]["data"]
    assert (done["status"], said_in(done)) == ("completed", "Six times seven.The tool answered: 42")
    assert [each["role"] for each in done["result"]["messages"]] == ["assistant", "tool", "assistant"]
    assert all(event.keys() >= {"type", "session_id", "timestamp"} for event in events)


async def test_a_stream_brings_the_text_while_the_provider_still_speaks(
    client: SessionClient, provider: FakeProvider
) -> None:
    async with client.streaming("invoke", query="Hi", model="paced") as events:
        heard = [await anext(events) for _ in range(3)]
        assert [event["type"] for event in heard] == ["text_chunk"] * 3
        assert ANSWER.startswith(text_of(heard).strip())
        assert provider.log[-1].ended is None


async def test_the_stream_and_the_whole_answer_say_the_same(client: SessionClient) -> None:
    query = '/say Well.\n/call multiply {"a": 3, "b": 3}'
    streamed = (await client.stream("invoke", "streamed", query=query))[-1]["data"]
    answer = await client.invoke(query, "whole")

    def bare(answer: dict[str, Any]) -> Any:
        messages = [(each["role"], each["content"]) for each in answer["result"]["messages"]]
        return answer["status"], said_in(answer), messages, answer["result"]["usage"], answer["interrupt_data"]

    assert bare(streamed) == bare(answer)


async def test_the_agent_knows_what_was_said_before_in_the_session_alone(
    client: SessionClient, provider: FakeProvider
) -> None:
    await client.invoke("My name is Ada.", "a")
    await client.invoke("I like tea.", "b")
    await client.invoke("Who am I?", "a", model="provider")
    sent = [(each["role"], each["content"]) for each in provider.log[-1].body["messages"]]
    assert sent == [
        ("system", "Be kind."),
        ("user", "My name is Ada."),
        ("assistant", "You said: My name is Ada."),
        ("user", "Who am I?"),
    ]


async def test_a_system_message_stands_in_the_place_of_the_prompt_and_is_kept_from_the_start(
    client: SessionClient, provider: FakeProvider
) -> None:
    await client.invoke("Hi", system_message="You sell boats.", model="provider")
    await client.invoke("Hi again", model="provider")
    await client.invoke("And again", system_message="You sell cars.", model="provider")
    prompts = [
        [each["content"] for each in asked.body["messages"] if each["role"] == "system"] for asked in provider.log
    ]
    assert prompts == [["You sell boats."], ["You sell boats."], ["You sell cars."]]


async def test_the_model_of_the_first_turn_is_the_sessions_unless_another_is_named(
    client: SessionClient, provider: FakeProvider
) -> None:
    first = await client.invoke("Hi", model="provider")
    second = await client.invoke("Hi again")
    third = await client.invoke("Hi again", model="fake")
    fourth = await client.invoke("Hi again", "other", model="default")
    assert [said_in(each) for each in (first, second)] == [ANSWER, ANSWER]
    assert [said_in(each) for each in (third, fourth)] == ["You said: Hi again", "You said: Hi again"]
    assert len(provider.log) == 2


async def test_without_an_id_the_latest_live_session_goes_on_else_a_new_one_begins(
    store: SessionStore, client: SessionClient
) -> None:
    made = (await client.invoke("One", None))["session_id"]
    assert len(made) == 32
    assert (await client.invoke("Two", None))["session_id"] == made
    assert (await client.invoke("Three", "named"))["session_id"] == "named"
    assert (await client.invoke("Four", None))["session_id"] == "named"
    assert (await client.of("bob").invoke("Hi", None))["session_id"] not in (made, "named")
    await store.set_expiry("ann", "named", -1)
    assert (await client.invoke("Five", None))["session_id"] == made
    await store.set_expiry("ann", made, -1)
    assert (await client.invoke("Six", None))["session_id"] not in (made, "named")


async def test_a_stream_without_an_id_names_the_session_in_each_event(client: SessionClient) -> None:
    response = await client.post("invoke/stream", query="Hi")
    [session_id] = (await client.get("sessionids/ann"))["session_ids"]
    events = response.text.count("data: ")
    assert events > 1
    # `completed` names it once more, in its data.
    assert response.text.count(f'"session_id":"{session_id}"') == events + 1


# Failures


async def test_a_failed_turn_says_so_and_the_session_goes_on(client: SessionClient) -> None:
    answer = await client.invoke("Is anybody there?", model="broken")
    assert answer["status"] == "error"
    assert answer["error"]["code"] == "all_deployments_failed"
    assert answer["message"] == answer["error"]["message"]
    status = await client.status()
    assert (status["status"], status["message"]) == ("error", answer["message"])
    assert status["last_query"] == "Is anybody there?"
    assert (await client.invoke("Hello?", model="fake"))["status"] == "completed"
    assert [text for role, text in await client.transcript() if role == "user"] == ["Is anybody there?", "Hello?"]


async def test_a_failed_turn_in_a_stream_ends_with_an_error_and_keeps_what_was_said(client: SessionClient) -> None:
    events = await client.stream("invoke", query="Hi", model="shaky")
    assert types_of(events) == ["text_chunk", "error"]
    assert events[-1].keys() == {"type", "error_message", "code", "session_id", "timestamp"}
    assert events[-1]["code"] == "answer_interrupted"
    assert (await client.status())["message"] == events[-1]["error_message"]
    assert await client.transcript() == [("user", "Hi"), ("assistant", text_of(events))]
    assert (await client.invoke("Hello?", model="fake"))["status"] == "completed"


async def test_a_model_that_does_not_exist_changes_nothing(client: SessionClient) -> None:
    assert_error(await client.post("invoke", session_id="s", query="Hi", model="gpt-9"), 404, "model_not_found")
    assert_error(await client.post("invoke/stream", session_id="s", query="Hi", model="gpt-9"), 404, "model_not_found")
    assert (await client.status())["status"] == "not_found"
    assert (await client.get("sessionids/ann"))["session_ids"] == []


async def test_a_stream_that_waits_in_vain_still_names_its_session(client: SessionClient) -> None:
    async with client.streaming("invoke", query="Hi", model="paced") as events:
        await anext(events)
        body = {"user_id": "ann", "session_id": "s", "query": "Hello?", "on_busy": "enqueue"}
        async with client.http.stream("POST", "/agent/invoke/stream", json=body) as waiting:
            lines = waiting.aiter_lines()
            assert await anext(lines) == ": keep-alive"  # the status is out, so what follows has to be an event
            await client.http.delete("/agent/session/ann/s")
            [error] = [event async for line in lines if (event := parse_event(line))]
    assert (error["type"], error["code"], error["session_id"]) == ("error", "session_not_found", "s")


# Finding sessions again


async def test_a_users_sessions_are_listed_with_the_last_active_first(client: SessionClient) -> None:
    for session_id in ("a", "b", "c"):
        await client.invoke("Hi", session_id)
    await client.invoke("Hi again", "a")
    await client.of("bob").invoke("Hi", "d")
    assert await client.get("sessionids/ann") == {"session_ids": ["a", "c", "b"]}
    assert await client.get("sessionids/ann", limit=1, offset=1) == {"session_ids": ["c"]}
    assert await client.get("active/sessionid/ann") == {"active_session_id": "a"}


async def test_without_a_limit_all_sessions_are_listed(store: SessionStore, client: SessionClient) -> None:
    names = [f"s{number}" for number in range(101)]
    for name in names:
        await store.create("ann", name)
    assert sorted((await client.get("sessionids/ann"))["session_ids"]) == sorted(names)
    assert len((await client.get("sessionids/ann", offset=1))["session_ids"]) == 100


async def test_a_failed_turn_is_what_the_last_one_answered(client: SessionClient) -> None:
    answer = await client.invoke("Hi", model="shaky")
    assert (answer["status"], answer["error"]["code"]) == ("error", "answer_interrupted")
    assert said_in(answer)
    assert (await client.status())["last_response"] == answer


async def test_a_user_who_never_came_has_no_sessions(client: SessionClient) -> None:
    assert await client.get("sessionids/eve") == {"session_ids": []}
    assert await client.get("active/sessionid/eve") == {"active_session_id": ""}
    assert await client.status("s") == {
        "user_id": "ann",
        "session_id": "s",
        "status": "not_found",
        "message": "The user has no such session, or it has expired.",
        "last_query": None,
        "last_response": None,
        "last_updated": None,
        "expires_at": None,
        "interrupt_data": None,
        "interrupts": [],
    }


async def test_the_status_has_all_that_a_client_needs_to_go_on(client: SessionClient) -> None:
    answer = await client.invoke("Hello")
    status = await client.status()
    assert 0 <= time.time() - status.pop("last_updated") < 60
    assert status == {
        "user_id": "ann",
        "session_id": "s",
        "status": "completed",
        "message": "",
        "last_query": "Hello",
        "last_response": answer,
        "expires_at": None,
        "interrupt_data": None,
        "interrupts": [],
    }


async def test_the_status_is_running_while_a_turn_runs_and_idle_after_a_hang_up(client: SessionClient) -> None:
    async with client.streaming("invoke", query="Hi", model="paced") as events:
        await anext(events)
        running = await client.status()
        assert (running["status"], running["last_query"]) == ("running", "Hi")
        busy = assert_error(await client.post("invoke", session_id="s", query="Hello?"), 409, "session_busy")
        assert busy["type"] == "conflict_error"
    while (status := await client.status())["status"] == "running":
        pass
    assert status["status"] == "idle"
    assert [text for role, text in await client.transcript() if role == "user"] == ["Hi"]
    assert (await client.transcript())[-1][1] == said_in(status["last_response"])


async def test_the_history_is_in_openais_form_and_paged(client: SessionClient) -> None:
    await client.invoke('/call multiply {"a": 6, "b": 7}')
    page = await client.get("history/ann/s")
    asked, called, result, said = page.pop("messages")
    assert page == {"session_id": "s", "total": 4, "offset": 0}
    assert asked["role"] == "user"
    [call] = called["tool_calls"]
    assert (call["name"], call["args"]) == ("multiply", {"a": 6, "b": 7})
    assert call["function"] == {"name": "multiply", "arguments": '{"a": 6, "b": 7}'}
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", call["id"], "42")
    assert (said["role"], said["content"]) == ("assistant", "The tool answered: 42")
    assert len({each["id"] for each in (asked, called, result, said)}) == 4
    assert await client.history(limit=2, offset=1) == [called, result]
    assert await client.get("history/ann/s", offset=9) == {
        "session_id": "s", "total": 4, "offset": 9, "messages": []
    }  # fmt: skip


async def test_one_user_sees_nothing_of_another(client: SessionClient) -> None:
    await client.invoke("A secret.")
    eve = client.of("eve")
    assert (await eve.status())["status"] == "not_found"
    for method, path in (
        ("GET", "history/eve/s"),
        ("DELETE", "session/eve/s"),
        ("POST", "cancel/eve/s"),
    ):
        assert_error(await client.http.request(method, f"/agent/{path}"), 404, "session_not_found")
    assert_error(await client.http.patch("/agent/session/eve/s", json={"ttl": 5}), 404, "session_not_found")
    assert_error(await eve.post("resume", session_id="s", response_type="accept"), 404, "session_not_found")
    await eve.invoke("Mine.")
    assert await eve.transcript() == [("user", "Mine."), ("assistant", "You said: Mine.")]
    assert await client.transcript() == [("user", "A secret."), ("assistant", "You said: A secret.")]


async def test_ids_may_hold_whatever_fits_into_a_path(client: SessionClient) -> None:
    odd = client.of("Зоя + 50% & co?#")
    await odd.invoke("Hi", "línea:1;x=y")
    path = "%D0%97%D0%BE%D1%8F%20%2B%2050%25%20%26%20co%3F%23/l%C3%ADnea%3A1%3Bx%3Dy"
    assert (await client.get(f"status/{path}"))["status"] == "completed"
    assert (await client.get(f"history/{path}"))["total"] == 2


# Hand-offs


async def test_a_hand_off_is_a_tool_call_and_leaves_the_session_usable(client: SessionClient) -> None:
    events = await client.stream("invoke", query=TRANSFER)
    assert types_of(events) == ["text_chunk", "tool_call", "completed"]
    [call] = events[-2]["data"]["tool_calls"]
    assert (call["name"], call["args"]) == ("transferCall", {"destination": "+1234567890"})
    answer = await client.invoke(TRANSFER)
    assert answer["status"] == "completed"
    [made] = answer["result"]["messages"][0]["tool_calls"]
    assert made["function"]["name"] == "transferCall"
    assert said_in(await client.invoke("Are you back?")) == "You said: Are you back?"


# Cancel


async def test_cancel_ends_the_turn_and_keeps_only_what_was_heard(
    client: SessionClient, provider: FakeProvider
) -> None:
    async with client.streaming("invoke", query="Hi", model="paced") as events:
        first = [await anext(events) for _ in range(4)]
        heard = " ".join(text_of(first).split()[:3])
        response = await client.http.post("/agent/cancel/ann/s", json={"heard": heard})
        rest = [event async for event in events]
    assert (rest[-1]["type"], rest[-1]["code"]) == ("error", "cancelled")
    assert provider.log[-1].ended_by == "caller"
    assert response.status_code == 200
    assert (response.json()["status"], said_in(response.json()["last_response"])) == ("idle", heard)
    assert await client.transcript() == [("user", "Hi"), ("assistant", heard)]
    await client.invoke("Go on.", model="provider")
    assert [each["content"] for each in provider.log[-1].body["messages"]] == ["Be kind.", "Hi", heard, "Go on."]


async def test_cancel_needs_no_body_and_does_nothing_where_no_turn_runs(client: SessionClient) -> None:
    assert_error(await client.http.post("/agent/cancel/ann/s"), 404, "session_not_found")
    await client.invoke("Hi")
    response = await client.http.post("/agent/cancel/ann/s")
    assert response.json() == await client.status()
    assert response.json()["status"] == "completed"


async def test_what_was_heard_of_a_finished_answer_can_be_told_too(client: SessionClient) -> None:
    await client.invoke("/say One two three four.")
    cut = await client.http.post("/agent/cancel/ann/s", json={"heard": "One two"})
    assert (cut.json()["status"], said_in(cut.json()["last_response"])) == ("completed", "One two")
    nothing = await client.http.post("/agent/cancel/ann/s", json={"heard": ""})
    assert said_in(nothing.json()["last_response"]) == ""
    assert await client.transcript() == [("user", "/say One two three four.")]
    assert (await client.invoke("Hello?"))["status"] == "completed"


# Expiry


async def test_an_expiry_is_set_at_the_start_and_changed_and_taken_away(client: SessionClient) -> None:
    def seconds_left(status: dict[str, Any]) -> float:
        return float(status["expires_at"]) - time.time()

    await client.invoke("Hi", ttl=100)
    assert 40 < seconds_left(await client.status()) <= 100
    changed = await client.http.patch("/agent/session/ann/s", json={"ttl": 1000})
    assert 940 < seconds_left(changed.json()) <= 1000
    await client.invoke("Hi again")
    assert 900 < seconds_left(await client.status()) <= 1000
    never = await client.http.patch("/agent/session/ann/s", json={"ttl": None})
    assert never.json() == await client.status()
    assert never.json()["expires_at"] is None
    await client.invoke("Hi", ttl=500)
    assert 440 < seconds_left(await client.status()) <= 500
    await client.invoke("Hi", ttl=None)
    assert (await client.status())["expires_at"] is None


async def test_an_expired_session_is_gone_at_once_and_its_id_is_free(
    store: SessionStore, client: SessionClient
) -> None:
    await client.invoke("A secret.")
    await store.set_expiry("ann", "s", -1)
    assert (await client.status())["status"] == "not_found"
    assert await client.get("sessionids/ann") == {"session_ids": []}
    assert await client.get("active/sessionid/ann") == {"active_session_id": ""}
    assert_error(await client.http.get("/agent/history/ann/s"), 404, "session_not_found")
    await client.invoke("Hello")
    assert await client.transcript() == [("user", "Hello"), ("assistant", "You said: Hello")]


async def test_the_servers_own_expiry_holds_for_new_sessions_that_name_none(
    tmp_path: Path, database_url: SecretStr
) -> None:
    async with serving(tmp_path, agent={}, database_url=database_url, session_ttl=60) as served:
        async with client_of(served) as client:
            await client.invoke("Hi", "a")
            await client.invoke("Hi", "b", ttl=None)
            assert (await client.status("a"))["expires_at"] is not None
            assert (await client.status("b"))["expires_at"] is None


async def test_nothing_is_left_of_a_deleted_session_nor_of_an_expired_one_once_it_is_swept(
    tmp_path: Path, database_url: SecretStr
) -> None:
    async with AsyncExitStack() as running:
        url = database_url.get_secret_value()
        database = await running.enter_async_context(open_database(url, tmp_path, 2, 10.0))
        checkpoints = await running.enter_async_context(open_checkpoints(database))
        served = await running.enter_async_context(serving(tmp_path, agent={}, database_url=database_url))
        client = await running.enter_async_context(client_of(served))
        store, turns = SessionStore(database), TurnService(cast(Any, None), AgentProfile("Be kind."))
        threads = {}
        for session_id in ("over", "live", "deleted"):
            await client.invoke("Hi", session_id)
            record = await store.find("ann", session_id)
            assert record
            threads[session_id] = record.thread_id

        async def stored() -> list[str]:
            configs: dict[str, RunnableConfig] = {
                name: {"configurable": {"thread_id": each}} for name, each in threads.items()
            }
            return [name for name, each in configs.items() if await checkpoints.aget_tuple(each)]

        assert await stored() == ["over", "live", "deleted"]
        await client.http.delete("/agent/session/ann/deleted")
        assert await stored() == ["over", "live"]
        await store.set_expiry("ann", "over", -1)
        assert await Sweeper(store, Threads(turns, checkpoints)).sweep() == 1
        assert await stored() == ["live"]
        async with database.read() as connection:
            assert list((await connection.execute(select(sessions.c.session_id))).scalars()) == ["live"]
        assert len(await client.transcript("live")) == 2


# Deleting


async def test_a_deleted_session_is_gone_with_all_that_was_said(client: SessionClient) -> None:
    await client.invoke("A secret.")
    deleted = await client.http.delete("/agent/session/ann/s")
    assert (deleted.status_code, deleted.json()) == (200, {"success": True})
    assert (await client.status())["status"] == "not_found"
    assert_error(await client.http.get("/agent/history/ann/s"), 404, "session_not_found")
    assert_error(await client.http.delete("/agent/session/ann/s"), 404, "session_not_found")
    await client.invoke("Hello")
    assert await client.transcript() == [("user", "Hello"), ("assistant", "You said: Hello")]


async def test_deleting_ends_the_turn_that_runs(client: SessionClient, provider: FakeProvider) -> None:
    async with client.streaming("invoke", query="Hi", model="paced") as events:
        await anext(events)
        assert (await client.http.delete("/agent/session/ann/s")).json() == {"success": True}
        rest = [event async for event in events]
    assert (rest[-1]["type"], rest[-1]["code"]) == ("error", "cancelled")
    assert provider.log[-1].ended_by == "caller"
    assert (await client.status())["status"] == "not_found"


# Beside the OpenAI API


async def test_chat_completions_stays_stateless_and_never_offers_a_reviewed_tool(
    client: SessionClient, provider: FakeProvider
) -> None:
    body = {"model": "provider", "messages": [{"role": "user", "content": "Hi"}], "user": "ann"}
    for _ in range(2):
        assert (await client.http.post("/v1/chat/completions", json=body)).status_code == 200
    assert len(provider.log[-1].body["messages"]) == 2
    assert await client.get("sessionids/ann") == {"session_ids": []}
    await client.invoke("Hi", model="provider")

    def offered(at: int) -> list[str]:
        return [tool["function"]["name"] for tool in provider.log[at].body["tools"]]

    assert offered(-2) == ["transferCall", "multiply"]
    assert offered(-1) == ["transferCall", "multiply", "book_hotel", "remember"]


async def test_chat_completions_refuses_a_call_of_a_reviewed_tool_that_the_model_makes_up(
    client: SessionClient,
) -> None:
    body = {"model": "fake", "messages": [{"role": "user", "content": BOOK}]}
    answer = (await client.http.post("/v1/chat/completions", json=body)).json()["choices"][0]
    assert answer["finish_reason"] == "stop"
    assert "Booked" not in answer["message"]["content"]


async def test_nothing_under_agent_is_open_to_who_has_no_token(server: Served) -> None:
    paths = {path: each for path, each in server.app.openapi()["paths"].items() if path.startswith("/agent/")}
    calls = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(calls) >= 14
    async with httpx.AsyncClient(base_url=server.url) as http:
        for method, path in calls:
            assert_error(await http.request(method, path), 401, "invalid_api_key")
            wrong = await http.request(method, path, headers={"Authorization": "Bearer wrong"})
            assert_error(wrong, 401, "invalid_api_key")


async def test_no_cache_may_keep_what_a_user_said(client: SessionClient) -> None:
    invoked = await client.post("invoke", query="Hi", session_id="s")
    written = await client.post("write/longterm", memory_info="Likes tea.")
    read = [
        await client.http.get(f"/agent/{path}")
        for path in ("history/ann/s", "status/ann/s", "longterm/ann", "sessionids/ann", "active/sessionid/ann")
    ]
    for response in (invoked, written, *read):
        assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")


async def test_what_the_client_sent_comes_back_letter_for_letter(client: SessionClient) -> None:
    odd = "你好 \U0001f600\t\u2028 \"quoted\" 'and' \\back\\slashed\\ data: [DONE]"
    events = await client.stream("invoke", query=odd)
    assert text_of(events) == f"You said: {odd}"
    assert (await client.transcript())[0] == ("user", odd)
    assert (await client.status())["last_query"] == odd


async def test_a_pending_review_is_told_to_who_asks_for_the_status(client: SessionClient) -> None:
    answer = parse_turn(await client.post("invoke", query=BOOK, session_id="s"))
    status = await client.status()
    assert (answer["status"], status["status"]) == ("interrupted", "interrupted")
    assert answer["message"] == status["message"] == ""
    assert status["last_response"] == answer
    assert answer["interrupt_data"] == status["interrupt_data"] == status["interrupts"][0] == answer["interrupts"][0]


# Background


async def test_a_session_is_there_as_soon_as_its_first_task_is_accepted(
    tmp_path: Path, database_url: SecretStr
) -> None:
    async with (
        serving(tmp_path, fake(first_token_timeout=60), database_url=database_url, task_concurrency=1) as served,
        httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=60) as http,
    ):
        first, second = TaskClient(http, "first"), TaskClient(http, "second")
        runs = await first.submit("/wait 60s\n/say Done.")
        task, session_id = (await second.post("invoke/async", query="Hello", ttl=60)).json().values()
        assert (await second.task(task))["status"] == "queued"
        status = await second.status(session_id)
        assert (status["status"], status["last_query"]) == ("idle", None)
        assert await second.get("sessionids/second") == {"session_ids": [session_id]}
        assert await second.get("active/sessionid/second") == {"active_session_id": session_id}
        assert (await second.post("invoke/async", query="And?")).json()["session_id"] == session_id
        await first.cancel_task(runs)
        assert (await second.ended(task))["status"] == "completed"
        assert (await second.status(session_id))["expires_at"] is not None
