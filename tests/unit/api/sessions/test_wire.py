from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sessions.requests import Invocation, Resumption
from agent.tools.review import ReviewResponse
from api.http.body import validate_body
from api.http.errors import InvalidBody
from api.sessions.wire import CancelBody, InvokeBody, MemoryBody, ResumeBody, SessionBody

ASK = {"user_id": "ann", "query": "Hi"}
RESUME = {"user_id": "ann", "session_id": "s"}


def answered(**body: Any) -> Any:
    """The answers of a resume's body."""
    return validate_body(ResumeBody, {**RESUME, **body}, error=InvalidBody).resumption.answers


def refused(model: Any, body: dict[str, Any]) -> str:
    with pytest.raises(InvalidBody) as error:
        validate_body(model, body, error=InvalidBody)
    return str(error.value)


def test_a_message_needs_no_more_than_a_user_and_words() -> None:
    assert InvokeBody.model_validate(ASK).invocation == Invocation("ann", "Hi")


def test_every_field_of_a_message_is_passed_on() -> None:
    body = {
        **ASK,
        "session_id": "s",
        "system_message": "Be brief.",
        "model": "gpt",
        "ttl": 60,
        "on_busy": "enqueue",
        "on_pending": "reject",
    }
    assert InvokeBody.model_validate(body).invocation == Invocation(
        "ann",
        "Hi",
        session_id="s",
        system_message="Be brief.",
        model="gpt",
        ttl=60,
        sets_ttl=True,
        on_busy="enqueue",
        on_pending="reject",
    )


@pytest.mark.parametrize("blank", ["", " ", "\n", None])
def test_a_blank_system_message_counts_as_absent(blank: Any) -> None:
    assert InvokeBody.model_validate({**ASK, "system_message": blank}).invocation == Invocation("ann", "Hi")


@pytest.mark.parametrize("name", ["memory_info", "content"])
def test_a_memory_has_two_names(name: str) -> None:
    assert validate_body(MemoryBody, {"user_id": "ann", name: "Tea."}, error=InvalidBody).memory_info == "Tea."
    assert name in refused(MemoryBody, {"user_id": "ann", name: 5})
    assert refused(MemoryBody, {"user_id": "ann"}) == "memory_info: Field required."
    both = {"user_id": "ann", "memory_info": "Tea.", "content": "Coffee."}
    assert "content" in refused(MemoryBody, both)


def test_no_expiry_and_an_expiry_that_is_left_out_are_two_things() -> None:
    assert InvokeBody.model_validate({**ASK, "ttl": None}).invocation.sets_ttl is True
    assert InvokeBody.model_validate(ASK).invocation.sets_ttl is False
    assert SessionBody.model_validate({"ttl": None}).ttl is None
    assert refused(SessionBody, {}) == "ttl: Field required."


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"response_type": "accept"}, ReviewResponse("accept")),
        ({"response_type": "accept", "args": {"a": 1}}, ReviewResponse("accept", {"a": 1})),
        ({"response_type": "reject"}, ReviewResponse("reject")),
        ({"response_type": "reject", "args": "No."}, ReviewResponse("reject", words="No.")),
        ({"response_type": "reject", "args": {"message": "No."}}, ReviewResponse("reject", words="No.")),
        ({"response_type": "response", "args": "Ask."}, ReviewResponse("response", words="Ask.")),
        (
            {"response_type": "response", "args": {"action": "x", "args": "Ask."}},
            ReviewResponse("response", words="Ask."),
        ),
        ({"response_type": "edit", "args": {"a": 1}}, ReviewResponse("edit", {"a": 1})),
        (
            {"response_type": "edit", "args": {"action": "x", "args": {"a": 1}}},
            ReviewResponse("edit", {"action": "x", "args": {"a": 1}}),
        ),
        ({"response_type": "edit", "args": {}}, ReviewResponse("edit", {})),
    ],
)
def test_an_answer_of_the_agent_inbox(body: dict[str, Any], answer: ReviewResponse) -> None:
    assert answered(**body) == {None: answer}
    assert answered(**body, interrupt_id="7") == {"7": answer}


@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        ({"type": "approve"}, ReviewResponse("accept")),
        ({"type": "accept"}, ReviewResponse("accept")),
        ({"type": "accept", "edited_action": {"args": {"a": 1}}}, ReviewResponse("accept", {"a": 1})),
        ({"type": "reject", "message": "No."}, ReviewResponse("reject", words="No.")),
        ({"type": "respond", "message": "Ask."}, ReviewResponse("response", words="Ask.")),
        ({"type": "response", "message": "Ask."}, ReviewResponse("response", words="Ask.")),
        ({"type": "edit", "args": {"a": 1}}, ReviewResponse("edit", {"a": 1})),
        (
            {"type": "edit", "edited_action": {"name": "x", "args": {"a": 1}}},
            ReviewResponse("edit", {"a": 1}, action="x"),
        ),
    ],
)
def test_langgraphs_decisions(decision: dict[str, Any], answer: ReviewResponse) -> None:
    assert answered(decisions=[decision, decision]) == (answer, answer)


def test_a_resumption_knows_whose_it_is() -> None:
    body = ResumeBody.model_validate({**RESUME, "model": "gpt", "response_type": "accept"})
    assert body.resumption == Resumption("ann", "s", {None: ReviewResponse("accept")}, "gpt")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "either response_type or decisions"),
        ({"response_type": "edit"}, "args: must be an object"),
        ({"response_type": "edit", "args": "x"}, "args: must be an object"),
        ({"response_type": "response"}, "args: must be the text"),
        ({"response_type": "response", "args": {"message": 5}}, "args: must be the text"),
        ({"response_type": "reject", "args": "x" * 100_001}, "args: must have at most 100,000"),
        ({"response_type": "accept", "args": 5}, "args: must be text or an object"),
        ({"decisions": [5]}, "decisions[0]: Input should be an object"),
        ({"decisions": [{"type": "edit"}]}, "needs edited_action"),
        ({"decisions": [{"type": "respond", "message": " "}]}, "needs a message"),
        ({"decisions": [{"type": "approve", "why": 1}]}, "decisions[0].why"),
        ({"decisions": [{"type": "approve"}], "args": {}}, "combined with response_type"),
    ],
)
def test_an_answer_that_says_too_little_or_too_much(body: dict[str, Any], says: str) -> None:
    assert says in refused(ResumeBody, {**RESUME, **body})


def test_nothing_heard_and_nothing_said_of_it_are_two_things() -> None:
    assert CancelBody.model_validate({"heard": ""}).heard == ""
    assert CancelBody.model_validate({}).heard is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*InvokeBody.model_fields, *ResumeBody.model_fields, "ttl", "heard", "content"]


@pytest.mark.parametrize("model", [InvokeBody, ResumeBody, CancelBody, SessionBody])
@given(body=st.dictionaries(st.sampled_from(FIELDS), JSON), good=st.booleans())
def test_whatever_comes_is_taken_or_refused_and_never_a_crash(model: Any, body: dict[str, Any], good: bool) -> None:
    base: dict[str, Any] = {InvokeBody: ASK, ResumeBody: {**RESUME, "response_type": "edit"}}.get(model, {})
    try:
        read = validate_body(model, {**base, **body} if good else body, error=InvalidBody)
    except InvalidBody as error:
        assert str(error)
        return
    if isinstance(read, InvokeBody):
        assert read.invocation.query.strip()
    if isinstance(read, ResumeBody):
        assert read.resumption.answers


@pytest.mark.parametrize(("ttl", "seconds"), [(60, 60), (60.0, 60)])
def test_a_whole_number_may_be_written_with_a_point(ttl: float, seconds: int) -> None:
    assert InvokeBody.model_validate({**ASK, "ttl": ttl}).invocation.ttl == seconds


@pytest.mark.parametrize("ttl", [60.5, True, "60", 1e300, float("inf")])
def test_what_is_no_whole_number_is_refused(ttl: Any) -> None:
    assert refused(InvokeBody, {**ASK, "ttl": ttl}).startswith("ttl:")
