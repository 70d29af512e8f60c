"""Logging: readable lines in a terminal, or one JSON object per line with `SWITCHBOARD_LOG_JSON=true`.

Lines have no content and no secrets. `SWITCHBOARD_LOG_CONTENT=true` allows content, for debugging.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final, TextIO

import structlog

from api.log_text import exception_text, without_library_text
from config.log_content import allow_content

NOISY = (
    "LiteLLM",
    "LiteLLM Proxy",
    "LiteLLM Router",
    "aiohttp.access",
    "alembic",
    "celery",
    "httpcore",
    "httpx",
    "kombu",
    "uvicorn.error",
    "watchfiles",
)
"""Loggers that repeat our lines, quote requests, or log every file change; only their warnings are shown."""


OURS: Final = ("agent", "api", "config", "router")
"""Our loggers. Only they write lines of the level DEBUG, at which libraries quote all that they handle."""

CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def escape_event(_: Any, __: str, event_dict: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor that keeps a message on one line: a caller's text in it could imitate another line.

    The messages are those of other libraries. The renderers escape the values of our own lines.
    """
    event = str(event_dict.get("event", "")).rstrip("\n")
    event_dict["event"] = CONTROL_CHARACTERS.sub(_escaped, event)
    return event_dict


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


def configure_logging(level: str, *, as_json: bool, log_content: bool = False, stream: TextIO | None = None) -> None:
    """Send the lines of structlog and of the standard library's logging to `stream` in one format. None is stderr.

    `log_content` allows lines to quote what callers, models, tools and providers say.
    """
    allow_content(log_content)
    lowest = logging.getLevelNamesMapping()[level.upper()]
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if as_json
        else [escape_event, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                without_library_text,
                exception_text,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=lowest if log_content else max(lowest, logging.INFO), force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(lowest)
    logging.captureWarnings(True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
