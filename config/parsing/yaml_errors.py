"""PyYAML's syntax errors in our words, with the line and a caret under the place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from config.errors import Problem

_TAB_INDENT = re.compile(r" *\t")
_WIDTH = 100
# A line is shown on the terminal, and perhaps in a CI log.
_SECRET = re.compile(
    r"""(\b[\w-]*(?:key|token|secret|password|credential)s?["']?[ \t]*:[ \t]*)(?!os\.environ/)[^ \t].*""", re.IGNORECASE
)


def syntax_problems(error: yaml.YAMLError, text: str, file: Path) -> Iterator[Problem]:
    """The problem at which PyYAML stopped. If it is a tab, also the other lines that are indented with tabs."""
    lines = text.splitlines()
    line, column, message = _place_and_message(error, text, lines)
    yield _problem(message, file, lines, line, column)
    if "a tab" in message:
        for number in range(line + 1, len(lines) + 1):
            if found := _TAB_INDENT.match(lines[number - 1]):
                yield _problem(message, file, lines, number, found.end())


def _problem(message: str, file: Path, lines: list[str], line: int, column: int) -> Problem:
    source = lines[line - 1] if line <= len(lines) else ""
    shown = _SECRET.sub(r"\1***", source)[:_WIDTH].replace("\t", "→").rstrip()
    excerpt = f"    {shown}\n    {' ' * (column - 1)}^" if shown and column <= _WIDTH else ""
    return Problem(f"invalid YAML: {message}", file=file, line=line, excerpt=excerpt)


def _place_and_message(error: yaml.YAMLError, text: str, lines: list[str]) -> tuple[int, int, str]:
    """The line, the column (both from 1) and the message."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        column = error.position - (before.rfind("\n") + 1) + 1
        return before.count("\n") + 1, column, f"the character U+{error.character:04X} is not allowed"
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, " ".join(str(error).split())
    problem, context = str(error.problem or error.context), str(error.context or "")
    mark = error.problem_mark or error.context_mark
    start = error.context_mark or mark
    if mark is None or start is None:
        return 1, 1, problem
    here, there = (mark.line + 1, mark.column + 1), (start.line + 1, start.column + 1)
    source = lines[mark.line] if mark.line < len(lines) else ""
    indent = len(source) - len(source.lstrip()) + 1
    if "'\\t' that cannot start" in problem:
        where = "indents this line" if not source[: mark.column].strip() else "is in this line"
        return (*here, f"a tab {where}; use spaces")
    if problem.startswith("mapping values are not allowed"):
        if re.search(r":\s", source[: mark.column]) or re.match(r"\s*- .*:\s", source[: mark.column]):
            return (*here, "a second colon in one line; put text that contains a colon in quotes")
        return here[0], indent, "this line is indented deeper than the line above, which already has a value"
    if problem.startswith("expected <block end>"):
        return here[0], here[1], _block_end(problem, context)
    if problem == "could not find expected ':'":
        return (*there, "this is no `key: value`; a colon and a space are missing")
    if "quoted scalar" in context and "end of stream" in problem:
        return (*there, "this quote is never closed")
    return (*(there if problem.startswith("expected ',' or") else here), _other(problem, context, here[0]))


def _block_end(problem: str, context: str) -> str:
    found = problem.partition("found ")[2].strip("'")
    if found in ("}", "]"):
        return f"this `{found}` closes nothing"
    if found == "-" and "mapping" in context:
        return "a list item where a key is expected; check the indentation"
    if found == "?":
        return "a key where a list item (`- `) is expected; check the indentation"
    return "the indentation of this line fits no line above"


def _other(problem: str, context: str, line: int) -> str:
    if found := re.match(r"expected ',' or '(.)'", problem):
        opening = {"]": "[", "}": "{"}[found[1]]
        return f"this `{opening}` is not closed: a `{found[1]}` or a comma is missing, at the latest in line {line}"
    if found := re.match(r"found character '(.)' that cannot start", problem):
        return f"put text that starts with `{found[1]}` in quotes"
    if found := re.match(r"found undefined alias '(.*)'", problem):
        return f"`*{found[1]}` refers to no anchor; put text that starts with `*` in quotes"
    if "an alias" in context or "an anchor" in context:
        return f"put text that starts with `{'*' if 'an alias' in context else '&'}` in quotes"
    if "tag" in problem:
        return "put text that starts with `!` in quotes"
    if problem == "but found another document":
        return "`---` starts a second document; the file must be one"
    if found := re.match(r"found unknown escape character '(.)'", problem):
        return f"`\\{found[1]}` means nothing in double quotes; use single quotes"
    if problem.endswith("'<stream end>'"):
        return "the file ends too early: a `]` or `}` is missing"
    if found := re.match(r"expected the node content, but found '(.)'", problem):
        return f"`{found[1]}` is out of place"
    return problem
