"""Hides the secrets that a YAML text contains, and puts them back when the text returns.

Keys belong into the environment (`os.environ/NAME`), but some files have them. The console shows a placeholder instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

SECRET_KEY: Final = re.compile(
    r"(?:^|[_.-])(?:api|access|secret|private|master|salt)?_?"
    r"(?:keys?|token|secrets?|password|passwd|authorization|cookie|credentials?|credential_values)(?:$|[_.-])",
    re.IGNORECASE,
)
"""Keys whose values are secrets, with everything below them."""

PUBLIC_KEY: Final = re.compile(r"(?:_per_\w*token|credential_name|max_\w*tokens?)$", re.IGNORECASE)
"""Keys that look like it and are none, such as `input_cost_per_token`."""

REFERENCE: Final = re.compile(r"os\.environ/\S*|\$\{\w*\}|null|~|true|false|", re.IGNORECASE)
"""Values that contain no secret themselves."""

URL_WITH_PASSWORD: Final = re.compile(r"://[^/\s@]*:[^/\s@]+@")

PAIR: Final = re.compile(
    r"""["']?(?P<key>[\w.][\w.-]*)["']?[ \t]*:(?:[ \t]+|$)(?P<value>(?:[^\n]*[^ \t\r\n])?)[ \t\r]*$""", re.MULTILINE
)
"""`key: value` on one line, or the last such pair in it."""

COMMENT: Final = re.compile(rf"^[ \t]*\#[ \t#-]*{PAIR.pattern}", re.MULTILINE)

KEY: Final = re.compile(r"""(?<![\w.-])["']?([\w.-]++)["']?[ \t]*+:[ \t]*""")
"""`key:` anywhere in a line. A word is tried once, so that a long one takes linear time."""

FLOW_VALUE: Final = re.compile(r"""\"[^"\n]*"|'[^'\n]*'|[^\n,}]*""")

PLACEHOLDER: Final = re.compile(r"""(?P<quote>["']?)<hidden-(?P<number>\d+)>(?P=quote)""")
"""What stands in place of a secret. An editor may have changed or removed its quotes."""

Span = tuple[int, int]


def hide(text: str) -> str:
    """`text` with `<hidden-1>`, `<hidden-2>` ... in place of its secrets."""
    shown, end = [], 0
    for number, (start, stop) in enumerate(_secrets(text), 1):
        shown += [text[end:start], _placeholder(number)]
        end = stop
    return "".join([*shown, text[end:]])


def restore(text: str, original: str) -> str:
    """`text` with the secrets of `original` in place of their placeholders. Others stay."""
    secrets = {str(number): original[slice(*span)] for number, span in enumerate(_secrets(original), 1)}
    return PLACEHOLDER.sub(lambda match: secrets.get(match["number"], match[0]), text)


def _placeholder(number: int) -> str:
    return f'"<hidden-{number}>"'


def _secrets(text: str) -> list[Span]:
    """Where the secrets are, in order. A text that is no YAML is searched line by line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return list(_in_broken_text(text))
    spans = [(start, start + len(text[start:stop].rstrip())) for start, stop in _in_node(root)] if root else []
    return sorted({*spans, *_in_comments(text)})


def _in_node(root: Node) -> Iterator[Span]:
    """The spans of the secrets below a node. Values of an anchor are found where they are written."""
    pending, seen = [(root, False)], set[int]()
    while pending:
        node, secret = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode):
            if _is_secret(node.value, secret):
                yield node.start_mark.index, node.end_mark.index
        elif isinstance(node, SequenceNode):
            pending += [(each, secret) for each in node.value]
        elif isinstance(node, MappingNode):
            pending += [(value, secret or _names_secret(key.value)) for key, value in node.value]


def _in_comments(text: str) -> Iterator[Span]:
    for match in COMMENT.finditer(text):
        if _is_secret(match["value"].strip("\"'"), _names_secret(match["key"])):
            yield match.span("value")


def _in_broken_text(text: str) -> Iterator[Span]:
    """The spans of what follows the names of secrets: the rest of the line, and deeper lines below it."""
    end = 0
    for line in re.finditer(r"[^\n]+", text):
        if line.start() < end:
            continue
        for pair in KEY.finditer(line[0]):
            if _names_secret(pair[1]) or URL_WITH_PASSWORD.search(line[0], pair.end()):
                start = line.start() + pair.end()
                rest = FLOW_VALUE if "{" in line[0][: pair.start()] else _value_below(pair.start())
                match = rest.match(text, start)
                end = match.end() if match else line.end()
                yield start, start + len(text[start:end].rstrip())
                if rest is not FLOW_VALUE:
                    break


def _value_below(column: int) -> re.Pattern[str]:
    """The rest of a line, and the lines below it that are indented deeper than `column`."""
    return re.compile(rf"[^\n]*(?:\n[ \t]*(?=\n|$)|\n[ \t]{{{column + 1},}}[^\n]*)*")


def _names_secret(key: object) -> bool:
    return isinstance(key, str) and bool(SECRET_KEY.search(key)) and not PUBLIC_KEY.search(key)


def _is_secret(value: str, named: bool) -> bool:
    return (named and not REFERENCE.fullmatch(value)) or bool(URL_WITH_PASSWORD.search(value))
