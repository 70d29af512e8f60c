"""Languages by their BCP-47 tags, such as "en" and "zh-CN"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

ANY_LANGUAGE: Final = "und"
"""BCP-47's tag of an undetermined language. The nearest to it is the first."""

_TAG: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.IGNORECASE)


def is_language(text: str) -> bool:
    """Whether the text has the form of a language tag."""
    return _TAG.fullmatch(text) is not None


def nearest_language(wanted: str, available: Sequence[str]) -> str:
    """The tag of `available`, which is not empty, that is nearest to `wanted`.

    For "zh-Hans-CN" that is "zh-Hans", otherwise "zh", otherwise another of Chinese, otherwise the first of all.
    """
    parts = wanted.lower().replace("_", "-").split("-")
    by_tag = {each.lower(): each for each in available}
    for length in range(len(parts), 0, -1):
        if found := by_tag.get("-".join(parts[:length])):
            return found
    return next((each for tag, each in by_tag.items() if tag.split("-")[0] == parts[0]), available[0])
