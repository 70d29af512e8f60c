"""Converts Anthropic's messages to LangChain's; errors name the invalid field.

Where content goes to the model as it came, its blocks become OpenAI's parts, and keep their `cache_control`: LiteLLM
passes that to providers that have it, and removes it for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from api.openai.messages import MAX_CALLS, MAX_MESSAGES, MAX_PARTS, check_length, with_placeholder_results
from config.errors import RequestError

Block = Mapping[str, Any]
Part = dict[str, Any]

ROLES: Final = ("user", "assistant", "system")
THOUGHTS: Final = ("thinking", "redacted_thinking")
"""Blocks that are not sent on: they are another provider's, or the router knows them by the tool call."""

SEE_BELOW: Final = "(The images or documents of this result follow in the next message.)"
"""In OpenAI's form, the result of a tool is a text."""


def to_langchain(system: str | list[Part] | None, messages: Sequence[Any]) -> list[AnyMessage]:
    """Convert the system prompt and the messages of a request.

    Raises:
        RequestError: `param` names the message or field, such as `messages[2].content[0].source`.
    """
    check_length(messages, MAX_MESSAGES, "messages", "messages")
    converter = _Converter()
    if system:
        converter.add({"role": "system", "content": system}, "", "system")
    for number, message in enumerate(messages):
        converter.add(message, f"messages[{number}].", f"messages[{number}].content")
    return with_placeholder_results(converter.converted)


class _Converter:
    """Converts one message after the other and keeps track of tool calls without a result."""

    def __init__(self) -> None:
        self.converted: list[AnyMessage] = []
        self._open: set[str] = set()

    def add(self, message: Block, before: str, place: str) -> None:
        """`place` is that of the content, `before` the beginning of those of the other fields."""
        if (role := message.get("role")) not in ROLES:
            raise RequestError(
                f"{before}role is {role!r}; it must be one of {', '.join(ROLES)}.", param=f"{before}role"
            )
        blocks = _blocks(message.get("content"), place)
        match role:
            case "system":
                parts = [_text(block, at) for at, block in blocks]
                if any(part["text"].strip() for part in parts):
                    self.converted.append(SystemMessage(content=_content(parts)))
            case "user":
                self._add_user(blocks)
            case _:
                self._add_assistant(blocks, place)

    def _add_user(self, blocks: Sequence[tuple[str, Block]]) -> None:
        parts: list[Part] = []
        results = [(at, block) for at, block in blocks if block["type"] == "tool_result"]
        for at, block in results:
            message, media = self._result(block, at)
            self.converted.append(message)
            parts += media
        parts += [_part(block, at) for at, block in blocks if block["type"] != "tool_result"]
        if parts or not results:
            self.converted.append(HumanMessage(content=_content(parts)))

    def _result(self, block: Block, at: str) -> tuple[ToolMessage, list[Part]]:
        """The result of a tool, and what of it is no text."""
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str) or call_id not in self._open:
            raise RequestError(
                f"{at} answers no tool call: no earlier message has an open tool_use with the id {call_id!r}.",
                param=f"{at}.tool_use_id",
            )
        self._open.discard(call_id)
        parts = [_part(each, place) for place, each in _blocks(block.get("content"), f"{at}.content")]
        media = [part for part in parts if part["type"] != "text"]
        texts = [part["text"] for part in parts if part["type"] == "text"] + [SEE_BELOW] * bool(media)
        said = "\n\n".join(texts)
        if failed := block.get("is_error") is True:
            said = f"Error: {said}"
        content = _content([_with_cache_control({"type": "text", "text": said}, block)])
        return ToolMessage(content=content, tool_call_id=call_id, status="error" if failed else "success"), media

    def _add_assistant(self, blocks: Sequence[tuple[str, Block]], place: str) -> None:
        check_length([block for _, block in blocks if block["type"] == "tool_use"], MAX_CALLS, place, "calls")
        texts: list[str] = []
        calls: list[ToolCall] = []
        for at, block in blocks:
            if block["type"] == "tool_use":
                calls.append(_call(block, at))
            elif block["type"] not in THOUGHTS:
                texts.append(_text(block, at)["text"])
        self._open.update(str(call["id"]) for call in calls)
        self.converted.append(AIMessage(content="".join(texts), tool_calls=calls))


def _blocks(content: Any, place: str) -> list[tuple[str, Block]]:
    """The blocks of a content, each with its place."""
    if content is None or isinstance(content, str):
        return [(place, {"type": "text", "text": content})] if content else []
    if not isinstance(content, list):
        raise RequestError(f"{place} must be a string or a list of blocks.", param=place)
    check_length(content, MAX_PARTS, place, "blocks")
    for number, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise RequestError(f"{place}[{number}] must be an object with a type.", param=f"{place}[{number}]")
    return [(f"{place}[{number}]", block) for number, block in enumerate(content)]


def _content(parts: list[Part]) -> str | list[str | dict[Any, Any]]:
    """One text, wherever that is enough: not every provider accepts a list of text parts."""
    if all(part.keys() == {"type", "text"} for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return [*parts]


def _part(block: Block, at: str) -> Part:
    """OpenAI's part. Raises RequestError: the block is invalid, or has no equal there."""
    match block:
        case {"type": "text"}:
            return _text(block, at)
        case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            return _with_cache_control(_image(f"data:{kind};base64,{data}"), block)
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return _with_cache_control(_image(url), block)
        case {"type": "document", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            file = {"filename": _title(block, "document.pdf"), "file_data": f"data:{kind};base64,{data}"}
            return _with_cache_control({"type": "file", "file": file}, block)
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return _with_cache_control({"type": "text", "text": _titled(block, text)}, block)
        case {"type": "document" | "search_result" as kind}:
            source = block.get("source")
            inside = source.get("content") if isinstance(source, dict) else block.get("content")
            if inside is None:
                raise _not_supported(f"{at}.source", f"This source of a {kind}", "Send its text, or a PDF as base64.")
            texts = [_text(each, place)["text"] for place, each in _blocks(inside, f"{at}.content")]
            return _with_cache_control({"type": "text", "text": _titled(block, "\n\n".join(texts))}, block)
        case {"type": "image"}:
            raise _not_supported(f"{at}.source", "This source of an image", "Send it as base64, or its url.")
    raise _not_supported(f"{at}.type", f"A block of type {block['type']!r}", "Send its content as text.")


def _text(block: Block, at: str) -> Part:
    if block["type"] != "text":
        raise _not_supported(f"{at}.type", f"A block of type {block['type']!r} here", "Send its content as text.")
    if not isinstance(text := block.get("text"), str):
        raise RequestError(f"{at}.text must be a string.", param=f"{at}.text")
    return _with_cache_control({"type": "text", "text": text}, block)


def _call(block: Block, at: str) -> ToolCall:
    for name in ("id", "name"):
        if not isinstance(block.get(name), str) or not block[name]:
            raise RequestError(f"{at}.{name} must be a string.", param=f"{at}.{name}")
    arguments = block.get("input")
    if arguments is not None and not isinstance(arguments, dict):
        raise RequestError(f"{at}.input must be an object.", param=f"{at}.input")
    return ToolCall(name=block["name"], args=arguments or {}, id=block["id"])


def _image(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}


def _title(block: Block, otherwise: str) -> str:
    title = block.get("title")
    return title if isinstance(title, str) and title else otherwise


def _titled(block: Block, text: str) -> str:
    title = _title(block, "")
    return f"{title}\n\n{text}" if title else text


def _with_cache_control(part: Part, block: Block) -> Part:
    control = block.get("cache_control")
    return {**part, "cache_control": control} if isinstance(control, dict) else part


def _not_supported(place: str, what: str, advice: str) -> RequestError:
    return RequestError(f"{place}: {what} is not supported. {advice}", param=place)
