"""Whatever a provider or a tool sends: it is read, or the error is one of ours."""

from __future__ import annotations

import math
from typing import Any

import httpx
import orjson
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import CallToolResult, TextContent

from agent.personas.shape import parse_shape
from agent.tools.mcp.tool_result import MAX_CHARS, to_tool_result
from config.errors import SwitchboardError
from config.models.deployments import Deployment
from router.history import CallOrigins, messages_for
from router.providers.error_body import retry_after
from router.providers.prices import cost
from router.providers.provider_errors import from_event, from_response
from router.token_estimate import estimated_usage
from tests.support.properties import TEXT, few, json_objects, json_values

ERROR_KEYS = "error message code type detail innererror content_filter_result filtered msg status param"
USAGE_KEYS = "prompt_tokens completion_tokens total_tokens prompt_tokens_details cached_tokens reasoning_tokens cost"
MESSAGE_KEYS = "role content tool_calls id type function name arguments tool_call_id origin provider thinking_blocks"


@few
@given(st.integers(400, 599), json_values(ERROR_KEYS).map(orjson.dumps) | st.binary(max_size=60), TEXT)
def test_any_refusal_is_an_error_of_ours(status: int, body: bytes, after: str) -> None:
    error = from_response(status, {"retry-after": after}, body)
    assert isinstance(error, SwitchboardError)
    assert (getattr(error, "retry_after", None) or 0) >= 0


@few
@given(json_objects(ERROR_KEYS))
def test_any_error_in_a_stream_is_an_error_of_ours(event: dict[str, Any]) -> None:
    assert isinstance(from_event(event), SwitchboardError)


@few
@given(TEXT | st.floats().map(str) | st.builds("{} {} GMT".format, st.sampled_from(["Mon, 01 Jan 2026", "x"]), TEXT))
def test_any_time_to_wait_is_seconds_or_none(value: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: value})
        assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


COUNTS = st.integers(0, 10**7)


@few
@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_turn_costs_less_than_nothing(sent: int, answered: int, cached: int, reasoning: int) -> None:
    usage = {
        "prompt_tokens": sent,
        "completion_tokens": answered,
        "total_tokens": sent + answered,
        "prompt_tokens_details": {"cached_tokens": min(cached, sent)},
        "completion_tokens_details": {"reasoning_tokens": min(reasoning, answered)},
    }
    priced = Deployment("d", "g", "x/y", info={"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6})
    found = cost(priced, usage)
    assert found is not None
    assert 0 <= found <= (sent + answered) * 2e-6 + 1e-9


@few
@given(
    st.lists(st.fixed_dictionaries({"content": TEXT | st.none() | st.lists(json_objects("text type"))}), max_size=4),
    TEXT,
)
def test_the_estimate_of_any_messages_is_a_count(messages: list[dict[str, Any]], answered: str) -> None:
    usage = estimated_usage([{**each, "tool_calls": None} for each in messages], None, answered)
    assert usage["prompt_tokens"] >= 4 * len(messages)
    assert usage["completion_tokens"] >= 1


CALL = st.fixed_dictionaries(
    {"id": TEXT, "type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXT})
    | st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT, "tool_calls": st.lists(CALL, max_size=2)})
    | st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": TEXT, "content": TEXT}),
    max_size=5,
)


@few
@given(
    MESSAGES,
    st.sampled_from(["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "mistral/mistral-large-latest", "deepseek/x"]),
)
def test_a_history_keeps_its_texts_for_every_provider(messages: list[dict[str, Any]], model: str) -> None:
    sent = messages_for(Deployment("d", "g", model), messages, {}, CallOrigins())
    assert [each.get("content") for each in sent] == [each.get("content") for each in messages]
    assert [each["role"] for each in sent] == [each["role"] for each in messages]


@few
@given(st.lists(st.text(max_size=50_000), max_size=3), st.booleans(), json_values())
def test_any_answer_of_a_tool_is_text_of_a_limited_length(texts: list[str], failed: bool, structured: Any) -> None:
    content = [TextContent(type="text", text=each) for each in texts]
    found = to_tool_result(CallToolResult(content=content, is_error=failed, structured_content={"a": structured}))
    assert len(found.text) <= MAX_CHARS + 200


@few
@given(json_values("type properties required items enum $ref anyOf pattern minLength").map(orjson.dumps), json_values())
def test_any_shape_judges_any_answer(shape: bytes, answer: Any) -> None:
    parsed = parse_shape(shape.decode())
    if parsed is not None:
        problem = parsed.problem(orjson.dumps(answer).decode())
        assert problem is None or problem


def test_headers_of_httpx_are_read_without_their_case() -> None:
    assert retry_after(httpx.Headers({"Retry-After": "3"})) == 3
