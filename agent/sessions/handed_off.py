"""The hand-offs among the messages of a turn, as their caller may carry them out.

The messages show what the model asked for. A caller that acts on them must find only what a hand-off's tool accepted,
with the arguments that it accepted: the number as the allow-list has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from agent.tools.transfer_call import CALL_CONTROLS


def as_handed_off(messages: Sequence[AnyMessage]) -> Iterator[AnyMessage]:
    """The messages with the accepted arguments of hand-offs, and without those that were refused."""
    accepted = {
        message.tool_call_id: message.artifact
        for message in messages
        if isinstance(message, ToolMessage) and message.name in CALL_CONTROLS and isinstance(message.artifact, Mapping)
    }
    for message in messages:
        if isinstance(message, AIMessage) and any(call["name"] in CALL_CONTROLS for call in message.tool_calls):
            calls = [_accepted(call, accepted) for call in message.tool_calls if _is_kept(call, accepted)]
            if calls or message.content:
                yield message.model_copy(update={"tool_calls": calls})
        elif not isinstance(message, ToolMessage) or _is_kept(
            {"name": message.name, "id": message.tool_call_id}, accepted
        ):
            yield message


def _is_kept(call: Mapping[str, Any], accepted: Mapping[str, Any]) -> bool:
    return call["name"] not in CALL_CONTROLS or call["id"] in accepted


def _accepted(call: Any, accepted: Mapping[str, Any]) -> Any:
    return {**call, "args": dict(accepted[call["id"]])} if call["name"] in CALL_CONTROLS else call
