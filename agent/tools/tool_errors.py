"""The text that the model gets when a tool raises. The place goes to the log, and no stack goes to anybody."""

from __future__ import annotations

from traceback import walk_tb
from typing import Final

import structlog
from langchain_core.tools import ToolException
from langgraph.prebuilt.tool_node import ToolInvocationError

from config.log_content import logs_content

log = structlog.get_logger(__name__)

MAX_CHARS: Final = 500
"""Characters of an exception's text."""

STEPS: Final = 10
"""Steps of the stack that are logged, up to the place of the error."""


def tool_error_text(error: Exception) -> str:
    """`ToolNode`'s `handle_tool_errors`. The text of a ToolException is meant for the model, and stays as it is."""
    if isinstance(error, ToolException):
        return str(error)
    if isinstance(error, ToolInvocationError):  # the arguments do not fit: the model can correct them
        return error.message
    text = " ".join(str(error).split())
    shown = f"{text[:MAX_CHARS]} ..." if len(text) > MAX_CHARS else text
    problem = f"{type(error).__name__}{f': {shown}' if shown else ''}"
    # Not as `exc_info`: formatting a stack reads source files, which blocks, and may show the values of variables.
    steps = [f"{each.f_code.co_filename}:{line} {each.f_code.co_name}" for each, line in walk_tb(error.__traceback__)]
    log.error("tool_failed", problem=problem if logs_content() else type(error).__name__, at=steps[-STEPS:])
    return f"The tool failed: {problem}. Continue without it."
