"""The estimate of tokens where no provider counts them."""

from __future__ import annotations

from typing import Any

import pytest

from router.token_estimate import MEDIA_TOKENS, MESSAGE_TOKENS, estimated_usage, message_tokens

CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "look", "arguments": '{"a": 1}'}}]}


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("", 0),
        (None, 0),
        ("x" * 400, 100),
        ("你好" * 20, 30),
        (
            [{"type": "text", "text": "x" * 40}, {"type": "image_url", "image_url": {"url": "x" * 9000}}],
            10 + MEDIA_TOKENS,
        ),
        ("\ud800" * 4, 3),
    ],
)
def test_a_message_has_a_token_for_four_bytes(content: Any, tokens: int) -> None:
    assert message_tokens(content) == MESSAGE_TOKENS + tokens


def test_tool_calls_and_tools_count() -> None:
    without = estimated_usage([{"role": "user", "content": "Hi"}], None, "Hello there")
    with_tools = estimated_usage([{"role": "user", "content": "Hi"}, CALL], [{"name": "x" * 100}], "Hello there")
    assert with_tools["prompt_tokens"] >= without["prompt_tokens"] + MESSAGE_TOKENS + 3 + 25
    assert without["total_tokens"] == without["prompt_tokens"] + without["completion_tokens"]


def test_an_answer_has_at_least_one_token() -> None:
    assert estimated_usage([], None, "")["completion_tokens"] == 1
