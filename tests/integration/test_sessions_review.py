"""Human review through `/agent/*`: a tool runs after the decision alone, once, and not at all when it is declined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import SecretStr

from agent.tools.review import DECLINED, NOT_REVIEWED
from agent.tools.tool_set import SERVER_TOOLS
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_client import Json, SessionClient, assert_error, client_of, said_in, text_of, types_of

AGENT = {"tools": ["transferCall", "multiply", "book_hotel"], "review": ["book_hotel", "multiply"]}
RITZ = '/call book_hotel {"hotel_name": "Ritz"}'
BOTH = f'/say One moment.\n{RITZ}\n/call multiply {{"a": 6, "b": 7}}'
THREE = "\n".join(f'/call book_hotel {{"hotel_name": "{name}"}}' for name in ("Ritz", "Savoy", "Adlon"))


@pytest.fixture
def booked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hotels that were booked, once for each time that the tool ran."""
    booked: list[str] = []

    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Book a room at the named hotel."""
        booked.append(hotel_name)
        return f"Booked a room at {hotel_name}."

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
    return booked


@pytest.fixture
async def server(
    tmp_path: Path, database_url: SecretStr, booked: list[str], provider: FakeProvider
) -> AsyncIterator[Served]:
    models = [fake(), fake("other"), direct("provider", provider.base_url, "fake-ok")]
    async with serving(tmp_path, *models, agent=AGENT, database_url=database_url) as served:
        yield served


async def pending(client: SessionClient, query: str = RITZ) -> list[str]:
    """The interrupt ids after a turn that has to stop for a review."""
    answer = await client.invoke(query)
    assert answer["status"] == "interrupted"
    return ids_in(answer)


def ids_in(answer: Json) -> list[str]:
    assert answer["interrupt_data"] == (answer["interrupts"] or [None])[0]
    return [each["interrupt_id"] for each in answer["interrupts"]]


async def results(client: SessionClient) -> list[str]:
    """What the model reads of the tools."""
    return [text for role, text in await client.transcript() if role == "tool"]


# Asking


async def test_the_reviewer_is_asked_before_the_tool_runs(client: SessionClient, booked: list[str]) -> None:
    answer = await client.invoke(BOTH)
    assert (answer["status"], booked) == ("interrupted", [])
    assert answer["message"] == ""
    first, second = answer["interrupts"]
    assert answer["interrupt_data"] == first
    assert first == {
        "interrupt_id": first["interrupt_id"],
        "action_request": {"action": "book_hotel", "args": {"hotel_name": "Ritz"}},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
        "description": "Book a room at the named hotel.",
        "tool_call_id": (await client.history())[-1]["tool_calls"][0]["id"],
        "args_schema": {
            "title": "book_hotel",
            "description": "Book a room at the named hotel.",
            "type": "object",
            "properties": {"hotel_name": {"title": "Hotel Name", "type": "string"}},
            "required": ["hotel_name"],
        },
    }
    assert second["action_request"] == {"action": "multiply", "args": {"a": 6, "b": 7}}
    assert len({first["interrupt_id"], second["interrupt_id"]}) == 2
    status = await client.status()
    assert (status["status"], status["message"]) == ("interrupted", answer["message"])
    assert (status["last_query"], status["last_response"]) == (BOTH, answer)
    assert (status["interrupt_data"], status["interrupts"]) == (first, [first, second])


async def test_a_stream_tells_of_the_call_and_ends_with_the_interrupt(client: SessionClient, booked: list[str]) -> None:
    events = await client.stream("invoke", query=BOTH)
    assert types_of(events) == ["text_chunk", "tool_call", "tool_call", "interrupt"]
    last = events[-1]
    assert last.keys() == {"type", "interrupt_data", "interrupts", "session_id", "timestamp"}
    assert last["interrupts"] == (await client.status())["interrupts"]
    assert last["interrupt_data"] == last["interrupts"][0]
    assert booked == []


# The four answers

ANSWERS: list[tuple[dict[str, Any], list[str], str]] = [
    ({"response_type": "accept"}, ["Ritz"], "Booked a room at Ritz."),
    ({"response_type": "accept", "args": None}, ["Ritz"], "Booked a room at Ritz."),
    ({"response_type": "reject"}, [], DECLINED),
    ({"response_type": "reject", "args": "Too dear."}, [], f"{DECLINED} Too dear."),
    ({"response_type": "edit", "args": {"hotel_name": "Savoy"}}, ["Savoy"], "Booked a room at Savoy."),
    (
        {"response_type": "edit", "args": {"action": "book_hotel", "args": {"hotel_name": "Savoy"}}},
        ["Savoy"],
        "Booked a room at Savoy.",
    ),
    ({"response_type": "response", "args": "Ask for the dates."}, [], "Ask for the dates."),
    ({"decisions": [{"type": "approve"}]}, ["Ritz"], "Booked a room at Ritz."),
    ({"decisions": [{"type": "reject", "message": "Too dear."}]}, [], f"{DECLINED} Too dear."),
    (
        {"decisions": [{"type": "edit", "edited_action": {"name": "book_hotel", "args": {"hotel_name": "Savoy"}}}]},
        ["Savoy"],
        "Booked a room at Savoy.",
    ),
    ({"decisions": [{"type": "respond", "message": "Ask for the dates."}]}, [], "Ask for the dates."),
]


@pytest.mark.parametrize(("answer", "ran", "says"), ANSWERS, ids=[str(each) for each, _, _ in ANSWERS])
async def test_each_answer_does_what_it_says(
    client: SessionClient, booked: list[str], answer: dict[str, Any], ran: list[str], says: str
) -> None:
    await pending(client)
    done = await client.resume(**answer)
    assert (done["status"], done["interrupts"], booked) == ("completed", [], ran)
    result, said = done["result"]["messages"]
    assert (result["role"], said["role"]) == ("tool", "assistant")
    assert result["content"].endswith(says)
    assert said_in(done) == said["content"] == f"The tool answered: {result['content']}"
    assert (await client.status())["status"] == "completed"
    assert said_in(await client.invoke("Thanks.")) == "You said: Thanks."
    assert booked == ran


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"response_type": "accept"}, "42"),
        ({"response_type": "reject"}, DECLINED),
        ({"response_type": "edit", "args": {"a": 2, "b": 3}}, "6"),
        ({"response_type": "response", "args": "It is 43."}, "It is 43."),
    ],
)
async def test_an_answer_is_streamed_too(client: SessionClient, answer: dict[str, Any], says: str) -> None:
    await pending(client, '/call multiply {"a": 6, "b": 7}')
    events = await client.stream("resume", **answer)
    assert types_of(events) == ["text_chunk", "completed"]
    assert text_of(events).endswith(says)
    assert events[-1]["data"]["status"] == "completed"
    assert events[-1]["data"]["interrupt_data"] is None


async def test_the_model_is_told_what_the_reviewer_changed(client: SessionClient) -> None:
    await pending(client)
    await client.resume(response_type="edit", args={"hotel_name": "Savoy"})
    assert await results(client) == [
        '(The reviewer changed the arguments to {"hotel_name":"Savoy"}.)\nBooked a room at Savoy.'
    ]


async def test_an_answer_may_come_on_another_model_and_is_for_the_whole_rest_of_the_turn(
    client: SessionClient, provider: FakeProvider
) -> None:
    await pending(client)
    assert_error(
        await client.post("resume", session_id="s", response_type="accept", model="gpt-9"), 404, "model_not_found"
    )
    assert (await client.status())["status"] == "interrupted"
    await client.resume(response_type="accept", model="provider")
    assert provider.log[-1].body["messages"][-1]["content"] == "Booked a room at Ritz."


async def test_a_second_call_of_the_turn_is_asked_about_too(client: SessionClient, booked: list[str]) -> None:
    [first] = await pending(client, f'{RITZ}\n/then\n/call book_hotel {{"hotel_name": "Savoy"}}')
    again = await client.resume(response_type="accept")
    [second] = ids_in(again)
    assert (again["status"], booked) == ("interrupted", ["Ritz"])
    assert first != second
    assert_error(
        await client.post("resume", session_id="s", interrupt_id=first, response_type="accept"), 409, "not_pending"
    )
    done = await client.resume(interrupt_id=second, response_type="accept")
    assert (done["status"], booked) == ("completed", ["Ritz", "Savoy"])


async def test_the_rest_of_a_turn_has_the_model_and_the_system_message_of_its_beginning(
    client: SessionClient, provider: FakeProvider
) -> None:
    await client.invoke("Hi", system_message="You sell boats.", model="fake")
    twice = f"{RITZ}\n/then\n{RITZ}"
    begun = await client.invoke(twice, system_message="You sell cars.", model="other")
    assert begun["status"] == "interrupted"
    again = await client.resume(response_type="accept")
    assert again["status"] == "interrupted"
    assert again["result"]["messages"][-1]["response_metadata"]["model_name"] == "other"
    await client.resume(response_type="accept", model="provider")
    await client.invoke("Bye", model="provider")
    prompts = [each.body["messages"][0]["content"] for each in provider.log]
    assert prompts == ["You sell cars.", "You sell boats."]


# Several at once


async def test_several_calls_are_answered_by_id_in_any_order_and_each_runs_once(
    client: SessionClient, booked: list[str]
) -> None:
    ritz, savoy, adlon = await pending(client, THREE)
    first = await client.resume(interrupt_id=adlon, response_type="accept")
    assert (first["status"], ids_in(first), booked) == ("interrupted", [ritz, savoy], ["Adlon"])
    assert ids_in(await client.status()) == [ritz, savoy]
    second = await client.stream("resume", interrupt_id=ritz, response_type="edit", args={"hotel_name": "Plaza"})
    assert types_of(second) == ["interrupt"]
    assert (ids_in(second[-1]), booked) == ([savoy], ["Adlon", "Plaza"])
    done = await client.resume(interrupt_id=savoy, response_type="reject")
    assert (done["status"], booked) == ("completed", ["Adlon", "Plaza"])
    ritz_result, savoy_result, adlon_result = await results(client)
    assert ritz_result.endswith("Plaza.")
    assert (savoy_result, adlon_result) == (DECLINED, "Booked a room at Adlon.")


async def test_with_several_pending_an_answer_has_to_name_one(client: SessionClient, booked: list[str]) -> None:
    ids = await pending(client, THREE)
    error = assert_error(
        await client.post("resume", session_id="s", response_type="accept"), 400, "invalid_request", "interrupt_id"
    )
    assert error["param"] == "interrupt_id"
    assert all(each in error["message"] for each in ids)
    assert (ids_in(await client.status()), booked) == (ids, [])


async def test_langgraphs_form_answers_all_that_wait_in_their_order(client: SessionClient, booked: list[str]) -> None:
    await pending(client, THREE)
    edit = {"type": "edit", "edited_action": {"name": "book_hotel", "args": {"hotel_name": "Plaza"}}}
    done = await client.resume(decisions=[{"type": "approve"}, {"type": "reject"}, edit])
    assert done["status"] == "completed"
    assert sorted(booked) == ["Plaza", "Ritz"]
    assert (await results(client))[1] == DECLINED


async def test_a_tool_that_needs_no_review_runs_beside_one_that_does_and_only_once(
    tmp_path: Path, database_url: SecretStr, booked: list[str]
) -> None:
    agent = {"tools": ["multiply", "book_hotel"], "review": ["multiply"]}
    async with serving(tmp_path, agent=agent, database_url=database_url) as served, client_of(served) as client:
        answer = await client.invoke(BOTH)
        assert ([each["action_request"]["action"] for each in answer["interrupts"]], booked) == (["multiply"], ["Ritz"])
        done = await client.resume(response_type="accept")
        assert (done["status"], booked) == ("completed", ["Ritz"])
        assert await results(client) == ["Booked a room at Ritz.", "42"]


# Hand-offs beside a review


async def test_a_hand_off_beside_a_reviewed_call_comes_after_the_review(
    client: SessionClient, booked: list[str]
) -> None:
    first = await client.stream("invoke", query=f"{RITZ}\n/call transferCall")
    assert types_of(first) == ["tool_call", "interrupt"]
    assert first[0]["data"]["tool_calls"][0]["name"] == "book_hotel"
    rest = await client.stream("resume", response_type="accept")
    assert types_of(rest) == ["tool_call", "completed"]
    [call] = rest[0]["data"]["tool_calls"]
    assert (call["name"], call["args"]) == ("transferCall", {"destination": "+1234567890"})
    assert booked == ["Ritz"]
    assert said_in(await client.invoke("Are you back?")) == "You said: Are you back?"


# Answers that come too late, or twice


async def test_a_repeated_answer_is_refused_and_runs_nothing_twice(client: SessionClient, booked: list[str]) -> None:
    ids = await pending(client, THREE)
    for each in ids:
        await client.resume(interrupt_id=each, response_type="accept")
        again = await client.post("resume", session_id="s", interrupt_id=each, response_type="accept")
        assert_error(again, 409, "not_pending")
    assert booked == ["Ritz", "Savoy", "Adlon"]
    assert (await client.status())["status"] == "completed"


async def test_of_the_same_answers_at_once_one_counts(client: SessionClient, booked: list[str]) -> None:
    [each] = await pending(client)
    body = {"session_id": "s", "interrupt_id": each, "response_type": "accept"}
    answers = await asyncio.gather(*[client.post("resume", **body) for _ in range(8)])
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    codes = {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409}
    assert codes <= {"not_pending", "session_busy"}
    assert booked == ["Ritz"]


async def test_answers_to_different_calls_at_once_run_each_call_once(client: SessionClient, booked: list[str]) -> None:
    ids = await pending(client, THREE)

    async def answer(interrupt_id: str) -> None:
        body = {"session_id": "s", "interrupt_id": interrupt_id, "response_type": "accept"}
        while (response := await client.post("resume", **body)).status_code != 200:
            assert response.json()["error"]["code"] in ("session_busy", "not_pending")
            if response.json()["error"]["code"] == "not_pending":
                assert (await client.status())["status"] == "running"

    await asyncio.gather(*map(answer, ids))
    assert sorted(booked) == ["Adlon", "Ritz", "Savoy"]
    assert (await client.status())["status"] == "completed"


# A message while a review waits


async def test_a_plain_message_while_a_review_waits_says_what_is_pending(
    client: SessionClient, booked: list[str]
) -> None:
    [each] = await pending(client)
    before, said = await client.status(), await client.transcript()
    for path in ("invoke", "invoke/stream"):
        for session_id in ("s", None):
            refused = await client.post(path, session_id=session_id, query="Hello?")
            error = assert_error(refused, 409, "review_pending", f"book_hotel ({each})")
            assert "on_pending" in error["message"]
    assert await client.status() == before
    assert await client.transcript() == said
    assert (await client.resume(response_type="accept"))["status"] == "completed"
    assert booked == ["Ritz"]


async def test_a_message_that_is_refused_leaves_the_expiry_as_it_was(client: SessionClient) -> None:
    await pending(client)
    assert_error(await client.post("invoke", session_id="s", query="Hello?", ttl=5), 409, "review_pending")
    assert (await client.status())["expires_at"] is None


async def test_a_message_may_decline_what_waits_and_go_on(client: SessionClient, booked: list[str]) -> None:
    ids = await pending(client, THREE)
    await client.resume(interrupt_id=ids[1], response_type="accept")
    answer = await client.invoke("Never mind.", on_pending="reject")
    assert (answer["status"], said_in(answer)) == ("completed", "You said: Never mind.")
    assert booked == ["Savoy"]
    assert sorted(await results(client)) == sorted([NOT_REVIEWED, "Booked a room at Savoy.", NOT_REVIEWED])
    assert_error(
        await client.post("resume", session_id="s", interrupt_id=ids[0], response_type="accept"), 409, "not_pending"
    )


async def test_declining_by_a_message_is_harmless_where_nothing_waits(client: SessionClient) -> None:
    assert said_in(await client.invoke("Hi", on_pending="reject")) == "You said: Hi"
    assert said_in(await client.invoke("Hi again", on_pending="reject")) == "You said: Hi again"
    assert len(await client.transcript()) == 4


async def test_cancel_leaves_a_review_as_it_is(client: SessionClient, booked: list[str]) -> None:
    [each] = await pending(client)
    assert ids_in((await client.http.post("/agent/cancel/ann/s")).json()) == [each]
    assert_error(await client.http.post("/agent/cancel/ann/s", json={"heard": "One"}), 409, "review_pending")
    assert (await client.resume(response_type="accept"))["status"] == "completed"
    assert booked == ["Ritz"]


# Answers that do not fit


MISFITS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"response_type": "accept", "interrupt_id": "wrong"}, 409, "not_pending", "'wrong'"),
    ({"response_type": "accept", "interrupt_id": ""}, 409, "not_pending", "Pending: "),
    ({"response_type": "maybe"}, 422, "invalid_field", "response_type"),
    ({}, 422, "invalid_field", "response_type"),
    ({"response_type": "accept", "decisions": [{"type": "approve"}]}, 422, "invalid_field", "response_type"),
    ({"decisions": []}, 422, "invalid_field", "decisions"),
    ({"decisions": [{"type": "approve"}] * 2}, 400, "invalid_request", "2 entries but needs 1"),
    ({"decisions": [{"type": "edit"}]}, 422, "invalid_field", "edited_action"),
    ({"decisions": [{"type": "approve"}], "interrupt_id": "x"}, 422, "invalid_field", "interrupt_id"),
    ({"decisions": [{"type": "accept", "args": {"hotel_name": "Savoy"}}]}, 400, "invalid_request", "edit"),
    ({"response_type": "accept", "args": {"hotel_name": "Savoy"}}, 400, "invalid_request", "edit"),
    ({"response_type": "response", "args": "x" * 100_001}, 422, "invalid_field", "100,000"),
    ({"decisions": [{"type": "respond"}]}, 422, "invalid_field", "message"),
    ({"response_type": "edit"}, 422, "invalid_field", "args"),
    ({"response_type": "edit", "args": "Savoy"}, 422, "invalid_field", "args"),
    ({"response_type": "edit", "args": {}}, 400, "invalid_request", "hotel_name"),
    ({"response_type": "edit", "args": {"hotel_name": 5}}, 400, "invalid_request", "hotel_name"),
    ({"response_type": "edit", "args": {"hotel_name": "A", "stars": 5}}, 400, "invalid_request", "stars"),
    (
        {"response_type": "edit", "args": {"action": "multiply", "args": {"hotel_name": "A"}}},
        400,
        "invalid_request",
        "multiply",
    ),
    (
        {"decisions": [{"type": "edit", "edited_action": {"name": "multiply", "args": {"hotel_name": "A"}}}]},
        400,
        "invalid_request",
        "multiply",
    ),
    ({"response_type": "response"}, 422, "invalid_field", "args"),
    ({"response_type": "response", "args": "  "}, 422, "invalid_field", "args"),
    ({"response_type": "accept", "unknown": 1}, 422, "invalid_field", "unknown"),
]


@pytest.mark.parametrize("path", ["resume", "resume/stream"])
async def test_an_answer_that_does_not_fit_changes_nothing(client: SessionClient, booked: list[str], path: str) -> None:
    await pending(client)
    before = await client.status()
    for answer, status, code, says in MISFITS:
        assert_error(await client.post(path, session_id="s", **answer), status, code, says)
        assert (await client.status(), booked) == (before, []), answer
    assert (await client.resume(response_type="accept"))["status"] == "completed"
    assert booked == ["Ritz"]


async def test_accept_may_repeat_the_call_as_the_agent_inbox_does(client: SessionClient, booked: list[str]) -> None:
    await client.invoke(RITZ)
    asked = (await client.status())["interrupt_data"]["action_request"]
    assert (await client.resume(response_type="accept", args=asked))["status"] == "completed"
    assert booked == ["Ritz"]


async def test_one_bad_answer_among_several_decides_nothing(client: SessionClient, booked: list[str]) -> None:
    ids = await pending(client, THREE)
    bad = {"type": "edit", "args": {"stars": 5}}
    decisions = [{"type": "approve"}, bad, {"type": "approve"}]
    assert_error(await client.post("resume", session_id="s", decisions=decisions), 400, "invalid_request", "stars")
    assert (ids_in(await client.status()), booked) == (ids, [])


async def test_an_answer_where_nothing_waits_is_refused(client: SessionClient) -> None:
    refused = await client.post("resume", session_id="s", response_type="accept")
    assert_error(refused, 404, "session_not_found")
    await client.invoke("Hi")
    refused = await client.post("resume", session_id="s", response_type="accept")
    assert_error(refused, 409, "not_pending", "completed")
    assert len(await client.transcript()) == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"response_type": "response", "args": "NUL \0 in it"},
        {"response_type": "reject", "args": "NUL \0 in it"},
        {"response_type": "edit", "args": {"hotel_name": "NUL \0 in it"}},
    ],
)
async def test_odd_characters_in_an_answer_break_nothing(client: SessionClient, answer: dict[str, Any]) -> None:
    await pending(client)
    assert (await client.resume(**answer))["status"] == "completed"
    assert "in it" in (await results(client))[0]
    assert (await client.invoke("Thanks."))["status"] == "completed"
