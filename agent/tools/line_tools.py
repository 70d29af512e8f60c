"""Tools that act on the caller's phone line. They check a call; the line carries it out when they are done.

A wire without a phone line ignores them, so agent.yaml lists them only for an agent on the phone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from config.profile.languages import nearest_language
from config.profile.phone import PhoneSettings

LineTool = Literal["sendDigits", "playSound", "switchLanguage"]
LINE_TOOLS: Final[tuple[LineTool, ...]] = ("sendDigits", "playSound", "switchLanguage")

DONE: Final = "Done."
"""The result of a call that the line carries out."""

KEYS: Final = re.compile(r"[0-9A-D*#wW]{1,64}")

_DESCRIPTIONS: Final[Mapping[LineTool, tuple[str, str, str]]] = {
    "sendDigits": (
        "Press keys on the phone line, such as in the menu of another phone system.",
        "digits",
        "The keys: 0 to 9, * and #; w waits half a second.",
    ),
    "playSound": ("Play a sound to the caller.", "sound", "The name of the sound."),
    "switchLanguage": (
        "Speak and listen in another language from now on. Call it when the caller speaks another one.",
        "language",
        "The language, such as en-US.",
    ),
}


def line_tool(name: LineTool, settings: PhoneSettings) -> BaseTool:
    """The tool of this name, for a line with these settings."""
    description, argument, meaning = _DESCRIPTIONS[name]
    schema: dict[str, Any] = {"type": "string", "description": meaning}
    if name == "playSound":
        schema["enum"] = [*settings.sounds]

    async def act(**arguments: Any) -> str:
        if line_argument(name, arguments, settings) is None:
            raise ToolException(f"Refused: this is no {argument} that the line knows.")
        return DONE

    return StructuredTool.from_function(
        coroutine=act,
        name=name,
        description=description,
        args_schema={"type": "object", "properties": {argument: schema}, "required": [argument]},
        handle_tool_error=True,
    )


def line_argument(name: str, arguments: Mapping[str, Any], settings: PhoneSettings) -> str | None:
    """What the line has to do for the call: the keys, the address of the sound, or the language; None for nothing."""
    match name, arguments:
        case "sendDigits", {"digits": str(digits)} if KEYS.fullmatch(digits):
            return digits
        case "playSound", {"sound": str(sound)}:
            return settings.sounds.get(sound)
        case "switchLanguage", {"language": str(language)}:
            return _known_language(language, [settings.profile.language, *settings.profile.languages])
    return None


def _known_language(language: str, known: Sequence[str]) -> str | None:
    """The language of `known` that is nearest; None for one that is not spoken."""
    found = nearest_language(language, known)
    return found if found.split("-")[0].lower() == language.split("-")[0].lower() else None
