"""Streams keep the wire format for any script of the fake model, and for any provider fault on either lane."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.clients.check_stream import check_stream
from tests.clients.conftest import BEHAVIOURS, LANES
from tests.clients.platform_bodies import function

TOOLS = [function("lookup", "name"), function("note", "", "text")]
SERVER_TOOL = "multiply"
FAILURES = "400 401 429 503 reset cut html empty error context filter".split()
UNAFFECTED = {
    "fake-ok-direct",
    "fake-ok-litellm",
    "fake-malformed-direct",
    "fake-no-done-direct",
    "fake-no-done-litellm",
}
"""Behaviours that the caller does not notice. Only the direct lane can skip a malformed chunk."""

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
line = st.one_of(
    words.map("/say {}".format),
    st.integers(1, 30).map("/tokens {}".format),
    st.sampled_from(
        [
            "/wait 60ms",
            "/then",
            '/call lookup {"name": "Ada \\"the Countess\\" Lovelace"}',
            "/call note",
            "/call note not JSON",
            '/call multiply {"a": 6, "b": 7}',
            '/call multiply {"a": "six"}',
            "/call transferCall",
            '/call transferCall {"destination": "+449001234567"}',
            "/call endCall",
            "/call unheard_of {}",
            "/finish length",
            "/finish content_filter",
            *(f"/fail {kind}" for kind in FAILURES),
        ]
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(line, min_size=1, max_size=6).map("\n".join), usage=st.booleans())
@example(script="/say a\n/call multiply\n/then\n/call lookup\n/call transferCall", usage=True)
@example(script="/say a\n/call multiply\n/then\n/fail 503", usage=True)
@example(script="/wait 200ms\n/fail 503", usage=False)
def test_any_script_makes_a_stream_by_the_rules_or_a_clean_error(http: httpx.Client, script: str, usage: bool) -> None:
    asked = {
        "stream": True,
        "messages": [{"role": "user", "content": script}],
        "tools": TOOLS,
        "stream_options": {"include_usage": usage},
    }
    response = http.post("/v1/chat/completions", json=asked)
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        return
    answer = check_stream(response.content, include_usage=usage)
    assert SERVER_TOOL not in [name for name, _ in answer.tool_calls]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_any_fault_of_a_provider_makes_a_stream_by_the_rules_or_a_clean_error(
    http: httpx.Client, behaviour: str, lane: str
) -> None:
    model = f"{behaviour}-{lane}"
    asked = {
        "model": model,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "lookup"}},
        "stream_options": {"include_usage": True},
    }
    response = http.post("/v1/chat/completions", json=asked)
    if response.status_code != 200:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert model not in UNAFFECTED, error
        return
    answer = check_stream(response.content, include_usage=True)
    if model in UNAFFECTED:
        assert (answer.error, answer.finish_reason, bool(answer.text)) == (None, "stop", True)
    elif behaviour == "fake-tool":
        assert (answer.tool_calls, answer.finish_reason) == ((("lookup", {"name": ""}),), "tool_calls")
    else:
        assert answer.error is not None, "a broken answer must not look like a whole one"


def test_silence_is_filled_with_comments_that_no_client_sees(http: httpx.Client) -> None:
    asked = {"stream": True, "messages": [{"role": "user", "content": "/wait 400ms\n/say Here."}]}
    answer = check_stream(http.post("/v1/chat/completions", json=asked).content)
    assert (answer.text, answer.keep_alives >= 1) == ("Here.", True)
