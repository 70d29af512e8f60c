"""The request of `/v1/responses` and its conversion to a TurnRequest.

Unknown fields are accepted, because platforms add their own. What is known and cannot be honoured is an error, so that
no caller relies on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from langchain_core.messages import SystemMessage
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from agent.tools.caller_tools import CallerTool
from agent.turn_request import TurnRequest
from api.http.numbers import Probability, Temperature, TokenCount
from api.openai.tools import check_tool_count, check_tool_names, read_function, read_tool_choice
from api.openai.turn_options import TurnOptions, fingerprint
from api.responses.input_items import Item, items_of, messages_of
from api.responses.request_schemas import FORMAT, INPUT, NOT_SUPPORTED, TOOL_CHOICE, TOOLS
from config.errors import RequestError
from config.parsing.sections import Integer

MAX_METADATA = 16
"""Pairs, as in OpenAI's API."""

SAME_PARAMS = (
    "temperature top_p parallel_tool_calls user service_tier prompt_cache_key safety_identifier"
).split()  # fmt: skip
"""Parameters that are sent to the provider under the same name."""

NOT_HONOURED: Mapping[str, str] = {
    "conversation": "Conversations are not stored here. Use previous_response_id, or send all items in `input`.",
    "prompt": "Prompt templates are not stored here. Send their text in `instructions`.",
    "context_management": "Long conversations are not compacted here.",
    "moderation": "Moderation is not available here.",
    "top_logprobs": "Log probabilities are not supported.",
}

ECHOED = (
    "background instructions max_output_tokens max_tool_calls parallel_tool_calls previous_response_id "
    "prompt_cache_key safety_identifier service_tier temperature top_p truncation user"
).split()
"""Fields that the response repeats as they are."""


class Format(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    description: str | None = None
    strict: StrictBool | None = None

    def response_format(self) -> dict[str, Any] | None:
        """The parameter of chat completions. Raises RequestError."""
        if self.type != "json_schema":
            return None if self.type == "text" else {"type": self.type}
        for name, value in (("name", self.name), ("schema", self.schema_)):
            if value is None:
                raise RequestError(f"text.format.{name} is missing.", param=f"text.format.{name}")
        described = self.model_dump(include={"name", "schema_", "description", "strict"}, by_alias=True)
        return {"type": "json_schema", "json_schema": {k: v for k, v in described.items() if v is not None}}


class Text(BaseModel):
    model_config = ConfigDict(extra="allow")

    format: Format | None = Field(None, json_schema_extra=FORMAT)
    verbosity: str | None = None


class Reasoning(BaseModel):
    model_config = ConfigDict(extra="allow")

    effort: str | None = None
    summary: str | None = None


MetadataText = Annotated[str, Field(max_length=512)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], MetadataText], Field(max_length=MAX_METADATA)]


class ResponseRequest(TurnOptions):
    """OpenAI's request for a response (https://platform.openai.com/docs/api-reference/responses/create)."""

    model_config = ConfigDict(extra="allow")

    input: Any = Field(
        description="A text, or a list of items: messages, function calls and their outputs",
        json_schema_extra=INPUT,
    )
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = Field(None, json_schema_extra=TOOLS)
    tool_choice: str | dict[str, Any] | None = Field(None, json_schema_extra=TOOL_CHOICE)
    text: Text | None = None
    reasoning: Reasoning | None = None
    metadata: Metadata | None = None
    include: list[str] | None = None
    max_output_tokens: TokenCount | None = None
    max_tool_calls: Integer | None = None
    parallel_tool_calls: StrictBool | None = None
    previous_response_id: str | None = None
    store: StrictBool | None = None
    background: StrictBool | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    top_logprobs: Integer | None = Field(None, json_schema_extra={"enum": [0, None]})
    truncation: Literal["auto", "disabled"] | None = Field(None, json_schema_extra={"enum": ["disabled", None]})
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    conversation: str | dict[str, Any] | None = Field(None, json_schema_extra=NOT_SUPPORTED)
    prompt: dict[str, Any] | None = Field(None, json_schema_extra=NOT_SUPPORTED)
    context_management: list[Any] | None = Field(None, json_schema_extra=NOT_SUPPORTED)
    moderation: dict[str, Any] | None = Field(None, json_schema_extra=NOT_SUPPORTED)

    def turn_request(
        self,
        headers: Mapping[str, str],
        caller: str,
        max_tools: int,
        items: Sequence[Item] | None = None,
        earlier: Sequence[Item] = (),
    ) -> TurnRequest:
        """Convert to a TurnRequest, with `items` in place of the input's own, that goes on after the `earlier` ones.

        `caller` separates the sessions of different tokens, also in the statistics.

        Raises:
            RequestError: a field is invalid, not supported or too large; `param` names it.
        """
        self._reject_unsupported()
        tools = self._tools(max_tools)
        choice, allowed = read_tool_choice(self._tool_choice(), tools, "tool_choice", nested=False)
        session = self.session(headers)
        instructions = [SystemMessage(self.instructions)] if (self.instructions or "").strip() else []
        return TurnRequest(
            model=self.model,
            messages=[*instructions, *messages_of(earlier, self.items() if items is None else items)],
            caller_tools=tools,
            tool_choice=choice,
            allowed_tools=allowed,
            hand_offs=self.hand_offs(headers),
            params=self._params(),
            session_key=f"{caller}:{session}" if session else None,
            fingerprint=self._fingerprint() if session else None,
            overrides=self.overrides(headers),
            user_id=self.user_id,
            session_id=session,
            caller=caller,
        )

    def items(self) -> list[Item]:
        """`input` as a list. Raises RequestError."""
        if not isinstance(self.input, str | list) or (self.input == [] and not self.previous_response_id):
            raise RequestError("input must be a text, or a list with at least one item.", param="input")
        return items_of(self.input)

    def echoed(self) -> dict[str, Any]:
        """What the response repeats of its request."""
        choice: Any = self.tool_choice or "auto"
        text, reasoning = self.text or Text(), self.reasoning or Reasoning()
        shape = {"type": "text"} if text.format is None else text.format.model_dump(by_alias=True, exclude_none=True)
        return {name: getattr(self, name) for name in ECHOED} | {
            "background": bool(self.background),
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "store": self.store is not False,
            "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary},
            "text": {"format": shape, "verbosity": text.verbosity or "medium"},
            "tool_choice": choice,
            "tools": [{"description": None, "parameters": None, "strict": None, **tool} for tool in self.tools or ()],
            "top_logprobs": 0,
            "truncation": self.truncation or "disabled",
        }

    def _reject_unsupported(self) -> None:
        if self.background and self.store is False:
            raise RequestError("background requires store: true, because its answer is read later.", param="store")
        for name, advice in NOT_HONOURED.items():
            if getattr(self, name):
                raise RequestError(f"{name} is not supported. {advice}", param=name)
        if self.truncation == "auto":
            raise RequestError("truncation must be 'disabled': no item is left out of `input`.", param="truncation")
        if "message.output_text.logprobs" in (self.include or ()):
            raise RequestError("Log probabilities are not supported.", param="include")

    def _tools(self, limit: int) -> list[CallerTool]:
        check_tool_count(len(self.tools or ()), limit, "tools")
        for number, tool in enumerate(self.tools or ()):
            if (kind := tool.get("type")) != "function":
                place = f"tools[{number}].type"
                raise RequestError(
                    f"{place} is {kind!r}; only 'function' is supported. Tools that OpenAI hosts are not available "
                    "here: give the agent tools of its own, or MCP servers, in agent.yaml.",
                    param=place,
                )
        tools = [read_function(tool, f"tools[{number}]") for number, tool in enumerate(self.tools or ())]
        check_tool_names(tools)
        return tools

    def _tool_choice(self) -> str | dict[str, Any] | None:
        if isinstance(self.tool_choice, str) and self.tool_choice not in ("none", "auto", "required"):
            raise RequestError("tool_choice must be 'none', 'auto', 'required' or an object.", param="tool_choice")
        return self.tool_choice

    def _params(self) -> dict[str, Any]:
        text, reasoning = self.text or Text(), self.reasoning or Reasoning()
        params = {name: getattr(self, name) for name in SAME_PARAMS} | {
            "max_tokens": self.max_output_tokens,
            "reasoning_effort": reasoning.effort,
            "response_format": text.format and text.format.response_format(),
            "verbosity": text.verbosity,
        }
        return {name: value for name, value in params.items() if value is not None}

    def _fingerprint(self) -> bytes:
        return fingerprint(
            self.model, self.instructions, self.input, self.previous_response_id, self.tools, self.stream
        )
