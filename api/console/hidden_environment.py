"""The environment in whose place an edited models.yaml is checked.

A text can refer to any variable, and the problems of a value quote it. With the real environment, whoever has a token
could read all of it: provider keys, the database's password. So each variable has its own name as its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from config.parsing.env_references import REFERENCE_PREFIX
from config.parsing.yaml_document import KeyPath, format_path, parse_yaml

_VALUE: Final = "https://environment.invalid/"
"""A URL, because URLs are all that is read from variables besides references and keys."""


def hidden_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are set, without their values."""
    return {name: f"{_VALUE}{name}" for name in environ}


def readable(message: str) -> str:
    """`message` with the references in place of their values."""
    return message.replace(_VALUE, REFERENCE_PREFIX)


def reference_keys(text: str) -> frozenset[str]:
    """The keys in the text whose values are references. What their values are is unknown, so is whether they fit."""
    return frozenset(format_path(path) for path in _references(parse_yaml(text, Path()).value, ()))


def _references(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _references(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _references(each, (*path, index))
    elif isinstance(value, str) and value.startswith(REFERENCE_PREFIX):
        yield path
