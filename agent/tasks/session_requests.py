"""Requests to the session service as JSON values, as tasks store them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agent.sessions.requests import Invocation, Resumption
from agent.tasks.tracing import ORIGIN
from agent.tools.review import ReviewResponse

TaskRequest = Invocation | Resumption


def to_json(request: TaskRequest) -> dict[str, Any]:
    if isinstance(request, Invocation):
        return {"kind": "message", **asdict(request)}
    by_id = isinstance(request.answers, Mapping)
    pairs = request.answers.items() if isinstance(request.answers, Mapping) else enumerate(request.answers)
    answers = [[key, asdict(answer)] for key, answer in pairs]
    fields = {"user_id": request.user_id, "session_id": request.session_id, "model": request.model}
    fields["caller"] = request.caller
    return {"kind": "answers", "by_id": by_id, "answers": answers, **fields}


def from_json(stored: Mapping[str, Any]) -> TaskRequest:
    fields = {name: value for name, value in stored.items() if name not in ("kind", "by_id", "answers", ORIGIN)}
    if stored["kind"] == "message":
        return Invocation(**fields)
    answers = [(key, ReviewResponse(**answer)) for key, answer in stored["answers"]]
    return Resumption(**fields, answers=dict(answers) if stored["by_id"] else tuple(answer for _, answer in answers))
