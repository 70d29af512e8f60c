from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars, get_contextvars

from api.http.request_id import RequestId


async def answered(*headers: tuple[bytes, bytes], fails: bool = False) -> tuple[dict[str, Any], list[Message]]:
    """What a log line within the request would carry, and what was sent."""
    sent: list[Message] = []
    within: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        within.update(get_contextvars())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-other", b"1")]})
        if fails:
            raise OSError
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestId(app)({"type": "http", "path": "/", "headers": list(headers)}, receive, send)
    return within, sent


async def test_log_lines_and_the_answer_carry_the_same_id() -> None:
    within, sent = await answered()
    assert within["request_id"].startswith("req_")
    assert dict(sent[0]["headers"]) == {b"x-other": b"1", b"x-request-id": within["request_id"].encode()}


@pytest.mark.parametrize(("given", "taken"), [(b"call-7", True), (b"", False), (b"a b", False), (b"x" * 129, False)])
async def test_a_usable_id_is_kept(given: bytes, taken: bool) -> None:
    within, _ = await answered((b"x-request-id", given))
    assert (within["request_id"].encode() == given) is taken


@pytest.mark.parametrize("fails", [False, True])
async def test_the_id_ends_with_its_request(fails: bool) -> None:
    with bound_contextvars(request_id="outer", other=1):
        try:
            within, _ = await answered((b"x-request-id", b"inner"), fails=fails)
        except OSError:
            assert fails
        else:
            assert within == {"request_id": "inner", "other": 1}
        assert get_contextvars() == {"request_id": "outer", "other": 1}
    assert get_contextvars() == {}
