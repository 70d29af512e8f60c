"""Syntax errors of YAML, in our words, with the line and a caret under the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.parsing.yaml_document import parse_yaml, read_yaml

FILE = Path("models.yaml")


@pytest.mark.parametrize(
    ("text", "line", "message", "excerpt"),
    [
        ("a:\n\tb: 1\n", 2, "a tab indents this line; use spaces", "→b: 1\n^"),
        ("a:\n  \tb: 1\n", 2, "a tab indents this line; use spaces", "  →b: 1\n  ^"),
        ("a:\t1\n", 1, "a tab is in this line; use spaces", "a:→1\n  ^"),
        (
            "a:\n  b: 1\n    c: 2\n",
            3,
            "this line is indented deeper than the line above, which already has a value",
            "    c: 2\n    ^",
        ),
        (
            "list:\n  - name: a\n      params: {}\n",
            3,
            "this line is indented deeper than the line above, which already has a value",
            "      params: {}\n      ^",
        ),
        ("a:\n    b: 1\n  c: 2\n", 3, "the indentation of this line fits no line above", "  c: 2\n  ^"),
        ("a:\n  - b: 1\n - b: 2\n", 3, "the indentation of this line fits no line above", " - b: 2\n ^"),
        ("a: 1\n- b\n", 2, "a list item where a key is expected; check the indentation", "- b\n^"),
        ("- a\nb: 1\n", 2, "a key where a list item (`- `) is expected; check the indentation", "b: 1\n^"),
        ("a: 1\nb:2\nc: 3\n", 2, "this is no `key: value`; a colon and a space are missing", "b:2\n^"),
        (
            "a: see: b\n",
            1,
            "a second colon in one line; put text that contains a colon in quotes",
            "a: see: b\n      ^",
        ),
        ('a: "x\nb: 1\n', 1, "this quote is never closed", 'a: "x\n   ^'),
        (
            "a: [1, 2\nb: 1\n",
            1,
            "this `[` is not closed: a `]` or a comma is missing, at the latest in line 2",
            "a: [1, 2\n   ^",
        ),
        ("a: {b: 1}}\n", 1, "this `}` closes nothing", "a: {b: 1}}\n         ^"),
        ("a: @x\n", 1, "put text that starts with `@` in quotes", "a: @x\n   ^"),
        ("model_name: *\n", 1, "put text that starts with `*` in quotes", "model_name: *\n             ^"),
        ("a: *x\n", 1, "`*x` refers to no anchor; put text that starts with `*` in quotes", "a: *x\n   ^"),
        ("a: !x!y z\n", 1, "put text that starts with `!` in quotes", "a: !x!y z\n   ^"),
        ("a: 1\n---\nb: 2\n", 2, "`---` starts a second document; the file must be one", "---\n^"),
        ('a: "\\q"\n', 1, "`\\q` means nothing in double quotes; use single quotes", 'a: "\\q"\n     ^'),
        ("a: [\n", 2, "the file ends too early: a `]` or `}` is missing", ""),
        ("a: ]\n", 1, "`]` is out of place", "a: ]\n   ^"),
        ("a: 1\nb: x\x00\n", 2, "the character U+0000 is not allowed", "b: x\x00\n    ^"),
    ],
)
def test_each_syntax_error_has_its_line_and_a_caret(text: str, line: int, message: str, excerpt: str) -> None:
    (problem,) = parse_yaml(text, FILE).problems
    assert (problem.line, problem.message) == (line, f"invalid YAML: {message}")
    assert [each[4:] for each in problem.excerpt.split("\n")] == excerpt.split("\n")


def test_every_line_that_is_indented_with_tabs_is_named() -> None:
    problems = parse_yaml("a:\n\tb: 1\n  c: 2\n \td: 3\n", FILE).problems
    assert [problem.line for problem in problems] == [2, 4]


def test_an_excerpt_shows_no_key_and_stays_off_the_message() -> None:
    (problem,) = parse_yaml("a: 1\n  api_key: sk-secret\n", FILE).problems
    assert problem.excerpt == "      api_key: ***\n      ^"
    (reference,) = parse_yaml("a: 1\n  api_key: os.environ/KEY\n", FILE).problems
    assert "os.environ/KEY" in reference.excerpt and "environ" not in str(reference) + repr(reference)


def test_a_long_line_is_shortened() -> None:
    (problem,) = parse_yaml(f"a: [{'x' * 200}\nb: 1\n", FILE).problems
    assert [len(each) for each in problem.excerpt.splitlines()] == [104, 8]
    (far,) = parse_yaml(f"a: {'x' * 200}: y\n", FILE).problems
    assert far.excerpt == ""


def test_text_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (problem,) = read_yaml(tmp_path / "models.yaml").problems
    assert (problem.line, problem.message) == (2, "the file is not UTF-8 text (byte 8)")
