"""A caller of `/v1/chat/completions`."""

from __future__ import annotations

from bench.soak.callers.rig import Rig
from bench.soak.gateway import Received
from bench.soak.traffic import TEXT, TurnPlan
from bench.soak.verdict import Outcome, judge_error, judge_text
from tests.clients.check_stream import check_stream


async def chat_turn(rig: Rig, plan: TurnPlan) -> None:
    """One streamed turn."""
    body = {
        "model": plan.model,
        "messages": [{"role": "user", "content": plan.mark}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    received = await rig.ask("chat", plan, "/v1/chat/completions", body)
    if received is None:
        return
    if received.status != 200:
        await rig.record_http_error("chat", plan, received)
    else:
        outcome, code = judge_stream(received, fault=plan.fails)
        await rig.record("chat", plan, received, outcome, code)


def judge_stream(received: Received, *, fault: bool) -> tuple[tuple[Outcome, str], str]:
    """The outcome of a stream, and the code of its error. `fault`: whether an error of the provider is expected."""
    raw = bytes(received.raw)
    if not raw.endswith(b"data: [DONE]\n\n"):
        return ("lost", f"the stream ended without [DONE]: {raw[-80:]!r}"), ""
    try:
        answer = check_stream(raw, include_usage=True)
    except (AssertionError, ValueError, KeyError, TypeError) as exc:
        return ("broken", f"the wire format: {exc}"), ""
    if answer.error is None:
        return judge_text(answer.text), ""
    code = str(answer.error["code"])
    if not TEXT.startswith(answer.text):
        return judge_text(answer.text, TEXT[: len(answer.text)]), code
    return judge_error(code, fault=fault), code
