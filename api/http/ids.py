"""Names that callers choose: ids of users and sessions, which must fit into a URL path and a database, and models."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

MAX_ID = 256
"""Maximum length in characters."""

MAX_MODEL = 256
"""Maximum length in characters. With a wildcard, each name of a model takes memory."""

ModelName = Annotated[str, Field(max_length=MAX_MODEL)]


ID_SCHEMA: Final[dict[str, Any]] = {
    "minLength": 1,
    "maxLength": MAX_ID,
    "pattern": r"^(?! *$)(?!\.\.?$)[^/\x00-\x1f\x7f-\xa0\xad\u2000-\u200f\u2028-\u202f\ufeff]+$",
}
"""What OpenAPI says of an id. A pattern for all unprintable characters would have hundreds of ranges."""

ID_DESCRIPTION: Final = f"1 to {MAX_ID} printable characters, not blank and without a slash."


def is_valid_id(value: str) -> bool:
    """Whether `value` is not blank, not too long, printable and without a slash.

    "." and ".." are not valid, because clients remove them from a path.
    """
    fits = len(value) <= MAX_ID and "/" not in value and value.isprintable()
    return fits and bool(value.strip()) and value not in (".", "..")
