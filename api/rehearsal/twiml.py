"""Reads the TwiML of `/phone/incoming` and `/phone/relay/action`, as a carrier does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.etree import ElementTree

from api.rehearsal.frames import NOT_BY_VOICE


@dataclass(frozen=True, slots=True)
class Incoming:
    """What begins the relay. `greets`: the line speaks first. `interruptible`: by speech. `query`: of its URL."""

    greets: bool = False
    interruptible: bool = True
    language: str = "en-US"
    query: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


class InvalidTwiml(Exception):
    """The server's answer is not TwiML, or not for a relay. The message says what is missing."""


def read_incoming(document: str) -> Incoming:
    """What the answer to `/phone/incoming` says. Raises InvalidTwiml."""
    relay = _parsed(document).find("./Connect/ConversationRelay")
    if relay is None:
        raise InvalidTwiml("it has no <Connect><ConversationRelay>")
    given = {each.get("name", ""): each.get("value", "") for each in relay.iter("Parameter")}
    return Incoming(
        bool(relay.get("welcomeGreeting")),
        relay.get("interruptible", "any") not in NOT_BY_VOICE,
        relay.get("language", "en-US"),
        urlsplit(relay.get("url", "")).query,
        given,
    )


def read_destination(document: str) -> str | None:
    """The number or SIP address that the answer to the action URL dials; None if it hangs up. Raises InvalidTwiml."""
    dial = _parsed(document).find("./Dial")
    if dial is None:
        return None
    return " ".join("".join(dial.itertext()).split()) or None


def _parsed(document: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(document)  # noqa: S314 - expat limits the expansion of entities
    except ElementTree.ParseError as exc:
        raise InvalidTwiml(f"it is not XML: {exc}") from exc
