"""Decides what became of a turn, from the text that its caller received."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Literal, get_args

from bench.soak.traffic import FAULT_CODES, TEXT

Outcome = Literal["whole", "clean error", "hung up", "cut", "bad gateway", "lost", "doubled", "broken"]
"""cut: the connection broke. bad gateway: the proxy answered, because its server was gone before it answered. Both are
allowed only where a process was killed. broken: against the wire format."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

TRY_AGAIN_CODES = frozenset(
    {"storage_unavailable", "server_stopping", "session_busy", "conversation_busy", "queue_unavailable"}
)
"""Errors of a disturbance that pass. As HTTP errors they say when to come back."""
ENDED_CODES = frozenset({"lease_lost", "cancelled", "task_abandoned"})
"""How the turn of a server that died may end, and a task whose session went on meanwhile."""


def judge_text(received: str, expected: str = TEXT) -> tuple[Outcome, str]:
    """The outcome of an answer that says it is complete: whole, or words are lost or doubled, with what differs."""
    if received == expected:
        return "whole", ""
    wanted, got = expected.split(), received.split()
    changes = [each for each in SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes() if each[0] != "equal"]
    missing = [word for _, start, end, _, _ in changes for word in wanted[start:end]]
    more = [word for _, _, _, start, end in changes for word in got[start:end]]
    return ("doubled" if more and not missing else "lost"), f"missing {missing[:8]}, too much {more[:8]}"


def judge_error(
    code: str, *, status: int | None = None, headers: Mapping[str, str] | None = None, fault: bool = False
) -> tuple[Outcome, str]:
    """The outcome of a turn that ends with an error. `fault`: whether its provider fails without a fallback.

    `status` and `headers` are those of an HTTP error; without them, the error came inside a stream.
    """
    if code in TRY_AGAIN_CODES:
        if status is not None and "retry-after" not in (headers or {}):
            return "broken", f"{status} {code} without Retry-After"
        return "clean error", ""
    if code in ENDED_CODES or (fault and code in FAULT_CODES):
        return "clean error", ""
    return "broken", f"unexpected error {code}"
