"""OpenAI events as providers really send them -> the chunks of `router/lanes/base.py`.

Text that is read together is merged into one chunk: whatever costs time further up costs it per chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from config.errors import AnswerCut, AttemptError, SwitchboardError
from router.lanes.base import Chunk
from router.lanes.openai_fields import counts, first_choice, fragment, parts
from router.providers.provider_errors import from_event

BROKEN_OFF: Final = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""Finish reasons with which providers say that they did not finish."""
_FINISHED: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_FINISHED_OTHERWISE: Final[Mapping[str, str]] = {
    "max_tokens": "length",
    "model_length": "length",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


class ChunkReader:
    """Reads one answer's events. `ended`: the provider said that it is over; `malformed`: events that were no JSON."""

    def __init__(self) -> None:
        self.ended = False
        self.malformed = 0
        self._begun = False
        self._finished = False
        self._called_tools = False
        self._spoken = False
        self._usage: dict[str, Any] | None = None
        self._head: dict[str, Any] = {}
        self._kind = ""
        self._text: list[str] = []
        self._chunks: list[Chunk] = []

    def read(self, payloads: Iterable[bytes]) -> list[Chunk]:
        """The chunks of the events that one read from the network held.

        Raises:
            AttemptError, RequestError: the provider reported an error inside its answer.
        """
        payloads = list(payloads)
        for number, payload in enumerate(payloads):
            if payload == b"[DONE]" or payload.strip() == b"[DONE]":
                self.ended = True
                del payloads[number:]
                break
        for event in self._parsed(payloads):
            self._event(event)
        return self._take()

    def read_whole(self, completion: Mapping[str, Any]) -> list[Chunk]:
        """The chunks of a whole `chat.completion`, from a provider that does not stream."""
        event = dict(completion)
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            message = choices[0].get("message")
            reason = choices[0].get("finish_reason") or "stop"
            event["choices"] = [{"index": 0, "delta": message, "finish_reason": reason}]
        self.ended = True
        self._event(event)
        return [*self._take(), *self.finish()]

    def finish(self) -> list[Chunk]:
        """The stream has ended: the usage, once.

        Raises:
            AnswerCut: the answer had begun and no finish reason came.
        """
        if self._begun and not self._finished:
            raise AnswerCut("the provider's answer ended before it was finished")
        return [self._head | {"choices": [], "usage": self._usage}] if self._usage else []

    @property
    def finished(self) -> bool:
        """A finish reason has come: whatever happens to the connection now, the answer is whole."""
        return self._finished

    def _parsed(self, payloads: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        """The events that are JSON objects; the others are counted."""
        try:
            events = orjson.loads(b"[%b]" % b",".join(payloads))  # all at once, which costs half
        except orjson.JSONDecodeError:
            events = []
        if len(events) != len(payloads):
            events = map(_parse, payloads)
        for event in events:
            if isinstance(event, dict):
                yield event
            else:
                self.malformed += 1

    def _event(self, event: dict[str, Any]) -> None:
        if event.get("error"):
            raise self._failure(event)
        if isinstance(event.get("usage"), dict):
            self._usage = counts(event["usage"])  # some providers repeat the running total in every event
        choice = first_choice(event.get("choices"))
        if choice is None or self._finished:
            return
        if not self._begun:
            self._begun = True
            self._head = {name: event.get(name) for name in ("id", "created", "model")}
            self._head["object"] = "chat.completion.chunk"
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            self._add({}, self._finish_reason(reason))

    def _failure(self, event: dict[str, Any]) -> SwitchboardError:
        error = from_event(event)
        if self._spoken and isinstance(error, AttemptError):
            # Whatever the reason, half an answer is out: it is to be continued at once, and better by somebody else.
            return AnswerCut(f"an error in the middle of the answer: {error}", provider_text=error.provider_text)
        return error

    def _delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if content and len(delta) == 1 and isinstance(content, str):  # nearly all of them
            self._say("content", content)
            return
        thoughts = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(content, list):
            content, thoughts = parts(content)
        if thoughts:
            self._say("reasoning_content", thoughts)
        # A refusal is an answer in words, and is heard like any other.
        if text := content or delta.get("refusal"):
            self._say("content", text)
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls:
            self._called_tools = True
            self._add({"tool_calls": [fragment(call) for call in calls if isinstance(call, dict)]})
        if isinstance(delta.get("function_call"), dict):
            self._add({"function_call": delta["function_call"]})

    def _say(self, kind: str, text: object) -> None:
        if not isinstance(text, str):
            return
        if kind != self._kind:
            self._flush()
            self._kind = kind
        self._text.append(text)

    def _flush(self) -> None:
        if self._text:
            text = "".join(self._text)
            self._text.clear()
            self._put({self._kind: text})

    def _add(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        self._flush()
        self._put(delta, finish_reason)

    def _put(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if not self._spoken:
            self._spoken = True
            delta = {"role": "assistant"} | delta
        self._chunks.append(self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _take(self) -> list[Chunk]:
        self._flush()
        chunks, self._chunks = self._chunks, []
        return chunks

    def _finish_reason(self, reason: str) -> str:
        if reason in BROKEN_OFF:
            raise AnswerCut(f'the provider broke its answer off with the finish reason "{reason}"')
        self._finished = True
        reason = reason if reason in _FINISHED else _FINISHED_OTHERWISE.get(reason.lower(), "stop")
        return "tool_calls" if reason == "stop" and self._called_tools else reason


def _parse(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            return orjson.loads(payload.decode("utf-8", "replace"))  # one bad byte is no reason to lose a word
        except orjson.JSONDecodeError:
            return None
