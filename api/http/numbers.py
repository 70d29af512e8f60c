"""Numbers of requests. In JSON, 60 and 60.0 are the same number; `true` is none."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from config.parsing.sections import NotBool

LARGEST_COUNT: Final = 2**31 - 1
LARGEST_SEED: Final = 2**63 - 1024
"""The largest of 64 bits that is a JSON number in every language: many read it as a double."""

TokenCount = Annotated[int, Field(ge=1, le=LARGEST_COUNT), NotBool]
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT), NotBool]
Temperature = Annotated[float, Field(ge=0, le=2), NotBool]
Probability = Annotated[float, Field(ge=0, le=1), NotBool]
Penalty = Annotated[float, Field(ge=-2, le=2), NotBool]
Seed = Annotated[int, Field(ge=-LARGEST_SEED, le=LARGEST_SEED), NotBool]


def whole(value: Any) -> Any:
    """A validator before that of a strict `int`, which takes no float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
