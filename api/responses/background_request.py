"""What a task stores of a request for a response in the background. The stored response has its input."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.openai.turn_options import HEADERS
from api.responses.response_object import ResponseInfo
from api.responses.wire import ResponseRequest


@dataclass(frozen=True, slots=True)
class BackgroundRequest:
    """`body` without its input; `headers` are those that say something about the turn. `model` is the name of the one
    that was asked. It was `created` at that Unix time.
    """

    body: ResponseRequest
    headers: Mapping[str, str]
    caller: str
    model: str
    created: int

    @classmethod
    def of(cls, body: ResponseRequest, headers: Mapping[str, str], caller: str, model: str) -> BackgroundRequest:
        """The request that came just now."""
        kept = {name: headers[name] for name in HEADERS if name in headers}
        return cls(body, kept, caller, model, int(time.time()))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BackgroundRequest:
        body = ResponseRequest.model_validate({**stored["body"], "input": []})
        return cls(body, stored["headers"], stored["caller"], stored["model"], stored["created"])

    def to_json(self) -> dict[str, Any]:
        body = self.body.model_dump(mode="json", by_alias=True, exclude={"input"}, exclude_unset=True)
        asked = {"headers": dict(self.headers), "caller": self.caller, "model": self.model, "created": self.created}
        return {"body": body, **asked}

    def info(
        self,
        task_id: str,
        model: Callable[[], str | None] = lambda: None,
        provider_fields: Callable[[], Mapping[str, str]] = dict,
    ) -> ResponseInfo:
        """What the response of the task says of its request. `model` is the serving one, once it is known."""
        return ResponseInfo(
            key=task_id,
            created_at=self.created,
            now=lambda: int(time.time()),
            model=lambda: model() or self.model,
            echoed=self.body.echoed(),
            provider_fields=provider_fields,
        )
