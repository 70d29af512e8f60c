"""How the fake model answers a conversation. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from router.fake.fake_failures import MID_ANSWER
from router.fake.fake_script import Action, Call, Fail, Say, read_script
from router.fake.sample_json import sample
from router.fake.sample_text import ANSWER, WORDS_BEFORE_CUT, sample_pieces

Message = Mapping[str, Any]
_WANTS_HUMAN = re.compile(
    r"\b(?:humans?|person|agent|representative|operator|transfer)\b|人工|真人|转接", re.IGNORECASE
)
_SAYS_GOODBYE = re.compile(r"\b(?:bye|goodbye|hang up)\b|再见|拜拜|挂断", re.IGNORECASE)
_TRANSFERS = re.compile(r"transfer")
_ENDS_CALL = re.compile(r"(?:endcall|hangup)")


def answer(messages: Sequence[Message], params: Mapping[str, Any], tokens: int | None = None) -> list[Action]:
    """The actions of one step. `params` are the request's; `tokens` requests that many words of sample text.

    Raises RequestRejected for an invalid script.
    """
    last = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    said = text_of(messages[last]) if last >= 0 else ""
    since = messages[last + 1 :]
    script = read_script(said)
    step = sum(1 for each in since if each.get("role") == "assistant" and each.get("tool_calls"))
    if script is not None and step < len(script):
        actions = script[step]
    elif results := [text_of(each) for each in since if each.get("role") in ("tool", "function")]:
        actions = [Say(f"The tool answered: {'; '.join(results)}")]
    else:
        actions = _reply(said, params, tokens)
    return after_prefill(actions, messages)


def after_prefill(actions: list[Action], messages: Sequence[Message]) -> list[Action]:
    """The rest of the actions if the last message is the beginning of their text."""
    if messages and messages[-1].get("role") == "assistant" and not messages[-1].get("tool_calls"):
        return list(_after_prefill(actions, text_of(messages[-1])))
    return actions


def failing_answer(kind: str) -> list[Action]:
    """The actions of a model that always fails; after some words if the failure happens in mid-answer."""
    words = " ".join(ANSWER.split()[:WORDS_BEFORE_CUT])
    return [Say(words), Fail(kind)] if kind in MID_ANSWER else [Fail(kind)]


def text_of(message: Message) -> str:
    """The text of a message: its content, or its text parts, one per line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping) and part.get("text"))


def _reply(said: str, params: Mapping[str, Any], tokens: int | None) -> list[Action]:
    tools = [_name(tool) for tool in params.get("tools") or ()]
    choice = params.get("tool_choice")
    if tools and choice in ("required", "any"):
        return [Call(tools[0])]
    if isinstance(choice, Mapping):
        return [Call(_name(choice))]
    if choice != "none":
        if _WANTS_HUMAN.search(said) and (tool := _offered(tools, _TRANSFERS)):
            return [Say("Connecting you now. "), Call(tool)]
        if _SAYS_GOODBYE.search(said) and (tool := _offered(tools, _ENDS_CALL)):
            return [Say("Goodbye. "), Call(tool)]
    if tokens is not None:
        return [Say("".join(sample_pieces(tokens)))]
    return [Say(_formatted(f"You said: {said}" if said else "Hello! This is the fake model.", params))]


def _formatted(text: str, params: Mapping[str, Any]) -> str:
    form = params.get("response_format")
    kind = form.get("type") if isinstance(form, Mapping) else None
    if kind == "json_object":
        return orjson.dumps({"answer": text}).decode()
    if kind == "json_schema" and isinstance(form, Mapping):
        named = form.get("json_schema")
        return orjson.dumps(sample(named.get("schema", {}) if isinstance(named, Mapping) else {})).decode()
    return text


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool.get("function", {}).get("name", ""))


def _offered(tools: Sequence[str], wanted: re.Pattern[str]) -> str | None:
    return next((name for name in tools if wanted.match(re.sub("[^a-z]", "", name.lower()))), None)


def _after_prefill(actions: Sequence[Action], prefill: str) -> Iterator[Action]:
    """The actions after the text of a prefill; all actions if their text does not start with it.

    A failure at that point is skipped too, so that the same model can continue a script that fails once.
    """
    whole = "".join(action.text for action in actions if isinstance(action, Say))
    if not prefill or not whole.startswith(prefill):
        yield from actions
        return
    left = len(prefill)
    for action in actions:
        if isinstance(action, Say):
            if len(action.text) > left:
                yield Say(action.text[left:])
            left = max(0, left - len(action.text))
        elif left == 0 and not isinstance(action, Fail):
            yield action
