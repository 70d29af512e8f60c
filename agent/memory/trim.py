"""How much of a conversation the model is sent. Pure: the stored messages stay as they are.

A **turn** begins with what the user says. Conversations are cut between turns alone, and never between a tool call and
its result. (langchain_core's `trim_messages` keeps one system message only, and drops a last turn that is too long.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from config.profile.memory import Trim

CountTokens = Callable[[AnyMessage], int]

BYTES_IN_A_TOKEN = 4
"""Of UTF-8. English has four letters to a token; a Chinese character is three bytes and about three quarters of one."""

MESSAGE_TOKENS = 4
"""What a provider adds to each message: its role and its borders."""

MEDIA = ("image", "audio", "input_audio", "video", "file")
"""How the types of such content parts begin."""

MEDIA_TOKENS = 800
"""For a picture or a sound: providers count what it shows, not its bytes."""

ROOM = 0.75
"""Share of the limit that a conversation is cut down to when it is summarised: then that happens seldom."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """`kept` is what the model is sent, `dropped` what stood between its system prompt and the rest."""

    kept: list[AnyMessage]
    dropped: list[AnyMessage]


def trimmed(messages: Sequence[AnyMessage], trim: Trim, count_tokens: CountTokens) -> Trimmed:
    """`messages` without the oldest turns, as many as it takes to come within the limit.

    What is never dropped: the leading system messages and the last turn, however long they are. A conversation in which
    no user speaks is cut between the agent's messages instead.
    """
    start = system_prompt_length(messages)
    head, talk = messages[:start], messages[start:]
    if trim.max_tokens is not None:
        limit, fixed, sizes = trim.max_tokens, sum(map(count_tokens, head)), list(map(count_tokens, talk))
    else:
        limit, fixed, sizes = trim.max_messages or len(talk), 0, [1] * len(talk)
    size = fixed + sum(sizes)
    if size <= limit:
        return Trimmed(list(messages), [])
    target = limit * ROOM if trim.summarize else limit
    cut = 0
    for place in turn_starts(talk):
        if size <= target:
            break
        size -= sum(sizes[cut:place])
        cut = place
    return Trimmed([*head, *talk[cut:]], list(talk[:cut]))


def system_prompt_length(messages: Sequence[AnyMessage]) -> int:
    """How many system messages stand at the beginning."""
    return next((at for at, each in enumerate(messages) if not isinstance(each, SystemMessage)), len(messages))


def turn_starts(talk: Sequence[AnyMessage]) -> list[int]:
    """Where `talk` may be cut: what begins there stands on its own. Oldest first."""
    opening = HumanMessage if any(isinstance(each, HumanMessage) for each in talk) else AIMessage
    whole_from = _callers(talk)
    return [at for at, each in enumerate(talk) if isinstance(each, opening) and whole_from[at] >= at]


def estimated_tokens(message: AnyMessage) -> int:
    """About how many tokens a message takes; no provider's tokenizer is at hand without the network."""
    texts, media = [], 0
    for part in message.content if isinstance(message.content, list) else [message.content]:
        if isinstance(part, dict) and str(part.get("type")).startswith(MEDIA):
            media += 1
        else:
            texts.append(part if isinstance(part, str) else str(part.get("text", part)))
    if isinstance(message, AIMessage):
        texts += [f"{call['name']}{call['args']}" for call in message.tool_calls]
    size = sum(len(each.encode(errors="surrogatepass")) for each in texts)
    return MESSAGE_TOKENS + size // BYTES_IN_A_TOKEN + media * MEDIA_TOKENS


def _callers(talk: Sequence[AnyMessage]) -> list[int]:
    """For each place the earliest message that something from there on is the result of; the place itself if none.

    Ids are not unique in a conversation: some providers count the calls of each answer from 0.
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
