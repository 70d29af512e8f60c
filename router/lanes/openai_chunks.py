"""Converts OpenAI events, as providers really send them, to the chunks of `router.lanes.base`.

Text that arrives together is merged into one chunk, because every chunk costs time in the layers above.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from config.errors import AnswerCut, AttemptError, SwitchboardError
from router.lanes.base import Chunk
from router.lanes.openai_fields import first_choice, text_and_reasoning, token_counts, tool_call_fragment
from router.providers.provider_errors import from_event

UNFINISHED: Final = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""Finish reasons by which providers report that the answer is incomplete."""
_OPENAI_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_OTHER_REASONS: Final[Mapping[str, str]] = {
    "max_tokens": "length",
    "model_length": "length",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


class ChunkReader:
    """Reads the events of one answer.

    `ended`: the provider has signalled the end. `malformed`: the number of events that were not JSON objects.
    """

    def __init__(self) -> None:
        self.ended = False
        self.malformed = 0
        self._started = False
        self._finished = False
        self._called_tools = False
        self._has_output = False
        self._usage: dict[str, Any] | None = None
        self._head: dict[str, Any] = {}
        self._kind = ""
        self._text: list[str] = []
        self._chunks: list[Chunk] = []

    def read(self, payloads: Iterable[bytes]) -> list[Chunk]:
        """The chunks of the events that arrived in one read.

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
        return self._take_chunks()

    def read_whole(self, completion: Mapping[str, Any]) -> list[Chunk]:
        """The chunks of a complete `chat.completion`, from a provider that does not stream."""
        event = dict(completion)
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            message = choices[0].get("message")
            reason = choices[0].get("finish_reason") or "stop"
            event["choices"] = [{"index": 0, "delta": message, "finish_reason": reason}]
        self.ended = True
        self._event(event)
        return [*self._take_chunks(), *self.finish()]

    def finish(self) -> list[Chunk]:
        """End the stream; returns the usage, if there is any.

        Raises:
            AnswerCut: the answer started, but has no finish reason.
        """
        if self._started and not self._finished:
            raise AnswerCut("the provider's answer ended without a finish reason")
        return [self._head | {"choices": [], "usage": self._usage}] if self._usage else []

    @property
    def finished(self) -> bool:
        """Whether a finish reason has arrived: the answer is complete, even if the connection breaks now."""
        return self._finished

    def _parsed(self, payloads: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        """The events that are JSON objects; the others are counted as malformed."""
        try:
            events = orjson.loads(b"[%b]" % b",".join(payloads))  # one call for all takes half the time
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
        choice = first_choice(event.get("choices"))
        usage = event.get("usage") or (choice or {}).get("usage")  # Moonshot's is in the choice
        if isinstance(usage, dict):
            self._usage = token_counts(usage)  # some providers send the running total in every event
        if choice is None or self._finished:
            return
        if not self._started:
            self._started = True
            self._head = {name: event.get(name) for name in ("id", "created", "model")}
            self._head["object"] = "chat.completion.chunk"
        for name in ("system_fingerprint", "service_tier"):
            if isinstance(event.get(name), str):
                self._head[name] = event[name]
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            self._add({}, self._finish_reason(reason))

    def _failure(self, event: dict[str, Any]) -> SwitchboardError:
        error = from_event(event)
        if self._has_output and isinstance(error, AttemptError):
            # Part of the answer is out, so the router must continue it at once, preferably on another deployment.
            return AnswerCut(f"an error in the middle of the answer: {error}", provider_text=error.provider_text)
        return error

    def _delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if content and len(delta) == 1 and isinstance(content, str):  # the common case
            self._add_text("content", content)
            return
        reasoning = delta.get("reasoning")
        if isinstance(content, list):
            content, reasoning = text_and_reasoning(content)
        if known := delta.get("reasoning_content"):  # some send both
            self._add_text("reasoning_content", known)
        elif reasoning:
            self._add_text("reasoning", reasoning)
        if content:
            self._add_text("content", content)
        elif refusal := delta.get("refusal"):
            self._add_text("refusal", refusal)
        calls = delta.get("tool_calls")
        if isinstance(calls, list) and calls:
            self._called_tools = True
            self._add({"tool_calls": [tool_call_fragment(call) for call in calls if isinstance(call, dict)]})
        if isinstance(delta.get("function_call"), dict):
            self._add({"function_call": delta["function_call"]})

    def _add_text(self, kind: str, text: object) -> None:
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
            # A refusal is text for the user, like any other answer.
            self._append({"content": text, "refusal": text} if self._kind == "refusal" else {self._kind: text})

    def _add(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        self._flush()
        self._append(delta, finish_reason)

    def _append(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if not self._has_output:
            self._has_output = True
            delta = {"role": "assistant"} | delta
        self._chunks.append(self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _take_chunks(self) -> list[Chunk]:
        self._flush()
        chunks, self._chunks = self._chunks, []
        return chunks

    def _finish_reason(self, reason: str) -> str:
        if reason in UNFINISHED:
            raise AnswerCut(f'the provider ended its answer with the finish reason "{reason}"')
        self._finished = True
        reason = reason if reason in _OPENAI_REASONS else _OTHER_REASONS.get(reason.lower(), "stop")
        return "tool_calls" if reason == "stop" and self._called_tools else reason


def _parse(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            # One bad byte, or half of a surrogate pair, must not lose the event.
            return json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
