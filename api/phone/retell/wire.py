"""The frames that Retell sends to a custom LLM: https://docs.retellai.com/api-references/llm-websocket

Retell adds fields and types from time to time: unknown fields are ignored, and `read_frame` returns the name of a type
that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from config.errors import RequestError

Number = Annotated[int, Field(ge=0, le=2**53)]
"""Those that JSON carries exactly."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Utterance(_Part):
    """What one side said without a break, as Retell transcribed it. Other roles than the two are of third persons."""

    role: str | None = None
    content: str | None = None


class PhoneCall(_Part):
    """The call. A web call has no numbers."""

    from_number: str | None = None
    to_number: str | None = None
    direction: str | None = None

    @property
    def party(self) -> str | None:
        """The other party's number."""
        return self.to_number if self._is_outbound else self.from_number

    @property
    def line(self) -> str | None:
        """The agent's own number."""
        return self.from_number if self._is_outbound else self.to_number

    @property
    def _is_outbound(self) -> bool:
        return self.direction == "outbound"


class PingPong(_Part):
    """Asks every two seconds whether the server is there."""

    interaction_type: Literal["ping_pong"]
    timestamp: Number


class Details(_Part):
    """Comes once, after the `config` frame that asks for it."""

    interaction_type: Literal["call_details"]
    call: PhoneCall


class _Transcribed(_Part):
    """A frame with the transcript of the call so far. A later frame may have a longer last utterance."""

    transcript: tuple[Utterance, ...] | None = None

    @property
    def said(self) -> str:
        """The user's words since the agent's last ones."""
        return _words_at_the_end(self.transcript or ())

    @property
    def said_before(self) -> str:
        """The user's words before the agent's last ones."""
        utterances = list(self.transcript or ())
        while utterances and utterances[-1].role != "agent":
            utterances.pop()
        while utterances and utterances[-1].role == "agent":
            utterances.pop()
        return _words_at_the_end(utterances)

    @property
    def spoken(self) -> tuple[str, ...]:
        """The agent's utterances, as far as they were heard."""
        return tuple(each.content or "" for each in self.transcript or () if each.role == "agent")


def _words_at_the_end(utterances: Sequence[Utterance]) -> str:
    """The user's words after the agent's last ones."""
    words: list[str] = []
    for each in reversed(utterances):
        if each.role == "agent":
            break
        if each.role == "user" and each.content:
            words.append(each.content.strip())
    return " ".join(filter(None, reversed(words)))


class UpdateOnly(_Transcribed):
    """The transcript has grown, or the other side speaks now. It needs no answer, and ends none."""

    interaction_type: Literal["update_only"]
    turntaking: str | None = None


class ResponseRequired(_Transcribed):
    """The agent shall answer. A request with a newer `response_id` takes its place."""

    interaction_type: Literal["response_required"]
    response_id: Number


class ReminderRequired(_Transcribed):
    """The user is silent: the agent shall say something."""

    interaction_type: Literal["reminder_required"]
    response_id: Number


Frame = PingPong | Details | UpdateOnly | ResponseRequired | ReminderRequired

_FRAMES: Final[TypeAdapter[Frame]] = TypeAdapter(Annotated[Frame, Field(discriminator="interaction_type")])

_UNKNOWN: Final = ("union_tag_invalid", "union_tag_not_found")


def read_frame(text: str | bytes) -> Frame | str:
    """The frame; of an unknown type only its name, which is empty if there is none.

    Raises:
        RequestError: the text is not JSON, or a known type lacks a field. The message does not quote the frame.
    """
    try:
        return _FRAMES.validate_json(text)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        if first["type"] in _UNKNOWN:
            return str(first.get("ctx", {}).get("tag", ""))
        if first["type"] == "json_invalid":
            raise RequestError("The frame is not JSON.") from None
        place = ".".join(map(str, first["loc"]))
        raise RequestError(f"{place} of the frame is not valid." if place else "The frame is not an object.") from None
