"""How long a database may take to answer, while a caller waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

ANSWER_TIMEOUT: Final = 2.5
"""Seconds for connecting, and for each statement."""

_deadline: ContextVar[float | None] = ContextVar("answer_deadline", default=None)
_is_patient: ContextVar[bool] = ContextVar("is_patient", default=False)


@contextmanager
def one_deadline() -> Iterator[None]:
    """Everything in the block shares one ANSWER_TIMEOUT."""
    token = _deadline.set(asyncio.get_running_loop().time() + ANSWER_TIMEOUT)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def no_deadline() -> Iterator[None]:
    """Statements in the block may take any time, as migrations do."""
    token = _is_patient.set(True)
    try:
        yield
    finally:
        _is_patient.reset(token)


def remaining() -> float | None:
    """Seconds that the next step may take; None is any time."""
    if _is_patient.get():
        return None
    deadline = _deadline.get()
    return ANSWER_TIMEOUT if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
