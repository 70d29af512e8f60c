"""Runs synchronous tools in threads of their own.

asyncio's and anyio's pools are not used: a tool that hangs would keep the process from ending, and a few slow ones
would hold up everything else that waits for asyncio's pool, such as the look-up of a provider's address.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import wraps
from threading import Thread
from typing import Any


def in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """`function` as a coroutine function. A cancelled call does not wait for its thread, which runs to its end."""

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        result: Future[Any] = Future()
        result.set_running_or_notify_cancel()  # before the thread starts, since afterwards nothing can cancel it
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result.set_result(context.run(function, *args, **kwargs))
            except (StopIteration, SystemExit) as exc:  # which asyncio does not pass on, or takes for its own end
                result.set_exception(RuntimeError(repr(exc)))
            except BaseException as exc:
                result.set_exception(exc)

        Thread(target=work, name=f"tool {function.__name__}", daemon=True).start()
        return await asyncio.wrap_future(result)

    return run
