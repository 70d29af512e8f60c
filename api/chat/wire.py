"""The request of `/chat` and its conversion to a TurnRequest."""

from __future__ import annotations

from typing import Annotated

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent.turn_request import TurnRequest
from api.http.ids import ModelName
from api.http.text import NOT_BLANK_SCHEMA, not_blank


class ChatBody(BaseModel):
    """A request body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[str, Field(json_schema_extra=NOT_BLANK_SCHEMA), AfterValidator(not_blank)]
    system_prompt: str | None = Field(
        None, description="Replaces the agent's prompt, or is appended to it, as agent.yaml's system_prompt_mode says."
    )
    model: ModelName | None = Field(
        None, description='A model name of models.yaml. Not set or "default": the default model.'
    )

    @property
    def turn_request(self) -> TurnRequest:
        messages: list[AnyMessage] = [HumanMessage(self.message)]
        if self.system_prompt and self.system_prompt.strip():
            messages.insert(0, SystemMessage(self.system_prompt))
        return TurnRequest(model=self.model, messages=messages)
