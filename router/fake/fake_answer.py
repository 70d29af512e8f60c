"""What the fake model does with a conversation: pure, so that the whole of its behaviour can be read in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from router.fake.fake_failures import MID_ANSWER
from router.fake.fake_script import Act, Call, Fail, Say, read_script
from router.fake.sample_json import sample
from router.fake.sample_text import ANSWER, WORDS_BEFORE_CUT, sample_pieces

Message = Mapping[str, Any]
_WANTS_HUMAN = re.compile(
    r"\b(?:humans?|person|agent|representative|operator|transfer)\b|人工|真人|转接", re.IGNORECASE
)
_SAYS_GOODBYE = re.compile(r"\b(?:bye|goodbye|hang up)\b|再见|拜拜|挂断", re.IGNORECASE)
_TRANSFERS = re.compile(r"transfer")
_ENDS_CALL = re.compile(r"(?:endcall|hangup)")


def answer(messages: Sequence[Message], params: Mapping[str, Any], tokens: int | None = None) -> list[Act]:
    """The acts of one step. `params` are the request's parameters; `tokens` asks for that many words of sample text.

    Raises RequestRejected for a script that cannot be read.
    """
    last = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    said = text_of(messages[last]) if last >= 0 else ""
    since = messages[last + 1 :]
    script = read_script(said)
    step = sum(1 for each in since if each.get("role") == "assistant" and each.get("tool_calls"))
    if script is not None and step < len(script):
        acts = script[step]
    elif results := [text_of(each) for each in since if each.get("role") in ("tool", "function")]:
        acts = [Say(f"The tool answered: {'; '.join(results)}")]
    else:
        acts = _reply(said, params, tokens)
    if messages and messages[-1].get("role") == "assistant" and not messages[-1].get("tool_calls"):
        acts = list(_behind(acts, text_of(messages[-1])))
    return acts


def failing_answer(kind: str) -> list[Act]:
    """The acts of a model that always fails: with some words first where the failure is one in mid-answer."""
    words = " ".join(ANSWER.split()[:WORDS_BEFORE_CUT])
    return [Say(words), Fail(kind)] if kind in MID_ANSWER else [Fail(kind)]


def text_of(message: Message) -> str:
    """The words of a message: its content, or the text parts of it, each on a line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping) and part.get("text"))


def _reply(said: str, params: Mapping[str, Any], tokens: int | None) -> list[Act]:
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
        return orjson.dumps(sample(form.get("json_schema", {}).get("schema", {}))).decode()
    return text


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool.get("function", {}).get("name", ""))


def _offered(tools: Sequence[str], wanted: re.Pattern[str]) -> str | None:
    return next((name for name in tools if wanted.match(re.sub("[^a-z]", "", name.lower()))), None)


def _behind(acts: Sequence[Act], spoken: str) -> Iterator[Act]:
    """The acts behind the words that were already spoken; all of them when they do not begin with those words.

    A failure that came at that point is behind too, so a script that fails once can be continued by the same model.
    """
    whole = "".join(act.text for act in acts if isinstance(act, Say))
    if not spoken or not whole.startswith(spoken):
        yield from acts
        return
    left = len(spoken)
    for act in acts:
        if isinstance(act, Say):
            if len(act.text) > left:
                yield Say(act.text[left:])
            left = max(0, left - len(act.text))
        elif left == 0 and not isinstance(act, Fail):
            yield act
