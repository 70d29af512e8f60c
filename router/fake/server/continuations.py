"""How the fake provider continues an answer of which the caller already has the beginning.

The request is either a prefill (the last message is the assistant's) or an instruction (a user message after the
assistant's). Real models do one of three things: continue, start again, or repeat some words first.
"""

from __future__ import annotations

from router.fake.sample_text import pieces_of, sample_pieces
from router.fake.server import wire
from router.fake.server.completion_request import CompletionRequest

OVERLAP = 4
"""Words that `fake-overlap` repeats."""


async def continue_text(request: CompletionRequest) -> None:
    """Continues directly."""
    await request.answer(_rest(request, _spoken(request)))


async def repeat_last_words(request: CompletionRequest) -> None:
    """Repeats the last words before it continues."""
    spoken = _spoken(request)
    again = tuple(pieces_of(spoken)[-OVERLAP:])
    await request.answer(((again[0].lstrip(), *again[1:]) if again else ()) + _rest(request, spoken))


async def restart(request: CompletionRequest) -> None:
    """Sends everything again from the start."""
    await request.answer(sample_pieces(request.timing.tokens))


async def think_then_restart(request: CompletionRequest) -> None:
    """Sends reasoning first, as reasoning models do, and then everything from the start."""
    if not request.record.stream:
        await restart(request)
        return
    pieces = _all(request)
    request.begin_stream()
    request.send(wire.delta(request.model, {"role": "assistant", "reasoning_content": "Where was I?"}))
    request.send(wire.texts(request.model, pieces))
    request.finish_stream("stop", len(pieces))


def _spoken(request: CompletionRequest) -> str:
    """The assistant's part of the sample text at the end of the messages; empty if there is nothing to continue."""
    for message in request.body["messages"][-2:]:
        if isinstance(message, dict) and message.get("role") == "assistant":
            content = message.get("content")
            if isinstance(content, str) and content and "".join(_all(request)).startswith(content):
                return content
    return ""


def _rest(request: CompletionRequest, spoken: str) -> tuple[str, ...]:
    return tuple(pieces_of("".join(_all(request))[len(spoken) :]))


def _all(request: CompletionRequest) -> tuple[str, ...]:
    return sample_pieces(request.timing.tokens)
