"""Plays the calls of a script: each by one simulated caller, step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from api.rehearsal.carrier import Carrier, PhoneCall
from api.rehearsal.expectations import Ending, Happened, failures
from api.rehearsal.listener import Listener
from api.rehearsal.phone_line import PhoneLine
from api.rehearsal.results import CallResult, StepResult
from api.rehearsal.script_file import Script, Step
from api.terminal.agent_api import ClientError
from config.parsing.yaml_document import KeyPath

OnCall = Callable[[CallResult], None]


async def rehearse(script: Script, carrier: Carrier, callers: int, on_call: OnCall) -> list[CallResult]:
    """Play all calls of the script, one after the other, with so many callers at the same time.

    The callers begin within one second, so that they do not speak in chorus. `on_call` gets each call when it ends.
    """

    async def calls_of(caller: int) -> list[CallResult]:
        await asyncio.sleep((caller - 1) / callers)
        results = []
        for number in range(len(script.file.calls)):
            results.append(await _CallPlayer(script, carrier, number, caller).play())
            on_call(results[-1])
        return results

    played = await asyncio.gather(*(calls_of(caller) for caller in range(1, callers + 1)))
    return [call for calls in played for call in calls]


class _CallPlayer:
    def __init__(self, script: Script, carrier: Carrier, number: int, caller: int) -> None:
        self._script = script
        self._carrier = carrier
        self._call = call = script.file.calls[number]
        self._phone_call = PhoneCall(call.number, call.to, call.language, call.parameters)
        self._path: KeyPath = ("calls", number)
        self._result = CallResult(call.name, caller, self._phone_call.call_id)

    async def play(self) -> CallResult:
        """Play the call. What goes wrong is a problem of the result."""
        result, began = self._result, time.monotonic()
        try:
            async with self._carrier.connected(self._phone_call, self._script.file.pace) as line:
                await self._steps(line)
        except ClientError as error:
            result.ended = "error"
            result.problems.append(self._script.document.problem(self._path, str(error)))
        result.seconds = time.monotonic() - began
        return result

    async def _steps(self, line: PhoneLine) -> None:
        call_path = self._path
        for index, step in enumerate(self._call.steps):
            self._path = (*call_path, "steps", index)
            ending = await self._step(line, step)
            if ending is not None:
                self._result.ended = "transfer" if ending.destination else "agent"
                self._result.destination = ending.destination
                return

    async def _step(self, line: PhoneLine, step: Step) -> Ending | None:
        listener = Listener(line, self._script.file.timeout)
        try:
            await _act(listener, step)
            ending = await self._ending(listener)
        except ClientError:
            self._result.steps.append(StepResult(step, listener.text, listener.first_word, listener.silence))
            raise
        silent_for = self._script.file.timeout if listener.timed_out else None
        happened = Happened(listener.text, ending, listener.first_word, listener.silence, silent_for)
        problems = (
            self._script.document.problem((*self._path, *key), message)
            for key, message in failures(step, happened, self._script.file.limits)
        )
        self._result.steps.append(
            StepResult(step, listener.text, listener.first_word, listener.silence, tuple(problems))
        )
        return ending

    async def _ending(self, listener: Listener) -> Ending | None:
        if listener.end is None:
            return None
        return Ending(await self._carrier.destination(self._phone_call, listener.end.handoff_data))


async def _act(listener: Listener, step: Step) -> None:
    if step.say is not None or step.dial is not None:
        await listener.until_spoken()
    if step.say is not None:
        await listener.say(step.say, step.language)
    elif step.dial is not None:
        await listener.dial(step.dial)
    elif step.wait is not None:
        await listener.wait(step.wait)
        return
    await listener.answer(until_end=step.expect.ends, interrupt_after=step.interrupt_after)
