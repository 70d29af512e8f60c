"""Whatever a caller sends: it is read, or the error is a RequestError that names the field."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr
from starlette.requests import Request

from agent.turn_request import TurnRequest
from api.chat.wire import ChatBody
from api.console.routes import DrillBody, SavedText
from api.http.auth import TokenVerifier, authenticated_caller
from api.http.body import MAX_DEPTH, depth, read_json_object, validate_body
from api.http.errors import InvalidBody, Unauthorized
from api.openai.embeddings import EmbeddingRequest
from api.openai.messages import to_langchain
from api.openai.wire import ChatCompletionRequest
from api.personas.wire import ChatAgentBody, CreateAgentBody, CreateConversationBody, UpdateAgentBody
from api.sessions.wire import CancelBody, InvokeBody, MemoryBody, ResumeBody, SessionBody
from api.tasks.wire import InvokeTaskBody, last_event_id
from config.errors import RequestError
from tests.support.properties import TEXT, few, json_objects, json_values

PARTS = st.sampled_from(
    [b"[", b"{", b"]", b"}", b'"', b"a", b":", b",", b"1", b"\\u0000", b"\\ud800", b"\xff", b"1e400", b" "]
)
MESSAGE_KEYS = (
    "role content tool_calls function_call id type function name arguments tool_call_id text refusal custom input user "
    "assistant tool system"
)


@few
@given(st.lists(PARTS, max_size=30).map(b"".join) | json_values().map(orjson.dumps))
async def test_any_bytes_are_an_object_or_a_request_error(body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    try:
        read = await read_json_object(request, limit=10_000)
    except RequestError:
        return
    assert read == orjson.loads(body)
    assert depth(read) <= MAX_DEPTH


@few
@given(
    st.dictionaries(
        st.sampled_from([b"authorization", b"x-api-key", b"api-key"]),
        st.binary(max_size=30)
        | st.binary(max_size=20).map(b"Basic ".__add__)
        | st.binary(max_size=9).map(b"Bearer ".__add__),
    )
)
def test_any_token_is_refused_in_the_same_way(headers: dict[bytes, bytes]) -> None:
    scope = {"type": "http", "headers": list(headers.items()), "state": {"tokens": TokenVerifier([SecretStr("token")])}}
    with pytest.raises(Unauthorized):
        authenticated_caller(Request(scope))


@few
@given(json_objects(" ".join(ChatCompletionRequest.model_fields)), st.lists(json_objects(MESSAGE_KEYS), max_size=3))
def test_any_completion_is_a_turn_or_a_request_error(fields: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    headers = {"x-session-id": "s", "x-switchboard-hand-offs": str(fields.get("user"))}
    headers["x-switchboard-filler"] = str(fields.get("user"))
    try:
        body = validate_body(ChatCompletionRequest, {"messages": messages, **fields})
        assert isinstance(body.turn_request(headers, "caller"), TurnRequest)
    except RequestError as error:
        assert str(error)


BODIES: list[type[BaseModel]] = [
    ChatBody, EmbeddingRequest, CreateAgentBody, UpdateAgentBody, CreateConversationBody, ChatAgentBody, InvokeBody,
    InvokeTaskBody, ResumeBody, CancelBody, SessionBody, MemoryBody, DrillBody, SavedText,
]  # fmt: skip


@pytest.mark.parametrize("model", BODIES)
@few
@given(data=st.data())
def test_any_body_is_one_or_an_error_that_names_the_field(model: type[BaseModel], data: st.DataObject) -> None:
    value = data.draw(json_objects(" ".join(model.model_fields)))
    try:
        body = validate_body(model, value, error=InvalidBody)
    except InvalidBody as error:
        assert error.param is None or error.param.split(".")[0].split("[")[0] in {
            *value,
            *model.model_fields,
            "content",
        }
        return
    for name in ("turn_request", "invocation", "resumption", "fields", "changes"):
        getattr(body, name, None)
    if isinstance(body, EmbeddingRequest):
        try:
            assert all(each.strip() for each in body.texts())
        except RequestError as error:
            assert error.param == "input"


@few
@given(st.text(max_size=12) | st.integers(-5, 10**12).map(str) | st.none())
def test_any_event_id_is_a_number_or_an_error(header: str | None) -> None:
    try:
        assert 0 <= last_event_id(header) < 10**9
    except InvalidBody as error:
        assert error.param == "Last-Event-ID"


@few
@given(json_values(MESSAGE_KEYS).map(lambda value: orjson.dumps(value).decode()), st.integers(0, 200))
def test_arguments_that_break_off_anywhere_are_read(arguments: str, end: int) -> None:
    function = {"name": "f", "arguments": arguments[:end]}
    call = {"id": "c1", "type": "function", "function": function}
    began = time.process_time()
    [message, _] = to_langchain([{"role": "assistant", "content": None, "tool_calls": [call]}])
    orjson.dumps(message.model_dump()["tool_calls"])
    assert time.process_time() - began < 2


@few
@given(TEXT)
def test_text_reaches_the_model_as_it_was_sent(text: str) -> None:
    [message] = to_langchain([{"role": "user", "content": text}])
    assert message.content == text
