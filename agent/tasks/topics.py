"""The topics of signals about tasks."""

from __future__ import annotations


def progress_topic(task_id: str) -> str:
    """The task has new events, or has ended."""
    return f"task:{task_id}"


def cancel_topic(task_id: str) -> str:
    """The task is asked to end."""
    return f"cancel:{task_id}"
