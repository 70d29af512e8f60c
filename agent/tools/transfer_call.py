"""Tools that transfer a phone call or end it.

A number that the model made up, or that a caller talked it into, is toll fraud. So a transfer, whoever advertises the
tool and under whatever name, carries only the arguments of its schema, and only destinations of the allow-list in
agent.yaml, with the number as the allow-list has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from agent.tools.hand_off import HandOffTool
from agent.tools.phone_lines import (
    allowed_number,
    described,
    looks_like_line,
    names_a_line,
    refusal,
    with_allowed_lines,
)
from config.profile.agent_file import Destination

TRANSFER_TOOLS: Mapping[str, str] = {
    "transferCall": "destination",  # Vapi
    "transfer_call": "destination",
    "transfer_to_number": "transfer_number",  # ElevenLabs
}
"""The voice platforms' names for a transfer tool, and the argument that contains the number."""

END_TOOLS = frozenset({"endCall", "end_call"})

CALL_CONTROLS = frozenset({*TRANSFER_TOOLS, *END_TOOLS})
"""The names that platforms act on. A call under one of them is shown to nobody, unless it is a hand-off."""

TRANSFER_DESCRIPTION = (
    "Transfer the phone call to a person. Call it when the caller asks for a human, an agent, an operator or a "
    "transfer, in any language. First say one short sentence, such as 'Connecting you now.', then call it at once."
)
END_DESCRIPTION = "End the phone call. Call it after the goodbye, when the caller has nothing more to ask."

CallControl = Literal["transfer", "end"]

_SOMEBODY = "(?:call|phone|number|human|agent|operator|person|representative|line|sip|staff|somebody|someone)"
_TRANSFER = re.compile(
    rf"^(?:functions? |tools? )?transfer$|\btransfer ?(?:the |this |live )?(?:to|out|user|customer|{_SOMEBODY})"
    rf"|\b(?:call|phone|warm|cold|blind|attended|live|sip|human|agent) ?transfer\b"
    rf"|\b(?:forward|redirect|divert|re?route|connect|bridge|escalate|hand ?off|hand ?over)"
    rf" ?(?:the |this |to ?)?{_SOMEBODY}"
    r"|\brefer ?(?:call|sip)|\b(?:call|phone|sip) ?(?:forward|redirect|divert|refer|hand ?off|hand ?over)"
)
_END = re.compile(r"\b(?:end|finish|terminate|drop|disconnect) ?(?:the |this )?(?:phone ?)?call\b|\bhang ?up\b")
_NOT_A_CALL = re.compile(r"money|fund|wire|account|payment|balance|savings|bank|credit|points|file|data")
_EXACT = {r"\btransfer ?call$": "destination", r"\btransfer ?to ?number$": "transfer_number"}


def call_control(name: str) -> CallControl | None:
    """Whether the tool `name` transfers a phone call or ends it; None for any other tool.

    Names are compared without regard to case, hyphens, underscores and a prefix such as `functions.`.
    """
    words = _words(name)
    if _TRANSFER.search(words) and not _NOT_A_CALL.search(words):
        return "transfer"
    return "end" if _END.search(words) else None


class CallControlTool(HandOffTool):
    """A transfer or a hang-up. `argument` is the parameter that must contain one of `destinations`, if there is one."""

    argument: str | None = None
    destinations: tuple[Destination, ...] = ()

    def accept(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments that the schema knows, with every number as the allow-list has it.

        Without a destination, it is the first of the list.

        Raises:
            ToolException: a number or address is not on the allow-list.
        """
        carried = _known(arguments, self.args_schema)
        if self.argument is not None:
            carried[self.argument] = self._destination(arguments, self.argument)
        checked: Mapping[str, Any] = with_allowed_lines(carried, self.destinations)
        return checked

    def _destination(self, arguments: Mapping[str, Any], argument: str) -> str:
        asked = arguments.get(argument)
        if asked in (None, ""):
            # The model may name the argument differently; the default must not hide what it asked for.
            lines = (each for name, each in arguments.items() if name != argument and looks_like_line(each, name))
            asked = next(lines, None)
            if asked is None and self.destinations:
                return self.destinations[0].number
        number = allowed_number(asked, self.destinations)
        if number is None:
            raise refusal(self.destinations)
        return number


def transfer_tool(
    name: str,
    destinations: Sequence[Destination],
    *,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> CallControlTool:
    """A transfer tool. A caller's own description and parameters are kept.

    The names of `TRANSFER_TOOLS` have an argument for the destination, which is restricted to the allow-list.
    """
    schema = dict(parameters or {"type": "object", "properties": {}})
    given = schema.get("properties") or {}
    argument = _destination_argument(name, given)
    if argument is not None:
        text = "Where to: " + "; ".join(described(each) for each in destinations)
        inherited = given.get(argument)
        destination = {"description": text, **(inherited if isinstance(inherited, dict) else {}), "type": "string"}
        if destinations:
            destination["enum"] = [each.number for each in destinations]
        schema["properties"] = {**given, argument: destination}
        if parameters is None and len(destinations) > 1:
            schema["required"] = [argument]
    return CallControlTool(
        name=name,
        description=description or TRANSFER_DESCRIPTION,
        args_schema=schema,
        argument=argument,
        destinations=tuple(destinations),
    )


def end_tool(
    name: str,
    destinations: Sequence[Destination] = (),
    *,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> CallControlTool:
    """A hang-up tool."""
    schema = dict(parameters or {"type": "object", "properties": {}})
    return CallControlTool(
        name=name, description=description or END_DESCRIPTION, args_schema=schema, destinations=tuple(destinations)
    )


def _words(name: str) -> str:
    """`transferCall`, `TRANSFER-CALL` and `functions.transfer_call` as words: `transfer call`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[^a-z0-9]+", apart.casefold())).strip()


def _destination_argument(name: str, properties: Mapping[str, Any]) -> str | None:
    usual = next((argument for pattern, argument in _EXACT.items() if re.search(pattern, _words(name))), None)
    if usual is None or usual in properties:
        return usual
    return next(filter(names_a_line, properties), usual)


def _known(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The `arguments` that `schema` knows, also inside objects that it describes."""
    properties = dict(_properties(schema))
    carried: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in properties:
            carried[name] = _known_inside(value, properties[name])
    return carried


def _known_inside(value: Any, schema: Any) -> Any:
    match value, schema:
        case Mapping(), {"properties": Mapping()}:
            return _known(value, schema)
        case list(), {"items": items}:
            return [_known_inside(each, items) for each in value]
    return value


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(found := schema.get("properties"), Mapping):
        yield from found.items()
    for combined in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(combined) or ():
            if isinstance(each, Mapping):
                yield from _properties(each)
