"""The request of `/v1/chat/completions` and its conversion to a TurnRequest.

Unknown fields are accepted, because voice platforms add their own (`call`, `phoneNumber`, `elevenlabs_extra_body`).
Known but unsupported parameters are errors, so that no caller relies on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from agent.tools.caller_tools import CallerTool
from agent.turn_request import TurnRequest
from api.http.numbers import Penalty, Probability, Seed, Temperature, TokenCount
from api.openai.messages import to_langchain
from api.openai.request_schemas import FUNCTION, MESSAGES, TOOL, items
from api.openai.tools import check_tool_count, check_tool_names, read_function, read_tool, read_tool_choice
from api.openai.turn_options import TurnOptions, fingerprint
from config.errors import RequestError
from config.parsing.sections import Integer

MAX_STOP = 4
"""Stop strings in one request, as in OpenAI's API."""

MAX_TOOLS = 128
"""OpenAI's limit; `SWITCHBOARD_MAX_TOOLS` sets another one. Each tool of a new set costs half a millisecond."""

FORWARDED_PARAMS = (
    "temperature top_p max_tokens max_completion_tokens stop seed presence_penalty frequency_penalty logit_bias "
    "response_format parallel_tool_calls user reasoning_effort verbosity service_tier prompt_cache_key "
    "safety_identifier prediction"
).split()
"""Parameters that are sent to the provider."""


# Some platforms send -1 for "no limit".
Unlimited = BeforeValidator(lambda value: None if value == -1 else value)
TokenLimit = Annotated[TokenCount | None, Unlimited]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: StrictBool | None = False


class ChatCompletionRequest(TurnOptions):
    """OpenAI's chat completion request (https://platform.openai.com/docs/api-reference/chat/create)."""

    model_config = ConfigDict(extra="allow")

    messages: list[dict[str, Any]] = Field(min_length=1, json_schema_extra=MESSAGES)
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = Field(None, json_schema_extra=items(TOOL))
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = Field(None, json_schema_extra={"deprecated": True, **items(FUNCTION)})
    function_call: Literal["none", "auto"] | dict[str, Any] | None = Field(None, json_schema_extra={"deprecated": True})
    n: Integer | None = Field(None, json_schema_extra={"enum": [1, None]})
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_tokens: TokenLimit = None
    max_completion_tokens: TokenLimit = None
    stop: str | list[str] | None = Field(None, json_schema_extra={"maxItems": MAX_STOP})
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: StrictBool | None = Field(None, json_schema_extra={"enum": [False, None]})
    top_logprobs: Integer | None = Field(None, json_schema_extra={"enum": [0, None]})
    response_format: dict[str, Any] | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = Field(None, json_schema_extra=items({"enum": ["text"]}))
    audio: dict[str, Any] | None = Field(None, json_schema_extra={"enum": [None]})
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    prediction: dict[str, Any] | None = None

    def turn_request(self, headers: Mapping[str, str], caller: str, max_tools: int = MAX_TOOLS) -> TurnRequest:
        """Convert to a TurnRequest. `caller` separates the sessions of different tokens, also in the statistics.

        Raises:
            RequestError: a parameter is invalid, not supported or too large; `param` names it.
        """
        self._reject_unsupported()
        tools = self._tools(max_tools)
        choice, allowed = self._tool_choice(tools)
        session = self.session(headers)
        return TurnRequest(
            model=self.model,
            messages=to_langchain(self.messages),
            caller_tools=tools,
            tool_choice=choice,
            allowed_tools=allowed,
            hand_offs=self.hand_offs(headers),
            params={name: value for name in FORWARDED_PARAMS if (value := getattr(self, name)) is not None},
            session_key=f"{caller}:{session}" if session else None,
            fingerprint=self._fingerprint() if session else None,
            overrides=self.overrides(headers),
            filler=self._filler(headers),
            user_id=self.user_id,
            session_id=session,
            caller=caller,
        )

    def _reject_unsupported(self) -> None:
        if self.n not in (None, 1):
            raise RequestError("n must be 1; several choices are not supported.", param="n")
        if self.audio is not None or "audio" in (self.modalities or []):
            raise RequestError("Audio output is not supported.", param="audio" if self.audio else "modalities")
        if self.logprobs or self.top_logprobs:
            raise RequestError("Log probabilities are not supported.", param="logprobs")
        if isinstance(self.stop, list) and len(self.stop) > MAX_STOP:
            raise RequestError(f"stop has {len(self.stop)} strings; at most {MAX_STOP} are possible.", param="stop")

    def _filler(self, headers: Mapping[str, str]) -> str | None:
        """The language of fillers. Only a stream has a wait to fill, and JSON must stay JSON."""
        language = self.filler(headers)
        is_text = (self.response_format or {}).get("type", "text") == "text"
        return language if self.stream and is_text else None

    def _tools(self, limit: int) -> list[CallerTool]:
        check_tool_count(
            len(self.tools or ()) + len(self.functions or ()), limit, "tools" if self.tools else "functions"
        )
        tools = [read_tool(tool, f"tools[{number}]") for number, tool in enumerate(self.tools or [])]
        tools += [read_function(each, f"functions[{number}]") for number, each in enumerate(self.functions or [])]
        check_tool_names(tools)
        return tools

    def _fingerprint(self) -> bytes:
        return fingerprint(self.model, self.messages, self.tools, self.stream)

    def _tool_choice(self, tools: list[CallerTool]) -> tuple[str | Mapping[str, Any] | None, frozenset[str] | None]:
        """The choice, and the names of the tools that are allowed; None for all."""
        if self.tool_choice is None:
            return read_tool_choice(self.function_call, tools, "function_call")
        return read_tool_choice(self.tool_choice, tools, "tool_choice")
