"""`switchboard call`: a phone call in the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from api.rehearsal.carrier import Carrier, PhoneCall
from api.rehearsal.speech import PACE
from api.terminal import call_view
from api.terminal.agent_api import ApiError, ClientError, ConnectionLost, NotServed
from api.terminal.call_dialogue import CallDialogue
from api.terminal.screen import Screen, is_terminal

HINT: Final = "Enter says what you typed, and interrupts the agent. `/dial 12#` presses keys, Ctrl-C hangs up.\n"


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the command line says. `pace` is in letters per second; None is that of speech, and in a pipe at once."""

    url: str
    token: str
    call: PhoneCall = field(default_factory=PhoneCall)
    pace: float | None = None
    demo: bool = False


def call(options: CallOptions) -> int:
    """Talk until one side hangs up. Returns the exit code: 1 if the server cannot be called, or the line breaks."""
    screen = Screen(live=is_terminal())
    try:
        return asyncio.run(_call(screen, options))
    except KeyboardInterrupt:
        screen.note("You hung up.")
        return 0
    except ClientError as error:
        screen.problem(_advice(error, options))
        return 1


async def _call(screen: Screen, options: CallOptions) -> int:
    pace = options.pace if options.pace is not None else PACE if screen.live else 0.0
    async with Carrier(options.url, options.token) as carrier, carrier.connected(options.call, pace) as line:
        screen.show(call_view.header(options.call, "demo server" if options.demo else options.url))
        screen.note(HINT)
        dialogue = CallDialogue(screen, carrier, options.call, line)
        await dialogue.run()
        return 1 if dialogue.failed else 0


def _advice(error: ClientError, options: CallOptions) -> str:
    if isinstance(error, ConnectionLost) and not error.sent:
        return (
            f"No server answers at {options.url}. Start one with `switchboard serve`, name another with --url, "
            "or try `switchboard call --demo`."
        )
    if isinstance(error, NotServed):
        return f"{options.url} has no phone lines. Is it an older server?"
    if isinstance(error, ApiError) and error.status in (401, 403):
        return f"{options.url} does not accept the token. Pass one of its SWITCHBOARD_API_TOKENS with --token."
    return str(error)
