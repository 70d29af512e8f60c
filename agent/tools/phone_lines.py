"""Recognises telephone numbers and SIP addresses in the arguments of a tool, and accepts only the allowed ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import category, decimal, normalize
from urllib.parse import unquote

from langchain_core.tools import ToolException

from config.profile.agent_file import Destination

_URI = re.compile(r"\b(?:sips?|tel|callto|h323|skype|facetime):\S+|\b(?:sips?|tel) *: *\S*[\d@]|\b[a-z]+:(?://)?\+\d")
_NUMBER = re.compile(r"(?:[\d\s().\-/,;:*#+=_|~&'\"\[\]<>]|ext(?:ension)?|[xpw])+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?")
_NAMES_A_LINE = re.compile(
    r"phone|number|destination|extension|sip|uri|telephone|mobile|dial|msisdn|target|callee|recipient|endpoint"
    r"|^(?:to|ext|tel|line|address)$"
)

MAX_DECODINGS = 8
UNREADABLE = "sip:unreadable"
"""Stands for a value that is percent-encoded more than `MAX_DECODINGS` times: an address that nobody allows."""

DIGITS_OF_A_NUMBER = 7
"""From this many digits on, a value looks like a telephone number, whatever its argument is called."""
DIGITS_OF_A_SHORT_NUMBER = 3
"""The same for an argument whose name speaks of a line, such as `extension`."""


def names_a_line(argument: str) -> bool:
    """Whether the name of an argument says that it holds a number or an address: `phoneNumber`, `sip_uri`, `to`."""
    return _NAMES_A_LINE.search(re.sub(r"[^a-z0-9]", "", argument.casefold())) is not None


def looks_like_line(value: object, argument: str = "") -> bool:
    """Whether `value` looks like a telephone number, or contains a SIP or tel URI."""
    text, named = _plain(value), names_a_line(argument)
    digits = sum(each.isdigit() for each in text)
    if _URI.search(text):
        return True
    if named:
        # A host alone is an address too, where one is asked for.
        return "@" in text or ("." in text and " " not in text) or digits >= DIGITS_OF_A_SHORT_NUMBER
    return digits >= DIGITS_OF_A_NUMBER and bool(_NUMBER.fullmatch(text)) and not _DATE.fullmatch(text)


def allowed_number(value: object, destinations: Sequence[Destination]) -> str | None:
    """The number of the destination that `value` means, by number or by name, as the allow-list has it."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    asked = _bare(value)
    known = (each for each in destinations if asked in (_bare(each.number), each.name and _bare(each.name)))
    return next((each.number for each in known), None) if asked else None


def with_allowed_lines(value: Any, destinations: Sequence[Destination], argument: str = "") -> Any:
    """`value` with every number and address in it, at any depth, as the allow-list has it.

    Raises:
        ToolException: one of them is not on the allow-list; the model sees the text.
    """
    match value:
        case Mapping():
            for key in value:
                _check_line(key, destinations, "")
            return {
                key: with_allowed_lines(each, destinations, key if names_a_line(key) else argument)
                for key, each in value.items()
            }
        case list() | tuple():
            return [with_allowed_lines(each, destinations, argument) for each in value]
        case bool() | None:
            return value
        case _:
            return _check_line(value, destinations, argument)


def refusal(destinations: Sequence[Destination]) -> ToolException:
    """The error that tells the model what is allowed."""
    allowed = ", ".join(described(each) for each in destinations) or "none"
    return ToolException(f"Refused: that destination is not allowed. Allowed: {allowed}. Do not try any other.")


def described(destination: Destination) -> str:
    """The destination for the model: its number, name and description."""
    notes = ", ".join(filter(None, (destination.name, destination.description)))
    return f"{destination.number} ({notes})" if notes else destination.number


def _check_line(value: Any, destinations: Sequence[Destination], argument: str) -> Any:
    if not looks_like_line(value, argument):
        return value
    if (number := allowed_number(value, destinations)) is None:
        raise refusal(destinations)
    return number


def _plain(value: object) -> str:
    """`value` in lower case with ASCII digits, without invisible characters and percent-encoding."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    for _ in range(MAX_DECODINGS):
        if (decoded := unquote(text)) == text:
            break
        text = decoded
    else:
        return UNREADABLE
    text = normalize("NFKC", text).casefold()
    visible = (each for each in text if category(each) not in ("Cf", "Cc") or each.isspace())
    return "".join(_ascii(each) for each in visible).strip()


def _ascii(character: str) -> str:
    if category(character) == "Pd":
        return "-"
    return str(decimal(character)) if character.isdecimal() else character


def _bare(value: object) -> str:
    return re.sub(r"[\s().\-]", "", _plain(value)).removeprefix("tel:")
