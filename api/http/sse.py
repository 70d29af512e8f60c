"""Server-sent events, and answers that stop when nobody listens any more.

The response head waits for the first event or the first keep-alive, whichever comes first: until then an error is a
real HTTP status. While nothing is said, a comment line keeps clients from giving up (LiveKit sends its request again
after 10 s of silence). A caller that hangs up cancels everything that works for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.errors import CallerGone, error_response
from config.errors import SwitchboardError

T = TypeVar("T")

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
HEAD = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


class EventStream(Response):
    """Sends `events`, bytes that are whole SSE events.

    `headers_now` is asked when the head goes out, since only then is it known who serves. A SwitchboardError out of
    `events` becomes an HTTP error when it comes before the head, and `encode_error(error)` after it. `keep_alive` is
    in seconds.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        headers_now: Callable[[], Mapping[str, str]],
        encode_error: Callable[[SwitchboardError], bytes],
        keep_alive: float,
    ) -> None:
        # As Starlette's StreamingResponse does: with a `body`, the headers would announce its length.
        self.status_code = 200
        self.background = None
        self._events = events
        self._headers_now = headers_now
        self._encode_error = encode_error
        self._keep_alive = keep_alive
        self._head_sent = False
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        producer = asyncio.create_task(self._produce(scope, receive, send))
        hang_up = asyncio.create_task(_hang_up(receive))
        try:
            await self._keep_alive_until_done(send, producer, hang_up)
        finally:
            await _stop(producer, hang_up)
        if not producer.cancelled():
            producer.result()

    async def _keep_alive_until_done(self, send: Send, *tasks: asyncio.Task[None]) -> None:
        """Wait for the first of `tasks`; whenever nothing was sent for a while, send the comment line."""
        clock = asyncio.get_running_loop().time
        self._last_sent = clock()
        while not any(task.done() for task in tasks):
            quiet = self._last_sent + self._keep_alive - clock()
            if quiet <= 0:
                await self._send(send, KEEP_ALIVE)
            else:
                await asyncio.wait(tasks, timeout=quiet, return_when=asyncio.FIRST_COMPLETED)

    async def _produce(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await self._send(send, event)
        except SwitchboardError as error:
            if not self._head_sent:
                self._head_sent = True
                await error_response(error)(scope, receive, send)
                return
            await self._send(send, self._encode_error(error))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, body: bytes) -> None:
        self._last_sent = asyncio.get_running_loop().time()
        if not self._head_sent:
            self._head_sent = True
            self.init_headers({**HEAD, **self._headers_now()})
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def until_hang_up(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the caller hangs up.

    Raises:
        CallerGone: the caller hung up, so nobody will read an answer.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    cancels, gone, over = task.cancelling(), False, False

    def stop(_: object) -> None:
        nonlocal gone
        if not over:
            gone = True
            task.cancel()

    hang_up = asyncio.create_task(_hang_up(request.receive))
    hang_up.add_done_callback(stop)
    try:
        return await work
    except asyncio.CancelledError:
        # As asyncio.timeout() does: a cancellation that came from elsewhere goes on.
        if gone and task.uncancel() <= cancels:
            raise CallerGone("The caller hung up.") from None
        raise
    finally:
        over = True
        hang_up.cancel()


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
