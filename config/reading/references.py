"""What models.yaml only refers to: `os.environ/NAME`, and the shared credentials of `credential_list`.

Both are filled in before the file is checked, so that a number may come from the environment. A name that is not set is
no error: the key that refers to it becomes null, and the caller decides what that means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Problem
from config.reading.yaml_lines import Document, KeyPath

PREFIX = "os.environ/"

# Here a key may be left out; elsewhere the reference stays as it stands.
_SECTIONS = ("litellm_params", "model_info", "router_settings", "litellm_settings", "general_settings")


@dataclass(frozen=True, slots=True)
class Unset:
    """A reference to an environment variable that is not set or empty."""

    path: KeyPath
    name: str


def own_environment(value: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment together with the file's `environment_variables`; the real environment wins."""
    section = value.get("environment_variables") if isinstance(value, dict) else None
    own, _ = fill_in(section, environ) if isinstance(section, dict) else ({}, [])
    return {**{name: str(each) for name, each in own.items()}, **{name: each for name, each in environ.items() if each}}


def fill_in(value: Any, environ: Mapping[str, str]) -> tuple[Any, list[Unset]]:
    """The value with each `os.environ/NAME` replaced, and the names that are not set."""
    unset: list[Unset] = []

    def fill(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: fill(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each, (*path, index)) for index, each in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(PREFIX):
            return value
        name = value.removeprefix(PREFIX)
        if environ.get(name):
            return environ[name]
        unset.append(Unset(path, name))
        optional = path[-2:-1] and path[-2] in _SECTIONS and path[-1] != "model"
        return None if optional else value

    return fill(value, ()), unset


def share_credentials(document: Document) -> tuple[Any, list[Problem]]:
    """The document's value with every `litellm_credential_name` replaced by what stands under that name."""
    value, problems = document.value, []
    entries = value.get("model_list") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return value, []
    shared = _credentials(value.get("credential_list"))
    result: list[Any] = []
    for index, entry in enumerate(entries):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        name = params.get("litellm_credential_name") if isinstance(params, dict) else None
        if isinstance(params, dict) and isinstance(name, str) and name in shared:
            entry = {**entry, "litellm_params": {**shared[name], **params}}
        elif name is not None:
            place = ("model_list", index, "litellm_params", "litellm_credential_name")
            problems.append(document.problem(place, "no entry of credential_list has that name"))
        result.append(entry)
    return {**value, "model_list": result}, problems


def _credentials(section: Any) -> dict[str, dict[str, Any]]:
    return {
        each["credential_name"]: each["credential_values"]
        for each in (section if isinstance(section, list) else [])
        if isinstance(each, dict)
        and isinstance(each.get("credential_name"), str)
        and isinstance(each.get("credential_values"), dict)
    }
