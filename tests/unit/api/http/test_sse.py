import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import orjson
import pytest
from starlette.requests import Request

from api.http.errors import ClientDisconnected
from api.http.sse import EventStream, cancel_on_disconnect


class Line:
    """A caller's connection, and work that goes on until it is cancelled."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.request = Request({"type": "http", "path": "/"}, self.receive)
        self.begun = asyncio.Event()
        self.stopped = False

    async def receive(self) -> MutableMapping[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def work(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.stopped = True


async def test_a_hang_up_cancels_the_work_and_nothing_else() -> None:
    line = Line()

    async def handler() -> int:
        with pytest.raises(ClientDisconnected):
            await cancel_on_disconnect(line.request, line.work())
        await asyncio.sleep(0)  # would raise, were the handler still to be cancelled
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    handling = asyncio.create_task(handler())
    await line.begun.wait()
    line.gone.set()
    assert await handling == 0
    assert line.stopped


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_a_cancellation_from_elsewhere_goes_on(hangs_up: bool) -> None:
    line = Line()
    handling = asyncio.create_task(cancel_on_disconnect(line.request, line.work()))
    await line.begun.wait()
    if hangs_up:
        line.gone.set()
        for _ in range(3):  # until the hang-up is known, but before its cancellation arrives
            await asyncio.sleep(0)
            if handling.cancelling():
                break
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert line.stopped


async def test_a_hang_up_after_the_work_disturbs_nobody() -> None:
    line = Line()

    async def done() -> str:
        line.gone.set()
        await asyncio.sleep(0)  # the hang-up is seen in the same round of the loop in which the work ends
        return "answer"

    assert await cancel_on_disconnect(line.request, done()) == "answer"
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_nobody_watches_the_line_once_the_answer_is_there() -> None:
    async def done() -> str:
        await asyncio.sleep(0)
        return "answer"

    assert await cancel_on_disconnect(Line().request, done()) == "answer"
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_client_finds_the_end_of_a_line_within_an_event() -> None:
    text = "one\u2028two\u2029three\x85four\u2019"

    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: " + orjson.dumps({"text": text}) + b"\n\n"

    sent: list[bytes] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    stream = EventStream(events(), get_headers=dict, encode_error=lambda _: b"", keep_alive=5.0)
    await stream({"type": "http"}, Line().receive, send)
    [line] = b"".join(sent).decode().rstrip("\n").splitlines()
    assert orjson.loads(line.removeprefix("data: ")) == {"text": text}
    assert "\u2019" in line
