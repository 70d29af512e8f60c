"""What a request says about its turn beside the conversation, in the same words on every one of OpenAI's APIs."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from api.http.ids import ModelName, is_valid_id
from api.openai.request_schemas import FALLBACK, items
from config.errors import RequestError
from config.parsing.sections import NotBool, Seconds
from config.profile.languages import ANY_LANGUAGE, is_language
from router.failover import RoutingOverrides

HAND_OFFS = "x-switchboard-hand-offs"
"""The header, or key of `metadata`, that turns the agent's own hand-offs on or off."""

FILLER = "x-switchboard-filler"
"""The header, or key of `metadata`, that asks for something to hear while a tool runs, and in which language."""

HEADERS = ("x-session-id", "x-openwebui-chat-id", HAND_OFFS, "x-switchboard-no-fallback")
"""The headers that say something about a turn."""

MAX_FALLBACKS = 32


class TurnOptions(BaseModel):
    """The model, who asks, in which session, and how the request is routed."""

    model_config = ConfigDict(extra="allow")

    model: ModelName | None = Field(
        None, description='A model name of models.yaml. Not set or "default": the default model'
    )
    stream: StrictBool | None = False
    user: str | None = None
    metadata: dict[str, Any] | None = None
    session_id: str | None = None
    # LiteLLM's routing overrides for one request.
    timeout: Seconds | None = None
    num_retries: Annotated[int, Field(ge=0, le=10), NotBool] | None = None
    fallbacks: Annotated[list[ModelName | dict[str, Any]], Field(max_length=MAX_FALLBACKS)] | None = Field(
        None, json_schema_extra={**items(FALLBACK), "maxItems": MAX_FALLBACKS}
    )

    @property
    def user_id(self) -> str | None:
        """Whose memories the turn may use."""
        return self.user if self.user and is_valid_id(self.user) else None

    def session(self, headers: Mapping[str, str]) -> str | None:
        """The session that the request belongs to; the first key that is set wins, see docs/platforms.md."""
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

    def overrides(self, headers: Mapping[str, str]) -> RoutingOverrides:
        """What the caller wants of the routing. Raises RequestError."""
        return RoutingOverrides(self.timeout, self.num_retries, self._fallbacks(headers))

    def hand_offs(self, headers: Mapping[str, str]) -> bool | None:
        """Whether the agent offers hand-offs of its own; None leaves that to the model. Raises RequestError."""
        value = headers.get(HAND_OFFS, (self.metadata or {}).get(HAND_OFFS))
        if value is None:
            return None
        match str(value).strip().lower():
            case "off" | "false" | "no" | "0":
                return False
            case "on" | "true" | "yes" | "1":
                return True
        raise RequestError(f"{HAND_OFFS} is {value!r}; it must be 'on' or 'off'.", param=HAND_OFFS)

    def filler(self, headers: Mapping[str, str]) -> str | None:
        """The language of the fillers that the caller wants to hear; None for none. Raises RequestError."""
        value = headers.get(FILLER, (self.metadata or {}).get(FILLER))
        if value is None:
            return None
        match text := str(value).strip().lower():
            case "off" | "false" | "0":
                return None
            case "on" | "true" | "1":
                return ANY_LANGUAGE
        if not is_language(text):
            raise RequestError(
                f"{FILLER} is {value!r}; it must be 'on', 'off' or a language such as 'en' or 'zh-CN'.", param=FILLER
            )
        return text

    def _fallbacks(self, headers: Mapping[str, str]) -> tuple[str, ...] | None:
        if headers.get("x-switchboard-no-fallback", "").lower() in ("1", "true", "yes"):
            return ()
        if self.fallbacks is None:
            return None
        names = [each.get("model") if isinstance(each, dict) else each for each in self.fallbacks]
        if not all(isinstance(name, str) and name for name in names):
            raise RequestError("fallbacks must be a list of model names or of objects with a model.", param="fallbacks")
        return tuple(str(name) for name in names)


def fingerprint(*said: Any) -> bytes:
    """The same for a request that a client sends again after an error, by what it has `said`."""
    return blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None
