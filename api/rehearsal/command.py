"""`switchboard rehearse`: reads the script, plays it, and returns the exit code."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Final

from api.rehearsal.carrier import Carrier
from api.rehearsal.player import rehearse
from api.rehearsal.report import Report, as_json
from api.rehearsal.results import CallResult
from api.rehearsal.script_file import Script
from api.terminal.screen import Screen

AS_EXPECTED: Final = 0
FAILED: Final = 1
INVALID: Final = 2
"""Exit codes: all is as the script expects; something is not; the script has problems."""


@dataclass(frozen=True, slots=True)
class RehearseOptions:
    """What the command line says. `callers` call at the same time."""

    url: str
    token: str
    callers: int = 1
    json: bool = False


def run(script: Script, options: RehearseOptions) -> int:
    """Play the script and show what happened. Returns the exit code."""
    name = str(script.document.file)
    if options.json:
        calls = asyncio.run(_play(script, options, None))
        sys.stdout.write(as_json(name, options.url, calls) + "\n")
    else:
        report = Report(Screen(live=sys.stdout.isatty()))
        report.begin(name, options.url, options.callers)
        calls = asyncio.run(_play(script, options, report))
        report.end(calls)
    return AS_EXPECTED if all(call.ok for call in calls) else FAILED


async def _play(script: Script, options: RehearseOptions, report: Report | None) -> list[CallResult]:
    async with Carrier(options.url, options.token) as carrier:
        return await rehearse(script, carrier, options.callers, report.call if report else lambda _: None)
