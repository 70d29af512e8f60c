"""The turn of a background task, which another process can continue after a crash.

Each attempt has its own turn id, so that an attempt that lost its lease does not take another's for its own. All of
them have one id for the user's message, so that the message is stored once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskTurn:
    """One attempt at the turn of the task `task_id`. `retried`: an earlier attempt may have begun it."""

    task_id: str
    attempt_id: str
    retried: bool = False

    @property
    def turn_id(self) -> str:
        return f"{self.task_id}-{self.attempt_id}"

    def continues(self, turn_id: str | None) -> bool:
        """Whether the turn `turn_id` is another attempt of this task."""
        return are_of_one_task(turn_id, self.turn_id)


def is_of_task(turn_id: str) -> bool:
    return "-" in turn_id


def are_of_one_task(turn_id: str | None, other_id: str) -> bool:
    return turn_id is not None and is_of_task(turn_id) and message_id(turn_id) == message_id(other_id)


def message_id(turn_id: str) -> str:
    """The id of the user's message with which the turn begins."""
    return turn_id.partition("-")[0]
