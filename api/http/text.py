"""Texts of requests that a database stores: no NUL, and not blank where something must be said."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

PLAIN_SCHEMA: Final[dict[str, Any]] = {"pattern": r"^[^\x00]*$"}
FILLED_SCHEMA: Final[dict[str, Any]] = {"pattern": r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"}
NOT_BLANK_SCHEMA: Final[dict[str, Any]] = {"pattern": r"[^\s\x1c-\x1f\x85]"}
"""What OpenAPI says of these texts. The white space is that of Python, whose `strip` decides."""


def without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


MAX_TEXT: Final = 100_000
"""Characters."""

PlainText = Annotated[str, Field(max_length=MAX_TEXT, json_schema_extra=PLAIN_SCHEMA), AfterValidator(without_nul)]
FilledText = Annotated[
    str,
    Field(max_length=MAX_TEXT, json_schema_extra=FILLED_SCHEMA),
    AfterValidator(not_blank),
    AfterValidator(without_nul),
]
