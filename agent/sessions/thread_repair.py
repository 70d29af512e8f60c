"""Changes that keep a thread's messages valid after a turn that did not complete. Pure.

Providers refuse a conversation in which a tool call has no result, and LangGraph raises INVALID_CHAT_HISTORY. So every
open call gets a result that says what happened. The agent's text is truncated to what was delivered or heard, because
the graph runs ahead of its reader.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage

from agent.tools.review import NOT_REVIEWED, OUTCOME_UNKNOWN

Change = AnyMessage | RemoveMessage
"""A message to add, to replace the one with its id, or to remove."""


@dataclass(frozen=True, slots=True)
class DeliveredOutput:
    """What the turn's reader received: the complete messages, and the text of the one after them."""

    produced: Sequence[AnyMessage]
    unfinished: str


def missing_results(messages: Sequence[AnyMessage], pending: frozenset[str] = frozenset()) -> list[AnyMessage]:
    """The tool results that the last step lacks. `pending` are the ids of calls with a pending review: not executed."""
    at = next((n for n in reversed(range(len(messages))) if isinstance(messages[n], AIMessage)), None)
    if at is None:
        return []
    message = messages[at]
    answered = {each.tool_call_id for each in messages[at + 1 :] if isinstance(each, ToolMessage)}
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return [
        ToolMessage(
            NOT_REVIEWED if call["id"] in pending else OUTCOME_UNKNOWN,
            tool_call_id=call["id"],
            name=call["name"],
            status="error",
        )
        for call in calls
        if call["id"] not in answered
    ]


def messages_of_turn(
    messages: Sequence[AnyMessage], query: HumanMessage | None, answered: Collection[str]
) -> list[AnyMessage]:
    """The messages that the turn added: those after its query, or after the reviewed calls that it answered."""
    for at in reversed(range(len(messages))):
        each = messages[at]
        if query is not None and each.id == query.id:
            return list(messages[at + 1 :])
        if isinstance(each, AIMessage) and any(call["id"] in answered for call in each.tool_calls):
            return list(messages[at + 1 :])
    return []


def not_stored(messages: Sequence[AnyMessage], produced: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The `produced` messages that the turn's `messages` lack, because the database was away when their step ended."""
    ids = {each.id for each in messages}
    results = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
    return [
        each
        for each in produced
        if (each.tool_call_id not in results if isinstance(each, ToolMessage) else each.id not in ids)
    ]


def truncate_to_delivered(messages: Sequence[AnyMessage], delivered: DeliveredOutput) -> list[Change]:
    """The changes that truncate the turn's `messages` to what was delivered."""
    known = {each.id for each in delivered.produced}
    ahead = [each for each in messages if isinstance(each, AIMessage) and each.id not in known]
    texts = [delivered.unfinished, *[""] * len(ahead)]
    changes = [_with_text(message, text) for message, text in zip(ahead, texts, strict=False)]
    if not ahead and delivered.unfinished:
        changes.append(AIMessage(delivered.unfinished))
    return changes


def truncate_to_heard(messages: Sequence[AnyMessage], heard: str) -> list[Change]:
    """The changes that truncate the last turn's answer to what the user `heard`.

    White space is ignored in the comparison: a speech synthesizer's text differs from the model's.
    """
    changes: list[Change] = []
    left = heard.strip()
    for message in last_turn(messages):
        if not isinstance(message, AIMessage) or not (text := "".join(str(message.text).split())):
            continue
        if (rest := _after_prefix(left, text)) is not None:
            left = rest
            continue
        changes.append(_with_text(message, left))
        left = ""
    return changes


def take_back(messages: Sequence[AnyMessage]) -> list[Change]:
    """The changes that remove the user's last message and what answered it.

    None if the agent called a tool: it may have changed something, which the model must not do again.
    """
    turn = last_turn(messages)
    if len(turn) == len(messages) or any(isinstance(each, AIMessage) and each.tool_calls for each in turn):
        return []
    return [RemoveMessage(id=str(each.id)) for each in (messages[-len(turn) - 1], *turn)]


def last_turn(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """The messages after the user's last one."""
    start = next((n for n in reversed(range(len(messages))) if isinstance(messages[n], HumanMessage)), -1)
    return messages[start + 1 :]


def _with_text(message: AIMessage, text: str) -> Change:
    """The message with `text` as its content. Without text and tool calls it is removed."""
    if text or message.tool_calls:
        return message.model_copy(update={"content": text})
    return RemoveMessage(id=str(message.id))


def _after_prefix(heard: str, prefix: str) -> str | None:
    """The rest of `heard` after `prefix`, which has no spaces; None when it does not begin with it."""
    at = 0
    for letter in prefix:
        while heard[at : at + 1].isspace():
            at += 1
        if heard[at : at + 1] != letter:
            return None
        at += 1
    return heard[at:].lstrip()
