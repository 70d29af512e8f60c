"""The parameters and request bodies of `/agent/*`, and their conversion to Invocation and Resumption."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from agent.memory.long_term import CONTENT_CHARS
from agent.personas.persona import MODEL_PREFIX
from agent.sessions.requests import Invocation, OnBusy, OnPending, Resumption
from agent.tools.review import ReviewResponse
from api.http.ids import ID_DESCRIPTION, ID_SCHEMA, MAX_ID, ModelName, is_valid_id
from api.http.numbers import whole
from api.http.text import FILLED_SCHEMA, MAX_TEXT, FilledText, PlainText

MAX_TTL = 10 * 366 * 24 * 3600
"""Ten years, in seconds. A larger value is likely an error; `null` means never."""


def valid_id(value: str) -> str:
    """Return the id if it is valid. Raises ValueError."""
    if not is_valid_id(value):
        raise ValueError(f"must be 1 to {MAX_ID} printable characters, not blank and without a slash")
    return value


def _blank_is_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return None if isinstance(value, str) and not value.strip() else validate(value)


def _no_agent(value: str) -> str:
    if value.startswith(MODEL_PREFIX):
        raise ValueError("must be a model of models.yaml; agent_id names the agent of a new session")
    return value


PathId = Annotated[str, Path(description=ID_DESCRIPTION, json_schema_extra=ID_SCHEMA), AfterValidator(valid_id)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Id = Annotated[str, Field(description=ID_DESCRIPTION, json_schema_extra=ID_SCHEMA), AfterValidator(valid_id)]
Model = Annotated[ModelName, Field(json_schema_extra={"pattern": f"^(?!{MODEL_PREFIX})"}), AfterValidator(_no_agent)]
SystemMessage = Annotated[PlainText, WrapValidator(_blank_is_none)]
Ttl = Annotated[int, Field(ge=1, le=MAX_TTL, strict=True), BeforeValidator(whole)]


class Body(BaseModel):
    """A request body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class InvokeBody(Body):
    user_id: Id
    session_id: Id | None = Field(
        None, description="Not set: the user's latest session that has not expired, or a new one."
    )
    query: FilledText
    system_message: SystemMessage | None = Field(
        None, description="Replaces the agent's prompt or is appended to it. Blank: not set."
    )
    model: Model | None = Field(
        None, description='A model name of models.yaml. Not set or "default": the default model.'
    )
    ttl: Ttl | None = Field(None, description="Seconds from now until the session expires; null: never.")
    agent_id: Id | None = Field(None, description="The agent of `/agents/*` that a new session is with; it stays.")
    on_busy: OnBusy = Field("reject", description="If another turn is running: 409, cancel it, or wait for it.")
    on_pending: OnPending = Field("refuse", description="If a review is pending: 409, or reject it and continue.")

    @property
    def invocation(self) -> Invocation:
        fields = self.model_dump()
        return Invocation(**fields, sets_ttl="ttl" in self.model_fields_set)


class EditedAction(Body):
    name: str | None = None
    args: dict[str, Any]


_TEXT: Final[dict[str, Any]] = {"type": "string", **FILLED_SCHEMA}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_NULL: Final[dict[str, Any]] = {"type": "null"}


def _case(key: str, value: dict[str, Any], *required: str, **others: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema for the bodies whose `key` has this value: they must have `required`, and `others` like this."""
    return {"properties": {key: value, **others}, "required": [key, *required]}


class DecisionBody(Body):
    """One decision in LangGraph's format."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                _case("type", {"enum": ["approve", "accept", "reject"]}),
                _case("type", {"const": "edit"}, "edited_action", edited_action=_OBJECT),
                _case("type", {"const": "edit"}, "args", args=_OBJECT),
                _case("type", {"enum": ["respond", "response"]}, "message", message=_TEXT),
            ]
        }
    )

    type: Literal["approve", "accept", "reject", "edit", "respond", "response"]
    edited_action: EditedAction | None = None
    args: dict[str, Any] | None = None
    message: Annotated[str, Field(max_length=MAX_TEXT)] = ""

    @model_validator(mode="after")
    def _has_required_fields(self) -> DecisionBody:
        if self.type == "edit" and self.edited_action is None and self.args is None:
            raise ValueError('a decision of type "edit" needs edited_action')
        if self.type in ("respond", "response") and not self.message.strip():
            raise ValueError(f'a decision of type "{self.type}" needs a message: the text for the agent')
        return self

    @property
    def answer(self) -> ReviewResponse:
        edited = self.edited_action
        arguments, action = (edited.args, edited.name) if edited else (self.args, None)
        match self.type:
            case "approve" | "accept":
                return ReviewResponse("accept", arguments, action=action)
            case "edit":
                return ReviewResponse("edit", arguments, action=action)
            case "reject":
                return ReviewResponse("reject", words=self.message)
            case _:
                return ReviewResponse("response", words=self.message)


class ResumeBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                _case("response_type", {"enum": ["accept", "reject"]}, decisions=_NULL),
                _case("response_type", {"const": "edit"}, "args", args=_OBJECT, decisions=_NULL),
                _case("response_type", {"const": "response"}, "args", args=_TEXT, decisions=_NULL),
                _case("decisions", {"type": "array"}, response_type=_NULL, args=_NULL, interrupt_id=_NULL),
            ]
        }
    )

    user_id: Id
    session_id: Id
    model: Model | None = None
    interrupt_id: str | None = Field(None, description="Required if several calls are pending.")
    response_type: Literal["accept", "reject", "edit", "response"] | None = None
    args: dict[str, Any] | str | None = Field(
        None, validate_default=True, description="edit: the tool's arguments; response and reject: text for the agent."
    )
    decisions: Annotated[list[DecisionBody], Field(min_length=1)] | None = Field(
        None, description="LangGraph's format: one decision for each pending call, in order."
    )

    @field_validator("args", mode="before")
    @classmethod
    def _fit_the_answer(cls, args: Any, info: ValidationInfo) -> Any:
        response_type = info.data.get("response_type")
        if response_type == "edit" and not isinstance(args, dict):
            raise ValueError("must be an object: the tool's arguments")
        if response_type == "response" and not _reply_text(args).strip():
            raise ValueError("must be the text for the agent")
        if not isinstance(args, dict | str | None):
            raise ValueError("must be text or an object")
        if len(_reply_text(args)) > MAX_TEXT:
            raise ValueError(f"must have at most {MAX_TEXT:,} characters")
        return args

    @model_validator(mode="after")
    def _one_form(self) -> ResumeBody:
        if (self.response_type is None) == (self.decisions is None):
            raise ValueError("must have either response_type or decisions")
        if self.decisions is not None and (self.interrupt_id is not None or self.args is not None):
            raise ValueError("interrupt_id and args can only be combined with response_type, not with decisions")
        return self

    @property
    def resumption(self) -> Resumption:
        if self.decisions is not None:
            return Resumption(self.user_id, self.session_id, tuple(each.answer for each in self.decisions), self.model)
        match self.response_type:
            case "accept" | "edit":
                answer = ReviewResponse(self.response_type, self.args if isinstance(self.args, dict) else None)
            case "reject":
                answer = ReviewResponse("reject", words=_reply_text(self.args))
            case _:
                answer = ReviewResponse("response", words=_reply_text(self.args))
        return Resumption(self.user_id, self.session_id, {self.interrupt_id: answer}, self.model)


class CancelBody(Body):
    heard: Annotated[str, Field(max_length=MAX_TEXT)] | None = Field(
        None,
        description="The part of the answer that the user heard; the rest is dropped. Not set: all is kept.",
    )


class SessionBody(Body):
    ttl: Ttl | None = Field(description="Seconds from now until the session expires; null: never.")


class MemoryBody(Body):
    user_id: Id
    memory_info: str = Field(
        validation_alias=AliasChoices("memory_info", "content"),
        json_schema_extra={"maxLength": CONTENT_CHARS, **FILLED_SCHEMA},
        description="The text to store, up to 10,000 characters. The name `content` is accepted too.",
    )


def _reply_text(args: Any) -> str:
    if isinstance(args, dict):
        args = next((each for each in map(args.get, ("message", "args")) if isinstance(each, str)), None)
    return args if isinstance(args, str) else ""
