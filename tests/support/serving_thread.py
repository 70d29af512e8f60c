"""Runs a server in a thread with a loop of its own, for fixtures that outlive a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def running_in_thread(serve: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter `serve()` in a thread; its value is the block's."""
    ready: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(serve, ready)))
    thread.start()
    value, loop, stop = ready.result(timeout=60)
    try:
        yield value
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve(
    serve: Callable[[], AbstractAsyncContextManager[T]],
    ready: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    stop = asyncio.Event()
    try:
        async with serve() as value:
            ready.set_result((value, asyncio.get_running_loop(), stop))
            await stop.wait()
    except BaseException as exc:
        if ready.done():
            raise
        ready.set_exception(exc)
