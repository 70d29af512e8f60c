"""Whose call it is."""

from __future__ import annotations

import pytest

from agent.calls.details import user_of


@pytest.mark.parametrize(
    ("number", "user"),
    [
        ("+15550100", "+15550100"),
        ("+1 (555) 01-00", "+15550100"),
        ("sip:ann@example.com", "sip:ann@example.com"),
        ("jean-paul", "jean-paul"),
        ("", "anonymous CA1"),
        ("Anonymous", "anonymous CA1"),
        ("+266696687", "anonymous CA1"),
        ("sip:a/b@example.com", "anonymous CA1"),
        ("+1\x00", "anonymous CA1"),
        ("9" * 300, "anonymous CA1"),
    ],
)
def test_a_user_is_a_number_or_a_name(number: str, user: str) -> None:
    assert user_of(number, "CA1") == user
