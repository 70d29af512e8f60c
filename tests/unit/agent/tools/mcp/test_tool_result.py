"""What a tool of an MCP server answers, as the model reads it."""

from __future__ import annotations

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from agent.tools.mcp.tool_result import MAX_CHARS, ToolResult, to_tool_result

IMAGE = ImageContent(type="image", data="eA==", mime_type="image/png")


def text(said: str) -> TextContent:
    return TextContent(type="text", text=said)


def test_texts_are_joined() -> None:
    assert to_tool_result(CallToolResult(content=[text("one"), text("two")])) == ToolResult("one\ntwo")


def test_what_is_no_text_is_described() -> None:
    found = to_tool_result(
        CallToolResult(
            content=[
                text("here:"),
                IMAGE,
                AudioContent(type="audio", data="eA==", mime_type="audio/wav"),
                ResourceLink(type="resource_link", name="report", uri="file:///r"),
                EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///t", text="inside")),
                EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///b", blob="eA==")),
            ]
        )
    )
    assert found.text.splitlines() == [
        "here:",
        "[an image (image/png), which cannot be shown here]",
        "[a sound (audio/wav), which cannot be played here]",
        "[a link to a resource: report, file:///r]",
        "[the resource file:///t]",
        "inside",
        "[the resource file:///b (binary), which cannot be shown here]",
    ]


def test_structured_content_stands_in_for_a_text_that_is_not_there() -> None:
    structured = {"城市": "北京", "degrees": [1, 2.5]}
    as_json = '{"城市": "北京", "degrees": [1, 2.5]}'
    assert to_tool_result(CallToolResult(content=[], structured_content=structured)).text == as_json
    assert to_tool_result(CallToolResult(content=[text("fine")], structured_content=structured)).text == "fine"
    both = to_tool_result(CallToolResult(content=[IMAGE], structured_content=structured)).text
    assert both == f"[an image (image/png), which cannot be shown here]\n{as_json}"


@pytest.mark.parametrize("content", [[], [text("")]])
def test_no_answer_is_said_in_words(content: list[TextContent]) -> None:
    assert to_tool_result(CallToolResult(content=content)) == ToolResult("The tool gave no output.")


def test_a_text_that_is_too_long_is_cut_with_a_note() -> None:
    assert to_tool_result(CallToolResult(content=[text("x" * MAX_CHARS)])).text == "x" * MAX_CHARS
    cut = to_tool_result(CallToolResult(content=[text("x" * MAX_CHARS), text("y")])).text
    assert cut == "x" * MAX_CHARS + "\n[cut here: these are the first 100,000 of 100,002 characters]"


@pytest.mark.parametrize("said", ["Unknown tool: add", "Tool 'add' not found", "MCP error: tool add not found"])
def test_an_error_that_says_that_the_tool_is_not_there_is_seen(said: str) -> None:
    assert to_tool_result(CallToolResult(content=[text(said)], is_error=True)).tool_is_unknown
    assert not to_tool_result(CallToolResult(content=[text(said)])).tool_is_unknown


@pytest.mark.parametrize("said", ["Customer not found", "The tool failed", "toolbox is not here"])
def test_other_errors_are_not_mistaken_for_it(said: str) -> None:
    found = to_tool_result(CallToolResult(content=[text(said)], is_error=True))
    assert found == ToolResult(said, is_error=True)
    assert not found.tool_is_unknown
