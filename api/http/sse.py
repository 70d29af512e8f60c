"""Server-sent events, and cancellation when the client disconnects.

The response starts with the first event or the first keep-alive. An error before that becomes an HTTP status. During
silence, comment lines keep clients from giving up (LiveKit repeats its request after 10 s). A disconnect cancels all
work for the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.errors import ClientDisconnected, error_response
from config.errors import SwitchboardError

T = TypeVar("T")

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
LINE_ENDS: Final = ((b"\xc2\x85", rb"\u0085"), (b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))
"""Characters at which many clients end a line, as Python's `splitlines` does, and their escapes in JSON strings."""

SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-store",
    "x-accel-buffering": "no",
}
END: Final = {"type": "http.response.body", "body": b"", "more_body": False}


class EventStream(Response):
    """Sends `events`, each of which is one or more whole SSE events.

    `get_headers` is called when the response starts, because only then the serving deployment is known. A
    SwitchboardError from `events` becomes an HTTP error before the response has started, and `encode_error(error)`
    afterwards. `keep_alive` is the silence, in seconds, before a keep-alive: a comment, or what `encode_keep_alive`
    returns.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        get_headers: Callable[[], Mapping[str, str]],
        encode_error: Callable[[SwitchboardError], bytes],
        keep_alive: float,
        encode_keep_alive: Callable[[], bytes] = lambda: KEEP_ALIVE,
    ) -> None:
        # Like Starlette's StreamingResponse, do not call super(): it would set a content-length.
        self.status_code = 200
        self.background = None
        self._events = events
        self._get_headers = get_headers
        self._encode_error = encode_error
        self._keep_alive = keep_alive
        self._encode_keep_alive = encode_keep_alive
        self._started = False
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. It is complete after a hang-up too, or the request's span would show an error."""
        producer = asyncio.create_task(self._produce(scope, receive, send))
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await self._keep_alive_until_done(send, producer, disconnect)
        finally:
            await _cancel(producer, disconnect)
        if not producer.cancelled():
            producer.result()
        elif self._started:
            await send(END)
        else:
            await error_response(ClientDisconnected("The client disconnected."), scope)(scope, receive, send)

    async def _keep_alive_until_done(self, send: Send, *tasks: asyncio.Task[None]) -> None:
        """Wait until one of `tasks` is done, and send keep-alives during silence."""
        clock = asyncio.get_running_loop().time
        self._last_sent = clock()
        while not any(task.done() for task in tasks):
            remaining = self._last_sent + self._keep_alive - clock()
            if remaining <= 0:
                await self._send(send, self._encode_keep_alive())
            else:
                await asyncio.wait(tasks, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)

    async def _produce(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await self._send(send, event)
        except SwitchboardError as error:
            if not self._started:
                self._started = True
                await error_response(error, scope)(scope, receive, send)
                return
            await self._send(send, self._encode_error(error))
        if not self._started:
            await self._send(send, self._encode_keep_alive())  # there was no event
        await send(END)

    async def _send(self, send: Send, body: bytes) -> None:
        self._last_sent = asyncio.get_running_loop().time()
        for character, escape in LINE_ENDS:
            body = body.replace(character, escape)
        if not self._started:
            self._started = True
            self.init_headers({**SSE_HEADERS, **self._get_headers()})
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result; cancel it when the client disconnects.

    Raises:
        ClientDisconnected: the client disconnected first.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    cancels_before, disconnected, done = task.cancelling(), False, False

    def cancel(_: object) -> None:
        nonlocal disconnected
        if not done:
            disconnected = True
            task.cancel()

    disconnect = asyncio.create_task(_wait_for_disconnect(request.receive))
    disconnect.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        # Like asyncio.timeout(): a cancellation from elsewhere is raised on.
        if disconnected and task.uncancel() <= cancels_before:
            raise ClientDisconnected("The client disconnected.") from None
        raise
    finally:
        done = True
        disconnect.cancel()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
