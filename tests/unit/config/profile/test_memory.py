from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.profile.memory import MemorySection, MemorySettings, Trim, TrimSection


def test_either_limit_makes_a_trim() -> None:
    assert TrimSection(max_tokens=4000).value == Trim(max_tokens=4000)
    assert TrimSection(max_messages=20, summarize=True).value == Trim(max_messages=20, summarize=True)


@pytest.mark.parametrize("section", [{}, {"summarize": True}, {"max_tokens": 1, "max_messages": 1}])
def test_a_trim_has_exactly_one_limit(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one of max_tokens and max_messages"):
        TrimSection(**section)


@pytest.mark.parametrize("limit", [0, -1, True, "many"])
def test_a_limit_is_a_number_above_0(limit: Any) -> None:
    with pytest.raises(ValidationError):
        TrimSection(max_tokens=limit)


def test_the_agent_remembers_nobody_unless_told_to() -> None:
    assert MemorySection().value == MemorySettings(long_term=False, embedding_model=None, recall=5)


def test_the_memory_section_says_how_users_are_remembered() -> None:
    section = MemorySection(long_term=True, embedding_model="vectors", recall=3)
    assert section.value == MemorySettings(True, "vectors", 3)


@pytest.mark.parametrize("section", [{"recall": 0}, {"recall": 101}, {"recall": True}, {"embedding_model": ""}])
def test_what_makes_no_sense_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MemorySection(long_term=True, **section)


def test_an_embedding_model_without_a_memory_is_an_error() -> None:
    with pytest.raises(ValidationError, match="requires long_term"):
        MemorySection(embedding_model="vectors")
