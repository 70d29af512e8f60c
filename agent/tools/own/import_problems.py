"""Says in words why a Python tool cannot be used: what is wrong, in which file and line.

`/health` shows the texts to everybody, so they have no folders and no text that may hold a secret.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from config.errors import Problem
from config.parsing.validation import did_you_mean
from config.profile.own_tools import PythonTool

PYTHONS_OWN = (SyntaxError, ImportError, NameError, AttributeError, TypeError)
"""Errors whose text is usually Python's. The text of any other is for the terminal alone."""


def import_problem(tool: PythonTool, error: BaseException, agent_file: Path) -> Problem:
    """The Problem for an exception that importing the tool's module raised."""
    folder = agent_file.absolute().parent
    if _is_missing(tool.module, error):
        near = did_you_mean(tool.module, [each.stem for each in folder.glob("*.py")])
        return _problem(tool, agent_file, f"there is no module {tool.module}, beside this file or installed{near}")
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    shown = f": {text}" if text and isinstance(error, PYTHONS_OWN) else ""
    message = f"{tool.module} cannot be imported: {_place(error, folder)}{type(error).__name__}{shown}"
    return _problem(tool, agent_file, message, excerpt="" if shown or not text else f"    {text}")


def attribute_problem(tool: PythonTool, module: ModuleType, agent_file: Path) -> Problem:
    """The Problem for a module that has no such attribute."""
    near = did_you_mean(tool.name, [name for name in vars(module) if not name.startswith("_")])
    return _problem(tool, agent_file, f"{_file_of(module, agent_file)} has no {tool.name!r}{near}")


def no_tool_problem(tool: PythonTool, value: Any, module: ModuleType, reason: str, agent_file: Path) -> Problem:
    """The Problem for an attribute that is no tool, for `reason`."""
    code = getattr(value, "__code__", None)
    line = f", line {code.co_firstlineno}" if code else ""
    return _problem(tool, agent_file, f"{_file_of(module, agent_file)}{line}: {reason}")


def error_files(error: BaseException) -> set[Path]:
    """The files that the exception passed through, and the file of a syntax error."""
    files = {Path(each.filename) for each in traceback.extract_tb(error.__traceback__)}
    return files | ({Path(error.filename)} if isinstance(error, SyntaxError) and error.filename else set())


def _problem(tool: PythonTool, agent_file: Path, message: str, excerpt: str = "") -> Problem:
    return Problem(message, file=agent_file, line=tool.line, key=tool.key, excerpt=excerpt)


def _is_missing(module: str, error: BaseException) -> bool:
    """Whether the tool's own module does not exist, rather than one that it imports."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return missing is not None and (module == missing or module.startswith(f"{missing}."))


def _place(error: BaseException, folder: Path) -> str:
    """The file and line of a syntax error, or the last ones that the exception passed: beside agent.yaml, or at all."""
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    else:
        steps = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
        beside = [each for each in steps if Path(each[0]).is_relative_to(folder)]
        file, line = (beside or steps)[-1]
    return f"{_named(file, folder)}, line {line}: "


def _file_of(module: ModuleType, agent_file: Path) -> str:
    return _named(module.__file__ or module.__name__, agent_file.absolute().parent)


def _named(file: str, folder: Path) -> str:
    """The file, as seen from the folder if it is there, or without its own folders."""
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
