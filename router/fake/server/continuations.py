"""What the fake provider says when it is asked to go on with an answer of which a part was spoken already.

Asked it is either by a prefill (the last message is the assistant's) or in words (the assistant's message and then a
request). Real models do one of three things: they go on, they begin again, or they repeat some words first.
"""

from __future__ import annotations

from router.fake.sample_text import pieces_of, sample_pieces
from router.fake.server import wire
from router.fake.server.ask import Ask

OVERLAP = 4
"""Words that `fake-overlap` says again."""


async def go_on(ask: Ask) -> None:
    """Goes straight on."""
    await ask.answer(_rest(ask, _spoken(ask)))


async def overlap(ask: Ask) -> None:
    """Says the last words again before it goes on."""
    spoken = _spoken(ask)
    again = tuple(pieces_of(spoken)[-OVERLAP:])
    await ask.answer(((again[0].lstrip(), *again[1:]) if again else ()) + _rest(ask, spoken))


async def restart(ask: Ask) -> None:
    """Says everything again from the start."""
    await ask.answer(sample_pieces(ask.timing.tokens))


async def think(ask: Ask) -> None:
    """Thinks first, as reasoning models do, and then says everything from the start."""
    if not ask.record.stream:
        await restart(ask)
        return
    pieces = _all(ask)
    ask.begin()
    ask.send(wire.delta(ask.model, {"role": "assistant", "reasoning_content": "Where was I?"}))
    ask.send(wire.texts(ask.model, pieces))
    ask.finish("stop", len(pieces))


def _spoken(ask: Ask) -> str:
    """The part of the sample text that stands at the end of the messages; empty when nothing is to be continued."""
    for message in ask.body["messages"][-2:]:
        if isinstance(message, dict) and message.get("role") == "assistant":
            content = message.get("content")
            if isinstance(content, str) and content and "".join(_all(ask)).startswith(content):
                return content
    return ""


def _rest(ask: Ask, spoken: str) -> tuple[str, ...]:
    return tuple(pieces_of("".join(_all(ask))[len(spoken) :]))


def _all(ask: Ask) -> tuple[str, ...]:
    return sample_pieces(ask.timing.tokens)
