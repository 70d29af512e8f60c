"""The messages that the model is sent for a persona. Empty texts are left out.

The system prompt (`context`) and the sampling parameters are not here: the turn takes them beside its messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from agent.memory.trim import estimated_tokens, system_prompt_length, trim_messages
from agent.personas.persona import Exchange, PersonaFields
from config.profile.memory import Trim

SHAPE: Final = "Follow a RFC8259 compliant JSON with a shape of: "

DEFAULT_TRIMS: Final = (Trim(max_messages=100), Trim(max_tokens=32_000))
"""How much of a conversation is sent when agent.yaml has no `trim`."""


def instructions(persona: PersonaFields) -> str:
    """The instructions, and the request for the shape."""
    shape = f"{SHAPE}{persona.response_shape}" if persona.response_shape.strip() else ""
    return "\n\n".join(each for each in (persona.instructions, shape) if each.strip())


def in_front_of(persona: PersonaFields, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """A caller's messages after the persona's opening, with the instructions before the last message of the user."""
    start = system_prompt_length(messages)
    opening = [AIMessage(persona.first_message)] if persona.first_message.strip() else []
    told = [HumanMessage(text)] if (text := instructions(persona)) else []
    last = max((at for at, each in enumerate(messages) if isinstance(each, HumanMessage)), default=len(messages))
    return [*messages[:start], *opening, *messages[start:last], *told, *messages[last:]]


def trims(configured: Trim | None) -> tuple[Trim, ...]:
    """The limits of a conversation. A persona keeps no running summary."""
    return DEFAULT_TRIMS if configured is None else (replace(configured, summarize=False),)


def conversation(
    persona: PersonaFields, past: Sequence[Exchange], message: str, limits: Sequence[Trim]
) -> list[AnyMessage]:
    """The conversation with the new `message`. The oldest exchanges are dropped until the rest is within all limits."""
    # To be trimmed, what is always sent counts as one message at the beginning and one at the end.
    first = SystemMessage(f"{persona.context}\n{persona.first_message}")
    last = HumanMessage(f"{instructions(persona)}\n{message}")
    whole: list[AnyMessage] = [first, *_messages(past), last]
    for limit in limits:
        whole = trim_messages(whole, limit, estimated_tokens).kept
    return in_front_of(persona, [*whole[1:-1], HumanMessage(message)])


def is_enough(past: Sequence[Exchange], limits: Sequence[Trim]) -> bool:
    """Whether older exchanges than `past` would be dropped anyway."""
    said = _messages(past)
    return any(
        len(said) >= limit.max_messages
        if limit.max_messages is not None
        else sum(map(estimated_tokens, said)) >= (limit.max_tokens or 0)
        for limit in limits
    )


def _messages(past: Sequence[Exchange]) -> list[AnyMessage]:
    said: list[AnyMessage] = []
    for each in past:
        said.append(HumanMessage(each.user_message))
        if each.agent_message.strip():  # a turn may have nothing but a hand-off
            said.append(AIMessage(each.agent_message))
    return said
