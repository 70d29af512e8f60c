"""`os.environ/NAME` references in configuration files.

References are resolved before validation, so a number can come from the environment. An unset variable is not an
error here: the key becomes null, and the caller decides what that means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.parsing.yaml_document import KeyPath

REFERENCE_PREFIX = "os.environ/"
_MISSPELLED = re.compile(r"""os\.environ(?!/)(?:\.get)?\W*(\w*)""")

# Keys of these sections become null if the variable is not set; elsewhere the reference stays as it is.
_NULLABLE_SECTIONS = ("litellm_params", "model_info", "router_settings", "litellm_settings", "general_settings")


@dataclass(frozen=True, slots=True)
class UnsetReference:
    """A reference to an environment variable that is unset or empty. `path` is the key that holds it."""

    path: KeyPath
    variable: str


def resolve_env_references(value: Any, environ: Mapping[str, str]) -> tuple[Any, list[UnsetReference]]:
    """Replace every `os.environ/NAME` in `value`. Returns the new value and the references that are not set."""
    unset: list[UnsetReference] = []

    def resolve(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: resolve(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [resolve(each, (*path, index)) for index, each in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(REFERENCE_PREFIX):
            return value
        variable = value.removeprefix(REFERENCE_PREFIX)
        if environ.get(variable):
            return environ[variable]
        unset.append(UnsetReference(path, variable))
        nullable = path[-2:-1] and path[-2] in _NULLABLE_SECTIONS and path[-1] != "model"
        return None if nullable else value

    return resolve(value, ()), unset


def misspelled_references(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """The path of each text that looks like a reference but is none (`os.environ.NAME`), and what is wrong with it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from misspelled_references(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from misspelled_references(each, (*path, index))
    elif isinstance(value, str) and (found := _MISSPELLED.match(value)):
        yield path, f"a reference to the environment has a slash: {REFERENCE_PREFIX}{found.group(1) or 'NAME'}"
