"""Keeps content out of log lines: the texts of exceptions, and the messages of libraries that quote what they handle.

An exception's text may be a caller's: `KeyError('my card number')`. So a stack says what was raised and where, and no
more. `SWITCHBOARD_LOG_CONTENT=true` shows everything.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any, Final

from structlog.typing import EventDict

from config.log_content import SETTING, logs_content

QUOTING: Final = ("LiteLLM", "langchain", "langgraph", "mcp", "openai", "httpx", "httpx2", "httpcore", "aiohttp")
"""Loggers, with those below them, whose messages may quote requests, answers and tools."""

HIDDEN: Final = f"(hidden; {SETTING}=true shows it)"

MAX_FRAMES: Final = 50
"""Steps of a stack that are logged, up to the place of the error."""

_WARNING: Final = re.compile(r".*?:\d+: \w+:")
"""Where a warning comes from, and its category. Its text, such as pydantic's, may quote values."""

_QUOTE: Final = re.compile(r"[<(\n]")
"""Where asyncio's messages begin to quote: arguments of callbacks, results of tasks."""


def without_library_text(_: Any, __: str, event_dict: EventDict) -> EventDict:
    """A structlog processor for lines of the standard library's logging."""
    record: logging.LogRecord | None = event_dict.get("_record")
    if record is None or event_dict.get("_from_structlog") or logs_content():
        return event_dict
    event, name = str(event_dict.get("event", "")), record.name.partition(".")[0].partition(" ")[0]
    if name in QUOTING:
        event_dict["event"] = f"a message of {record.name} {HIDDEN}"
        event_dict["at"] = f"{record.filename}:{record.lineno}"
    elif record.name == "py.warnings":
        place = _WARNING.match(event)
        event_dict["event"] = f"{place[0] if place else 'a warning'} {HIDDEN}"
    elif name == "asyncio":
        event_dict["event"] = _QUOTE.split(event, maxsplit=1)[0].strip()
    return event_dict


def exception_text(_: Any, __: str, event_dict: EventDict) -> EventDict:
    """A structlog processor that replaces `exc_info` by the stack, without the text of the exception and its causes.

    It does not quote source either: to read it would block the event loop.
    """
    found = event_dict.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else found[1] if isinstance(found, tuple) else None
    if found is True:
        error = sys.exc_info()[1]
    if error is not None:
        event_dict["exception"] = "\n".join(_lines(error, set()))
    return event_dict


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Like Python's own traceback: causes first."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    for each, line in list(walk_tb(error.__traceback__))[-MAX_FRAMES:]:
        yield f'  File "{each.f_code.co_filename}", line {line}, in {each.f_code.co_qualname}'
    yield f"{type(error).__module__}.{type(error).__qualname__}: {_text(error)}"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(part) not in seen:
            yield from (f"  | {each}" for each in _lines(part, seen))


def _text(error: BaseException) -> str:
    if logs_content():
        return str(error)
    # The system's own words, such as "Connection refused".
    return error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else HIDDEN
