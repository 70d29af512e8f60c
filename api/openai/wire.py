"""The request of `/v1/chat/completions` and its conversion to a TurnRequest.

Unknown fields are accepted, because voice platforms add their own (`call`, `phoneNumber`, `elevenlabs_extra_body`).
Known but unsupported parameters are errors, so that no caller relies on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agent.tools.caller_tools import CallerTool
from agent.turn_request import TurnRequest
from api.http.ids import ModelName, is_valid_id
from api.openai.messages import to_langchain
from api.openai.request_schemas import FALLBACK, FUNCTION, MESSAGES, TOOL, items
from api.openai.tools import read_function, read_tool, read_tool_choice
from config.errors import RequestError
from router.failover import RoutingOverrides

MAX_STOP = 4
"""Stop strings in one request, as in OpenAI's API."""

HAND_OFFS = "x-switchboard-hand-offs"
"""The header, or key of `metadata`, that turns the agent's own hand-offs on or off."""

MAX_TOOLS = 128
"""OpenAI's limit; `SWITCHBOARD_MAX_TOOLS` sets another one. Each tool of a new set costs half a millisecond."""

MAX_FALLBACKS = 32

FORWARDED_PARAMS = (
    "temperature top_p max_tokens max_completion_tokens stop seed presence_penalty frequency_penalty logit_bias "
    "response_format parallel_tool_calls user reasoning_effort verbosity service_tier prompt_cache_key "
    "safety_identifier prediction"
).split()
"""Parameters that are sent to the provider."""


# Some platforms send -1 for "no limit".
Unlimited = BeforeValidator(lambda value: None if value == -1 else value)
TokenLimit = Annotated[Annotated[int, Field(ge=1)] | None, Unlimited]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class ChatCompletionRequest(BaseModel):
    """OpenAI's chat completion request (https://platform.openai.com/docs/api-reference/chat/create)."""

    model_config = ConfigDict(extra="allow")

    model: ModelName | None = Field(
        None, description='A model name of models.yaml. Not set or "default": the default model'
    )
    messages: list[dict[str, Any]] = Field(min_length=1, json_schema_extra=MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = Field(None, json_schema_extra=items(TOOL))
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = Field(None, json_schema_extra={"deprecated": True, **items(FUNCTION)})
    function_call: Literal["none", "auto"] | dict[str, Any] | None = Field(None, json_schema_extra={"deprecated": True})
    n: int | None = Field(None, json_schema_extra={"enum": [1, None]})
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: TokenLimit = None
    max_completion_tokens: TokenLimit = None
    stop: str | list[str] | None = Field(None, json_schema_extra={"maxItems": MAX_STOP})
    seed: int | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = Field(None, json_schema_extra={"enum": [False, None]})
    top_logprobs: int | None = Field(None, json_schema_extra={"enum": [0, None]})
    response_format: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = Field(None, json_schema_extra=items({"enum": ["text"]}))
    audio: dict[str, Any] | None = Field(None, json_schema_extra={"enum": [None]})
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    prediction: dict[str, Any] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    session_id: str | None = None
    # LiteLLM's routing overrides for one request.
    timeout: Annotated[float, Field(gt=0)] | None = None
    num_retries: Annotated[int, Field(ge=0, le=10)] | None = None
    fallbacks: Annotated[list[ModelName | dict[str, Any]], Field(max_length=MAX_FALLBACKS)] | None = Field(
        None, json_schema_extra={**items(FALLBACK), "maxItems": MAX_FALLBACKS}
    )

    def turn_request(self, headers: Mapping[str, str], caller: str, max_tools: int = MAX_TOOLS) -> TurnRequest:
        """Convert to a TurnRequest. `caller` separates the sessions of different tokens, also in the statistics.

        Raises:
            RequestError: a parameter is invalid, not supported or too large; `param` names it.
        """
        self._reject_unsupported()
        tools = self._tools(max_tools)
        choice, allowed = self._tool_choice(tools)
        session = self._session_key(headers)
        return TurnRequest(
            model=self.model,
            messages=to_langchain(self.messages),
            caller_tools=tools,
            tool_choice=choice,
            allowed_tools=allowed,
            hand_offs=self._hand_offs(headers),
            params={name: value for name in FORWARDED_PARAMS if (value := getattr(self, name)) is not None},
            session_key=f"{caller}:{session}" if session else None,
            fingerprint=self._fingerprint() if session else None,
            overrides=RoutingOverrides(self.timeout, self.num_retries, self._fallbacks(headers)),
            user_id=self.user if self.user and is_valid_id(self.user) else None,
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

    def _tools(self, limit: int) -> list[CallerTool]:
        if (count := len(self.tools or ()) + len(self.functions or ())) > limit:
            param = "tools" if self.tools else "functions"
            raise RequestError(f"{param} must contain at most {limit} tools, not {count}.", param=param)
        tools = [read_tool(tool, f"tools[{number}]") for number, tool in enumerate(self.tools or [])]
        tools += [read_function(each, f"functions[{number}]") for number, each in enumerate(self.functions or [])]
        repeated = [name for name, count in Counter(tool.name for tool in tools).items() if count > 1]
        if repeated:
            raise RequestError(f"Several tools have the name {repeated[0]!r}.", param="tools")
        return tools

    def _session_key(self, headers: Mapping[str, str]) -> str | None:
        """The key of the session that the request belongs to; the first that is set wins, see docs/platforms.md."""
        extra = self.model_extra or {}
        call, elevenlabs = extra.get("call"), extra.get("elevenlabs_extra_body")
        chat = headers.get("x-openwebui-chat-id")
        candidates = (
            headers.get("x-session-id"),
            _text(call, "id") or _text(call, "callId"),
            self.session_id,
            _text(elevenlabs, "session_id"),
            _text(self.metadata, "session_id"),
            # Open WebUI can query several models at once in one chat. Its own tasks, such as a title, are not streamed:
            # they are no turns of the chat.
            chat and self.stream and f"{chat}:{self.model}",
        )
        return next((each for each in candidates if isinstance(each, str) and each), None)

    def _fingerprint(self) -> bytes:
        """The same for a request that a client sends again after an error."""
        said = [self.model, self.messages, self.tools, self.stream]
        return blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()

    def _fallbacks(self, headers: Mapping[str, str]) -> tuple[str, ...] | None:
        if headers.get("x-switchboard-no-fallback", "").lower() in ("1", "true", "yes"):
            return ()
        if self.fallbacks is None:
            return None
        names = [each.get("model") if isinstance(each, dict) else each for each in self.fallbacks]
        if not all(isinstance(name, str) and name for name in names):
            raise RequestError("fallbacks must be a list of model names or of objects with a model.", param="fallbacks")
        return tuple(str(name) for name in names)

    def _hand_offs(self, headers: Mapping[str, str]) -> bool | None:
        value = headers.get(HAND_OFFS, (self.metadata or {}).get(HAND_OFFS))
        if value is None:
            return None
        match str(value).strip().lower():
            case "off" | "false" | "no" | "0":
                return False
            case "on" | "true" | "yes" | "1":
                return True
        raise RequestError(f"{HAND_OFFS} is {value!r}; it must be 'on' or 'off'.", param=HAND_OFFS)

    def _tool_choice(self, tools: list[CallerTool]) -> tuple[str | Mapping[str, Any] | None, frozenset[str] | None]:
        """The choice, and the names of the tools that are allowed; None for all."""
        if self.tool_choice is None:
            return read_tool_choice(self.function_call, tools, "function_call")
        return read_tool_choice(self.tool_choice, tools, "tool_choice")


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None
