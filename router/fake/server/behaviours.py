"""What each model name of the fake provider does. `docs/fake-model.md` has the list in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from router.fake.sample_text import WORDS, WORDS_BEFORE_CUT
from router.fake.server import wire
from router.fake.server.ask import Ask
from router.fake.server.continuations import go_on, overlap, restart, think
from router.fake.server.refusals import REFUSALS, TIMED, UPSTREAM, Behaviour
from router.fake.server.tool_calls import call_tool, cut_tool_call

SLOW_FIRST_TOKEN = 8.0
"""Seconds: longer than the default `first_token_timeout`."""


def behaviour_of(name: str) -> tuple[str, Behaviour] | None:
    """The behaviour behind a model's name without its timing, and what it is called; None for an unknown name."""
    name = name.partition(":")[0]
    if name in BEHAVIOURS:
        return name, BEHAVIOURS[name]
    stem, _, seconds = name.rpartition("-")
    if stem in TIMED and seconds.isascii() and seconds.isdigit() and len(seconds) <= 4:
        return stem, partial(TIMED[stem], seconds=int(seconds))
    return None


async def _ok(ask: Ask) -> None:
    await ask.answer(ask.pieces())


async def _reset(ask: Ask) -> None:
    ask.line.reset()


async def _silent(ask: Ask) -> None:
    await ask.line.silence()


async def _stall_early(ask: Ask) -> None:
    """The role comes and then nothing: the line is open, but a role is not a word."""
    ask.begin()
    ask.send(wire.role(ask.model))
    ask.flush()
    await ask.line.silence()


async def _slow_first_token(ask: Ask) -> None:
    ask.timing = replace(ask.timing, first=ask.timing.first or SLOW_FIRST_TOKEN)
    await _ok(ask)


async def _cut(ask: Ask) -> None:
    await _begun(ask)
    ask.line.close()


async def _stall(ask: Ask) -> None:
    await _begun(ask)
    await ask.line.silence()


async def _begun(ask: Ask) -> None:
    """An answer of which 25 of 60 words are sent."""
    pieces = ask.pieces()
    if not ask.record.stream:
        ask.respond_in_part(await ask.completion({"content": "".join(pieces)}, "stop", len(pieces)))
        return
    await ask.speak(_first_words(pieces, len("".join(pieces).split()) * WORDS_BEFORE_CUT // WORDS))
    ask.flush()


async def _malformed(ask: Ask) -> None:
    pieces = ask.pieces()
    if not ask.record.stream:
        body = await ask.completion({"content": "".join(pieces)}, "stop", len(pieces))
        ask.respond(200, body[: len(body) // 2])
        return
    half = len(pieces) // 2
    await ask.speak(pieces[:half])
    ask.send(wire.event(b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":'))
    for piece in pieces[half:]:
        ask.send(wire.text(ask.model, piece))
    ask.finish("stop", len(pieces))


async def _no_done(ask: Ask) -> None:
    pieces = ask.pieces()
    if not ask.record.stream:
        await _ok(ask)
        return
    await ask.speak(pieces)
    ask.finish("stop", len(pieces), done=False)


async def _html(ask: Ask) -> None:
    ask.respond(200, b"<!doctype html><title>Welcome</title><h1>It works!</h1>\n", "text/html")


async def _empty(ask: Ask) -> None:
    await ask.answer(())


async def _inband_error(ask: Ask) -> None:
    if not ask.record.stream:
        ask.respond(200, UPSTREAM)
        return
    await ask.speak(())
    _report_error(ask)


async def _inband_error_late(ask: Ask) -> None:
    if not ask.record.stream:
        ask.respond(200, UPSTREAM)
        return
    await _begun(ask)
    _report_error(ask)


def _report_error(ask: Ask) -> None:
    ask.send(wire.event(UPSTREAM) + wire.DONE + wire.LAST_CHUNK)
    ask.flush()


async def _no_prefill(ask: Ask) -> None:
    if ask.prefill:
        ask.refuse(400, wire.error("This model does not support assistant message prefill.", "invalid_request_error"))
    else:
        await _ok(ask)


def _first_words(pieces: tuple[str, ...], words: int) -> tuple[str, ...]:
    taken: list[str] = []
    for piece in pieces:
        words -= len(piece.split())
        if words < 0:
            break
        taken.append(piece)
    return tuple(taken)


BEHAVIOURS: Mapping[str, Behaviour] = {
    "fake-ok": _ok,
    **REFUSALS,
    "fake-reset": _reset,
    "fake-silent": _silent,
    "fake-slow-first-token": _slow_first_token,
    "fake-stall-early": _stall_early,
    "fake-cut": _cut,
    "fake-stall": _stall,
    "fake-malformed": _malformed,
    "fake-no-done": _no_done,
    "fake-html": _html,
    "fake-empty": _empty,
    "fake-inband-error": _inband_error,
    "fake-inband-error-late": _inband_error_late,
    "fake-tool": call_tool,
    "fake-tool-cut": cut_tool_call,
    "fake-no-prefill": _no_prefill,
    "fake-continue": go_on,
    "fake-overlap": overlap,
    "fake-restart": restart,
    "fake-think": think,
}
