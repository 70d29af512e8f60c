"""A new token for a caller, and its entry in callers.yaml."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from config.callers.caller import token_hash
from config.callers.callers_file import caller_name, check_callers, parse_callers
from config.errors import ConfigError, Problem

TOKEN_PREFIX = "sb-"  # noqa: S105 - it marks a token in logs and for scanners, and is no secret

_LIST = re.compile(r"^callers:[ \t]*(?:\[[ \t]*\]|null|~)?[ \t]*(#.*)?$", re.MULTILINE)
_ITEM = re.compile(r"^( *)- ", re.MULTILINE)


def new_token() -> str:
    """A token with 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def entry_of(name: str, token: str, indent: str = "  ") -> str:
    """The caller's entry in the list `callers`. Raises ValueError if the name cannot be one."""
    return f'{indent}- name: "{caller_name(name)}"\n{indent}  token_hash: {token_hash(token)}\n'


def add_entry(file: Path, name: str, token: str) -> None:
    """Add the caller to callers.yaml, or write a new one. Readers see the old file or the whole new one.

    Raises:
        ConfigError: the file has problems, or the name already.
        OSError: the file cannot be written.
        ValueError: the name cannot be one.
    """
    file = file.resolve()  # the target of a link is replaced, not the link
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(check_callers(file)[1]) from exc
    text = _with_entry(before, name, token)
    callers, problems = parse_callers(text, file)
    if callers is None or name not in callers.by_name:
        raise ConfigError(problems or [Problem("add the entry by hand: its list has an unusual form", file=file)])
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        if file.exists():
            shutil.copymode(file, temporary)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _with_entry(text: str, name: str, token: str) -> str:
    """`text` with the entry at the end of its list, which is the only key of the file."""
    if not text.strip():
        return f"callers:\n{entry_of(name, token)}"
    if text[-1] != "\n":
        text += "\n"
    head = _LIST.search(text)
    if head is None:
        return text + entry_of(name, token)
    text = text[: head.start()] + "callers:" + (f" {head[1]}" if head[1] else "") + text[head.end() :]
    item = _ITEM.search(text, head.start())
    return text + entry_of(name, token, item[1] if item else "  ")
