"""The request bodies of `/agents/*`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agent.personas.persona import PersonaFields
from agent.personas.store import is_id
from api.http.ids import ID_SCHEMA, ModelName, is_valid_id
from api.http.numbers import whole
from api.http.text import FilledText, PlainText

MAX_NAME = 200
MAX_TOOLS = 128
MAX_TOKENS = 10_000_000
MAX_TURNS = 1_000_000


def _usable_name(value: str) -> str:
    if not is_valid_id(value) or value != value.strip():
        raise ValueError(f"must be 1 to {MAX_NAME} printable characters without a slash and without spaces around it")
    if is_id(value):
        raise ValueError("must not look like an id, since both name a model")
    return value


Name = Annotated[
    str,
    Field(max_length=MAX_NAME, json_schema_extra={**ID_SCHEMA, "maxLength": MAX_NAME}),
    AfterValidator(_usable_name),
]
Temperature = Annotated[float, Field(ge=0, le=2, strict=True)]
Penalty = Annotated[float, Field(ge=-2, le=2, strict=True)]


class Body(BaseModel):
    """A request body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class AgentOptions(Body):
    """The fields that an agent may have besides its texts."""

    name: Name | None = Field(None, description='`model: "agent:<name>"` uses the agent as a model.')
    model: ModelName | None = Field(None, description="A model name of models.yaml. Not set: the default model.")
    temperature: Temperature | None = Field(0.5, description="null: the provider's default.")
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS, strict=True), BeforeValidator(whole)] | None = Field(
        1000, description="null: the provider's default."
    )
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    tools: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Names of agent.yaml's tools, or `mcp:<server>:<tool>`. Not set: all that agent.yaml has."
    )
    max_turns: Annotated[int, Field(ge=1, le=MAX_TURNS, strict=True), BeforeValidator(whole)] | None = Field(
        None, description="Answers until the conversation is over. Not set: it never is."
    )


class CreateAgentBody(AgentOptions):
    context: FilledText = Field(description="The system prompt.")
    first_message: PlainText = Field(description="The assistant's opening.")
    response_shape: PlainText = Field("", description="A JSON schema, an example or prose: the shape of the answers.")
    instructions: PlainText = Field("", description="Sent before each message of the user.")

    @property
    def fields(self) -> PersonaFields:
        return PersonaFields(**self.model_dump())


class UpdateAgentBody(AgentOptions):
    # The defaults are never used: only the fields that were sent change.
    context: FilledText = ""
    first_message: PlainText = ""
    response_shape: PlainText = ""
    instructions: PlainText = ""

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class CreateConversationBody(Body):
    agent_id: str


class ChatAgentBody(Body):
    conversation_id: str
    message: FilledText
