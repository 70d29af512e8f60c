"""The tools of the soak's agent. Each call leaves a line in `marks.log` beside this file, so that calls are counted."""

from pathlib import Path


def mark(name: str) -> str:
    """Leave a mark."""
    with Path(__file__).with_name("marks.log").open("a") as marks:
        marks.write(f"{name}\n")
    return f"marked {name}"


def mark_if_allowed(name: str) -> str:
    """Leave a mark after a review."""
    return mark(name)
