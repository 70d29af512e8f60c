"""The request of `/v1/messages` and its conversion to a TurnRequest.

Unknown fields are accepted, because clients send those of Anthropic's betas. What is known and cannot be honoured is an
error, so that no caller relies on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent.memory.trim import estimated_tokens
from agent.tools.caller_tools import CallerTool
from agent.turn_request import TurnRequest
from api.http.ids import is_valid_id
from api.http.numbers import Count, Probability, Temperature, TokenCount
from api.messages.content import to_langchain
from api.messages.request_schemas import FORMAT, MESSAGES, SYSTEM, TOOLS
from api.messages.tools import ToolChoice, read_tool_choice, read_tools
from api.openai.turn_options import TurnOptions, fingerprint
from api.openai.wire import MAX_STOP
from config.errors import RequestError
from router.providers.supported_params import IF_SUPPORTED
from router.token_estimate import text_tokens

EFFORTS: Final = ((4096, "high"), (2048, "medium"), (0, "low"))
"""Budgets of thinking, in tokens. LiteLLM gives Anthropic's models these budgets for the efforts, so that none becomes
larger than the caller's, which is below its `max_tokens`."""

USER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every provider takes as a user. Claude Code's are longer, and some have other characters."""

NOT_HONOURED: Final[Mapping[str, str]] = {
    "container": "No code runs here.",
    "mcp_servers": "Give the agent MCP servers in agent.yaml.",
}


class Thinking(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str
    budget_tokens: Count | None = None
    display: str | None = None


def _is_json_schema(shape: dict[str, Any]) -> dict[str, Any]:
    if shape.get("type") != "json_schema" or not isinstance(shape.get("schema"), dict):
        raise ValueError('must be {"type": "json_schema", "schema": ...}')
    return shape


class OutputConfig(BaseModel):
    model_config = ConfigDict(extra="allow")

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Annotated[dict[str, Any], AfterValidator(_is_json_schema)] | None = Field(None, json_schema_extra=FORMAT)


class CountTokensRequest(TurnOptions):
    """Anthropic's request to count tokens (https://platform.claude.com/docs/en/api/messages/count_tokens)."""

    model_config = ConfigDict(extra="allow")

    messages: list[dict[str, Any]] = Field(min_length=1, json_schema_extra=MESSAGES)
    system: str | list[dict[str, Any]] | None = Field(None, json_schema_extra=SYSTEM)
    tools: list[dict[str, Any]] | None = Field(None, json_schema_extra=TOOLS)
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None

    @property
    def user_id(self) -> str | None:
        user = self._user
        return user if user and is_valid_id(user) else None

    @property
    def shows_thinking(self) -> bool:
        """Whether the caller reads thoughts, if the turn shows them."""
        thinking = self.thinking
        return thinking is not None and thinking.type != "disabled" and thinking.display != "omitted"

    def turn_request(self, headers: Mapping[str, str], caller: str, max_tools: int) -> TurnRequest:
        """Convert to a TurnRequest. `caller` separates the sessions of different tokens, also in the statistics.

        Raises:
            RequestError: a field is invalid, not supported or too large; its message names the field.
        """
        for name, advice in NOT_HONOURED.items():
            if (self.model_extra or {}).get(name):
                raise RequestError(f"{name} is not supported. {advice}", param=name)
        tools = read_tools(self.tools or (), max_tools)
        session = self.session(headers)
        return TurnRequest(
            model=self.model,
            messages=to_langchain(self.system, self.messages),
            caller_tools=tools,
            tool_choice=read_tool_choice(self.tool_choice, tools),
            hand_offs=self.hand_offs(headers),
            params={name: value for name, value in self._params().items() if value is not None},
            session_key=f"{caller}:{session}" if session else None,
            fingerprint=self._fingerprint() if session else None,
            overrides=self.overrides(headers),
            user_id=self.user_id,
            session_id=session,
            caller=caller,
        )

    @property
    def _user(self) -> str | None:
        user = (self.metadata or {}).get("user_id")
        return user if isinstance(user, str) else self.user

    def _params(self) -> dict[str, Any]:
        """The parameters of chat completions. None is not set."""
        return {IF_SUPPORTED: {"reasoning_effort": effort} if (effort := self._effort()) else None}

    def _effort(self) -> str | None:
        thinking, config = self.thinking, self.output_config or OutputConfig()
        if thinking is not None and thinking.type == "disabled":
            return None
        if config.effort is not None:
            return config.effort if config.effort in ("low", "medium") else "high"
        if thinking is None:
            return None
        if thinking.budget_tokens is None:
            return "high"  # Anthropic's default effort
        return next((name for budget, name in EFFORTS if thinking.budget_tokens >= budget), "low")

    def _fingerprint(self) -> bytes:
        return fingerprint(self.model, self.system, self.messages, self.tools, self.stream)


class MessagesRequest(CountTokensRequest):
    """Anthropic's request for a message (https://platform.claude.com/docs/en/api/messages/create)."""

    max_tokens: TokenCount
    stop_sequences: list[str] | None = Field(None, max_length=MAX_STOP)
    temperature: Temperature | None = None
    top_p: Probability | None = None
    top_k: Count | None = None

    def _params(self) -> dict[str, Any]:
        choice, user = self.tool_choice, self._user
        shape = (self.output_config or OutputConfig()).format
        if_supported = {"reasoning_effort": self._effort(), "top_k": self.top_k}
        return {
            "max_tokens": self.max_tokens,
            "stop": self.stop_sequences or None,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "parallel_tool_calls": False if choice and choice.disable_parallel_tool_use else None,
            "response_format": None if shape is None else _response_format(shape),
            "user": _sent_user(user) if user else None,
            IF_SUPPORTED: {name: value for name, value in if_supported.items() if value is not None} or None,
        }


def estimated_input(request: TurnRequest) -> int:
    """The tokens of the request, by an estimate; not those of the agent's own prompt and tools."""
    texts = [request.system_prompt or "", *map(_text_of, request.caller_tools)]
    return max(1, sum(map(estimated_tokens, request.messages)) + text_tokens(texts))


def _sent_user(user: str) -> str:
    return user if USER.fullmatch(user) else sha256(user.encode()).hexdigest()


def _text_of(tool: CallerTool) -> str:
    return f"{tool.name}{tool.description}{orjson.dumps(tool.parameters).decode()}"


def _response_format(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter of chat completions."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape["schema"], "strict": True}}
