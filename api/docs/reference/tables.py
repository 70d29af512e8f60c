"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a `|` in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(text: object) -> str:
    return f"`{text}`"


def link(target: str | None) -> str:
    """A sentence that links to a heading, such as `../failover.md#order`; empty for None."""
    if target is None:
        return ""
    file, _, heading = target.partition("#")
    return f" See [{(heading or file.rpartition('/')[2].removesuffix('.md')).replace('-', ' ')}]({target})."
