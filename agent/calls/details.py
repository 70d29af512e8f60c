"""Whose call it is, and what it needs to run turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.callers.limits import CallerLimits
from agent.personas.service import PersonaService
from agent.sessions.service import SessionService
from agent.sessions.signals import Signals
from agent.turns import TurnService
from config.profile.phone import NumberProfile, PhoneSettings, bare_number

HIDDEN: Final = frozenset(
    "  anonymous restricted unknown unavailable private blocked"
    " +266696687 +7378742833 +86282452253 +8656696 +2562533".split(" ")  # Twilio's: such words on a keypad
)
"""What carriers say in place of a number that the caller hides."""

MAX_NUMBER: Final = 200
"""Characters of a number or a sip: address."""


@dataclass(frozen=True, slots=True)
class CallDetails:
    """One call is one session: `user_id` is the other party's number, `session_id` the call's id.

    `caller` is who may be counted and limited for its turns: a token's caller, or the name of the carrier. `profile` is
    that of the number that was called.
    """

    user_id: str
    session_id: str
    caller: str
    profile: NumberProfile
    settings: PhoneSettings


@dataclass(frozen=True, slots=True)
class CallServices:
    """What calls use. `limits` is None when nothing is limited."""

    turns: TurnService
    sessions: SessionService
    personas: PersonaService
    limits: CallerLimits | None
    signals: Signals


def user_of(number: str, call_id: str) -> str:
    """The user of a call: the other party's number. All who hide theirs are different users, one for each call."""
    bare = bare_number(number)
    is_id = bare.isprintable() and "/" not in bare and len(bare) <= MAX_NUMBER
    return bare if is_id and bare.casefold() not in HIDDEN else f"anonymous {call_id}"
