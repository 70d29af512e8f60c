"""The fake model: scripted answers in process, for use without a key, for load tests and failure rehearsals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

import orjson

from config.errors import CredentialsRefused
from config.models.deployments import Deployment
from config.models.fake_models import NAMED_FAILURES, is_failure
from router.fake.fake_answer import answer, failing_answer, text_of
from router.fake.fake_assistant import assistant_answer
from router.fake.fake_failures import HANGING, failure
from router.fake.fake_script import Action, Call, Fail, Finish, Say, Wait
from router.fake.sample_json import sample_arguments
from router.fake.sample_text import count_pieces, pieces_of
from router.fake.timing import ResponseTiming, TokenTimer, split_timing
from router.lanes.base import Chunk, LaneRequest

ANSWERS: Final = {"echo": answer, "assistant": assistant_answer}


class FakeLane:
    """A lane without network: `fake/echo` follows the last user message, `fake/assistant` also uses the demo's tools,
    `fake/429` always fails.

    A timing may follow the model name (`fake/echo?first=200ms&gap=20ms&tokens=64`). Tokens are words;
    `docs/fake-model.md` describes the script language.
    """

    async def stream(self, request: LaneRequest) -> AsyncGenerator[Chunk, None]:
        """Yields the scripted answer. Raises the scripted failure, and CredentialsRefused for an unknown fake model."""
        name, timing = _model(request.deployment.model)
        params = {**request.deployment.params, **request.params}
        answers = ANSWERS.get(name)
        actions = answers(request.messages, params, timing.tokens) if answers else failing_answer(name)
        chunks, timer = _Chunks(request.deployment.model), TokenTimer(timing)
        tokens = calls = 0
        finish: str | None = None
        for action in _limited(actions, params):
            match action:
                case Fail():
                    await _fail(action, answering=tokens > 0)
                case Wait(seconds):
                    await timer.pause(seconds)
                case Finish(reason):
                    finish = reason
                    break
                case Say() | Call():
                    await timer.wait_for_token()
                    if not tokens and not calls:
                        yield chunks.role()
                    if isinstance(action, Say):
                        yield chunks.text(action.text)
                        tokens += 1
                    else:
                        yield chunks.call(calls, action.name, _arguments(action, params))
                        calls += 1
        yield chunks.finish(finish or ("tool_calls" if calls else "stop"))
        yield chunks.usage(sum(count_pieces(text_of(message)) for message in request.messages), tokens)

    async def warm_up(self, deployments: Sequence[Deployment]) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing to close."""


class _Chunks:
    """The chunks of one answer."""

    def __init__(self, model: str) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def role(self) -> Chunk:
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, piece: str) -> Chunk:
        return self._chunk({"content": piece})

    def call(self, index: int, name: str, arguments: str) -> Chunk:
        function = {"name": name, "arguments": arguments}
        call = {"index": index, "id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def finish(self, reason: str) -> Chunk:
        return self._chunk({}, reason)

    def usage(self, prompt: int, completion: int) -> Chunk:
        total = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return {**self._head, "choices": [], "usage": total}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> Chunk:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _model(model: str) -> tuple[str, ResponseTiming]:
    try:
        name, timing = split_timing(model.removeprefix("fake/"))
    except ValueError as exc:
        raise CredentialsRefused(f"the fake model's timing: {exc}", status=404) from exc
    if name not in ANSWERS and not is_failure(name):
        known = ", ".join(f"fake/{each}" for each in (*ANSWERS, *NAMED_FAILURES, "429", "503"))
        raise CredentialsRefused(f"there is no fake model {model!r}; known are {known}", status=404)
    return name, timing


async def _fail(action: Fail, *, answering: bool) -> None:
    if action.kind in HANGING:
        await asyncio.get_running_loop().create_future()
    raise failure(action.kind, retry_after=action.retry_after, answering=answering)


def _arguments(call: Call, params: Mapping[str, Any]) -> str:
    if call.arguments is not None:
        return call.arguments
    tools = params.get("tools") or ()
    tool = next((each for each in tools if each.get("function", {}).get("name") == call.name), None)
    return orjson.dumps(sample_arguments(tool) if tool else {}).decode()


def _limited(actions: list[Action], params: Mapping[str, Any]) -> Iterator[Action]:
    """The actions with their text split into tokens, up to the first stop sequence or the maximum number of tokens."""
    stop, limit = params.get("stop"), params.get("max_completion_tokens") or params.get("max_tokens")
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    said = 0
    for action in actions:
        if not isinstance(action, Say):
            yield action
            continue
        end = min((at for each in stops if each and (at := action.text.find(each)) >= 0), default=None)
        for piece in pieces_of(action.text[:end]):
            if limit and said >= limit:
                yield Finish("length")
                return
            yield Say(piece)
            said += 1
        if end is not None:
            yield Finish("stop")
            return
