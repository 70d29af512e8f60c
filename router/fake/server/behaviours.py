"""The behaviour behind each model name of the fake provider. `docs/fake-model.md` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from router.fake.sample_text import WORDS, WORDS_BEFORE_CUT
from router.fake.server import wire
from router.fake.server.completion_request import CompletionRequest
from router.fake.server.continuations import continue_text, repeat_last_words, restart, think_then_restart
from router.fake.server.http_errors import HTTP_ERRORS, SERVER_ERROR, TIMED, Behaviour
from router.fake.server.tool_calls import call_tool, cut_tool_call

SLOW_FIRST_TOKEN = 8.0
"""Seconds: longer than the default `first_token_timeout`."""


def behaviour_of(name: str) -> tuple[str, Behaviour] | None:
    """The behaviour for a model name without timing, with the behaviour's name; None for an unknown model."""
    name = name.partition(":")[0]
    if name in BEHAVIOURS:
        return name, BEHAVIOURS[name]
    stem, _, seconds = name.rpartition("-")
    if stem in TIMED and seconds.isascii() and seconds.isdigit() and len(seconds) <= 4:
        return stem, partial(TIMED[stem], seconds=int(seconds))
    return None


async def _ok(request: CompletionRequest) -> None:
    await request.answer(request.pieces())


async def _reset(request: CompletionRequest) -> None:
    request.connection.reset()


async def _silent(request: CompletionRequest) -> None:
    await request.connection.hang()


async def _stall_early(request: CompletionRequest) -> None:
    """Sends the role and then nothing. The role is not a token."""
    request.begin_stream()
    request.send(wire.role(request.model))
    request.flush()
    await request.connection.hang()


async def _slow_first_token(request: CompletionRequest) -> None:
    request.timing = replace(request.timing, first=request.timing.first or SLOW_FIRST_TOKEN)
    await _ok(request)


async def _cut(request: CompletionRequest) -> None:
    await _send_beginning(request)
    request.connection.close()


async def _stall(request: CompletionRequest) -> None:
    await _send_beginning(request)
    await request.connection.hang()


async def _send_beginning(request: CompletionRequest) -> None:
    """Sends 25 of the 60 words."""
    pieces = request.pieces()
    if not request.record.stream:
        request.respond_partially(await request.completion({"content": "".join(pieces)}, "stop", len(pieces)))
        return
    await request.send_text(_first_words(pieces, len("".join(pieces).split()) * WORDS_BEFORE_CUT // WORDS))
    request.flush()


async def _malformed(request: CompletionRequest) -> None:
    pieces = request.pieces()
    if not request.record.stream:
        body = await request.completion({"content": "".join(pieces)}, "stop", len(pieces))
        request.respond(200, body[: len(body) // 2])
        return
    half = len(pieces) // 2
    await request.send_text(pieces[:half])
    request.send(wire.event(b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":'))
    for piece in pieces[half:]:
        request.send(wire.text(request.model, piece))
    request.finish_stream("stop", len(pieces))


async def _no_done(request: CompletionRequest) -> None:
    pieces = request.pieces()
    if not request.record.stream:
        await _ok(request)
        return
    await request.send_text(pieces)
    request.finish_stream("stop", len(pieces), done=False)


async def _html(request: CompletionRequest) -> None:
    request.respond(200, b"<!doctype html><title>Welcome</title><h1>It works!</h1>\n", "text/html")


async def _empty(request: CompletionRequest) -> None:
    await request.answer(())


async def _inband_error(request: CompletionRequest) -> None:
    if not request.record.stream:
        request.respond(200, SERVER_ERROR)
        return
    await request.send_text(())
    _send_error(request)


async def _inband_error_late(request: CompletionRequest) -> None:
    if not request.record.stream:
        request.respond(200, SERVER_ERROR)
        return
    await _send_beginning(request)
    _send_error(request)


def _send_error(request: CompletionRequest) -> None:
    request.send(wire.event(SERVER_ERROR) + wire.DONE + wire.LAST_CHUNK)
    request.flush()


async def _no_prefill(request: CompletionRequest) -> None:
    if request.prefill:
        request.respond_error(
            400, wire.error("This model does not support assistant message prefill.", "invalid_request_error")
        )
    else:
        await _ok(request)


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
    **HTTP_ERRORS,
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
    "fake-continue": continue_text,
    "fake-overlap": repeat_last_words,
    "fake-restart": restart,
    "fake-think": think_then_restart,
}
