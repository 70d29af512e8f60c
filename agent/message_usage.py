"""The tokens that messages cost, as the model's provider counted them."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_core.messages import AIMessage, AnyMessage

from agent.events import Usage


def message_usage(messages: Iterable[AnyMessage]) -> Usage:
    """The sum of the messages' tokens. A provider may not have counted those of some."""
    usage = Usage()
    for message in messages:
        if isinstance(message, AIMessage) and (counted := message.usage_metadata):
            cached = counted.get("input_token_details", {}).get("cache_read")
            reasoning = counted.get("output_token_details", {}).get("reasoning")
            usage += Usage(counted["input_tokens"], counted["output_tokens"], cached, reasoning)
    return usage
