"""Trims a conversation to a limit before a model call. Pure: the stored messages do not change.

A **turn** begins with a user's message. Conversations are cut between turns only, and never between a tool call and its
result. (langchain_core's `trim_messages` keeps only one system message, and drops a last turn that is too long.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from config.profile.memory import Trim
from router.token_estimate import message_tokens

CountTokens = Callable[[AnyMessage], int]

SUMMARIZE_TARGET = 0.75
"""Share of the limit to which a summarized conversation is trimmed, so that summaries are rarely needed."""


@dataclass(frozen=True, slots=True)
class TrimmedMessages:
    """`kept` are sent to the model; `dropped` stood between their system prompt and the rest."""

    kept: list[AnyMessage]
    dropped: list[AnyMessage]


def trim_messages(messages: Sequence[AnyMessage], trim: Trim, count_tokens: CountTokens) -> TrimmedMessages:
    """Drop the oldest turns until the conversation is within the limit.

    The leading system messages and the last turn are always kept, however long they are. A conversation without user
    messages is cut between the agent's messages instead.
    """
    start = system_prompt_length(messages)
    head, talk = messages[:start], messages[start:]
    if trim.max_tokens is not None:
        limit, fixed, sizes = trim.max_tokens, sum(map(count_tokens, head)), list(map(count_tokens, talk))
    else:
        limit, fixed, sizes = trim.max_messages or len(talk), 0, [1] * len(talk)
    size = fixed + sum(sizes)
    if size <= limit:
        return TrimmedMessages(list(messages), [])
    target = limit * SUMMARIZE_TARGET if trim.summarize else limit
    cut = 0
    for place in turn_starts(talk):
        if size <= target:
            break
        size -= sum(sizes[cut:place])
        cut = place
    return TrimmedMessages([*head, *talk[cut:]], list(talk[:cut]))


def system_prompt_length(messages: Sequence[AnyMessage]) -> int:
    """The number of leading system messages."""
    return next((at for at, each in enumerate(messages) if not isinstance(each, SystemMessage)), len(messages))


def turn_starts(talk: Sequence[AnyMessage]) -> list[int]:
    """The positions where `talk` may be cut, oldest first: no later message needs an earlier one."""
    opening = HumanMessage if any(isinstance(each, HumanMessage) for each in talk) else AIMessage
    needed = _earliest_needed(talk)
    return [at for at, each in enumerate(talk) if isinstance(each, opening) and needed[at] >= at]


def estimated_tokens(message: AnyMessage) -> int:
    """An estimate of the message's tokens."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return message_tokens(message.content, [f"{call['name']}{call['args']}" for call in calls])


def _earliest_needed(talk: Sequence[AnyMessage]) -> list[int]:
    """For each position, that of the earliest tool call whose result is at or after it; else the position itself.

    Tool call ids are not unique in a conversation: some providers count the calls of each answer from 0.
    """
    called: dict[str | None, int] = {}
    needed = list(range(len(talk)))
    for at, message in enumerate(talk):
        if isinstance(message, AIMessage):
            called |= {call["id"]: at for call in (*message.tool_calls, *message.invalid_tool_calls)}
        elif isinstance(message, ToolMessage):
            needed[at] = called.get(message.tool_call_id, at)
    for at in range(len(talk) - 2, -1, -1):
        needed[at] = min(needed[at], needed[at + 1])
    return needed
