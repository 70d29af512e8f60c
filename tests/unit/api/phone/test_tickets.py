"""Tickets: valid for a minute, on each server with the same secret, and not to be forged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.phone.tickets import VALID_FOR, Tickets

SECRET = SecretStr("secret")
NOW = 1_000_000.0


def at(time: float, secret: SecretStr = SECRET) -> Tickets:
    return Tickets(secret, lambda: time)


@pytest.mark.parametrize(("later", "valid"), [(0.0, True), (VALID_FOR - 1.0, True), (VALID_FOR + 1.0, False)])
def test_a_ticket_holds_for_a_minute(later: float, valid: bool) -> None:
    assert at(NOW + later).is_valid(at(NOW).issue()) is valid


def test_another_secret_accepts_none() -> None:
    assert not at(NOW, SecretStr("other")).is_valid(at(NOW).issue())
    assert at(NOW).issue() != at(NOW).issue()


@given(st.text(max_size=60))
def test_nothing_else_is_a_ticket(text: str) -> None:
    assert not at(NOW).is_valid(text)


def test_its_time_cannot_be_changed() -> None:
    expires, rest = at(NOW).issue().split("-", 1)
    assert not at(NOW).is_valid(f"{int(expires, 16) + 1:x}-{rest}")
