"""`chat` of agent.yaml: what `/chat/stream` says by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from config.parsing.sections import Section

START_MESSAGE = "开始生成响应..."


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """`start_message` is the text of the event that starts each stream of `/chat/stream`."""

    start_message: str = START_MESSAGE


class ChatSection(Section):
    """What `/chat/stream` says by itself."""

    start_message: Annotated[str, Field(min_length=1)] = Field(
        START_MESSAGE, description="The text of the event that starts each stream."
    )

    @property
    def value(self) -> ChatSettings:
        return ChatSettings(self.start_message)
