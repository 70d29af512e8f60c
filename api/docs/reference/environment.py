"""The variables of the environment: settings, and the providers' keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.docs.reference.tables import code, link, table
from config.models.provider_keys import BASE_VARIABLES, KEY_VARIABLES, OTHER_BASES
from config.profile.agent_file import DEFAULT_AGENT_FILE
from config.profile.mcp_servers import MCP_URL
from config.settings import PREFIX, Settings


def settings(see: Mapping[str, str]) -> str:
    """A table of the settings. `see` has links to more about a field."""
    rows = []
    for name, field in Settings.model_fields.items():
        rows.append(
            (
                code(_variable(name, field)),
                _default(field.default),
                _full_names(field.description) + link(see.get(name)),
            )
        )
    return table(("variable", "default", "meaning"), rows)


def providers() -> str:
    """A table of the variables in which a provider's key and base URL are looked for."""
    rows = []
    for provider in sorted({*KEY_VARIABLES, *BASE_VARIABLES, *OTHER_BASES}):
        keys = ", ".join(map(code, KEY_VARIABLES.get(provider, ()))) or "none needed"
        bases = [*OTHER_BASES.get(provider, ())] + ([BASE_VARIABLES[provider]] if provider in BASE_VARIABLES else [])
        rows.append((code(f"{provider}/"), keys, ", ".join(map(code, bases))))
    return table(("provider", "key", "base URL"), rows)


def others() -> str:
    """A table of the variables that are neither settings nor keys."""
    meaning = (
        'Address of one more MCP server, over streamable HTTP. Its name is `mcp`, as in `review: ["mcp:mcp:*"]`. A '
        "server of agent.yaml with the same address is not added twice."
    )
    otel = "A variable that starts with `OTEL_` or `FASTAPI_OTEL_`, set at the start, turns OpenTelemetry on."
    return table(("variable", "meaning"), [(code(MCP_URL), meaning), ("`OTEL_...`", otel)])


def _variable(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else f"{PREFIX}{name.upper()}"


def _full_names(description: str | None) -> str:
    """The description with the names of variables as code."""
    words = (description or "").split(" ")
    return " ".join(code(word) if word.startswith(PREFIX) and word[-1] != "." else _in_code(word) for word in words)


def _in_code(word: str) -> str:
    return f"{code(word[:-1])}." if word.startswith(PREFIX) else word


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if value is PydanticUndefined:
        return ""  # it depends, and the description says on what
    if value == DEFAULT_AGENT_FILE:
        return "the shipped `config/agent.yaml`"
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}" if isinstance(value, float) else value.as_posix() if isinstance(value, Path) else value)
