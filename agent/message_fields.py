"""Messages as JSON, for clients that read LangChain's form or OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AnyMessage

ROLES: Final[Mapping[str, str]] = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system"}

SHOWN_METADATA: Final = ("model_name", "finish_reason")


def message_fields(message: AnyMessage) -> dict[str, Any]:
    """LangChain's own dump of the message with OpenAI's fields: `role`, and `function` in each tool call.

    `additional_kwargs` is empty, because it has what the model thought and what only its provider may read.
    """
    fields = message.model_dump(mode="json", exclude={"additional_kwargs", "artifact"})
    fields["additional_kwargs"] = {}
    fields["role"] = ROLES.get(message.type, message.type)
    metadata = fields["response_metadata"]
    fields["response_metadata"] = {name: metadata[name] for name in SHOWN_METADATA if name in metadata}
    for call in fields.get("tool_calls", ()):
        call["function"] = {"name": call["name"], "arguments": json.dumps(call["args"], ensure_ascii=False)}
    return fields


def all_fields(messages: Sequence[AnyMessage]) -> tuple[dict[str, Any], ...]:
    """`message_fields` of each message."""
    return tuple(map(message_fields, messages))
