"""Both sides of a phone call at the same time: shows what the agent does, and does what the caller types."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from api.rehearsal import frames
from api.rehearsal.carrier import Carrier, PhoneCall
from api.rehearsal.phone_line import PhoneLine
from api.terminal import call_view, render
from api.terminal.call_input import Dial, HangUp, Help, Misread, Say, read_call_line
from api.terminal.call_keyboard import CallKeyboard, PipedCallKeyboard, TerminalCallKeyboard
from api.terminal.call_voice import AgentVoice
from api.terminal.screen import Screen

ANSWER_TIMEOUT: Final = 30.0
"""Seconds in which the agent must answer a line of a pipe."""

LINGER: Final = 0.5
"""Seconds for which the caller stays on the line after the last line of a pipe."""

CHINESE: Final = re.compile(r"[\u3400-\u9fff]")


class CallDialogue:
    """A call that the server has answered. `failed`: the agent did not answer a line of a pipe."""

    def __init__(self, screen: Screen, carrier: Carrier, call: PhoneCall, line: PhoneLine) -> None:
        self._screen = screen
        self._carrier = carrier
        self._call = call
        self._line = line
        self._voice = voice = AgentVoice(line)
        self._keyboard: CallKeyboard = (
            TerminalCallKeyboard(screen, lambda: voice.live(screen.console), self._toolbar)
            if screen.live
            else PipedCallKeyboard(screen)
        )
        self._began = time.monotonic()
        self._over = False  # whether the agent has ended the call
        self._gone = asyncio.Event()  # set once the caller knows it
        self.failed = False

    async def run(self) -> None:
        """Talk until one side hangs up. Raises ClientError."""
        tasks = {asyncio.create_task(self._listen()), asyncio.create_task(self._type())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _listen(self) -> None:
        """Show what the agent does, to the end of the call."""
        while True:
            await self._show(self._voice.ended())
            received = await self._line.next(self._line.speech.seconds_left or None)
            if received is None:
                continue
            match received.frame:
                case frames.Text(token, last):
                    self._voice.hear(token, received.at, last=last)
                case frames.Play(source):
                    await self._note(f"The phone plays {source}")
                case frames.SendDigits(digits):
                    await self._note(f"The agent dials {digits}")
                case frames.Language(voice, transcription):
                    self._line.language = transcription or self._line.language
                    await self._note(f"The line speaks {voice or 'as before'} and hears {self._line.language}.")
                case frames.End(handoff_data):
                    await self._end(handoff_data)
                    return

    async def _end(self, handoff_data: str | None) -> None:
        """The agent has ended the call: let the caller hear the rest, and say where the call goes."""
        self._over = True
        destination = await self._carrier.destination(self._call, handoff_data)
        await asyncio.sleep(self._line.speech.seconds_left)
        await self._show(self._voice.cut())
        if destination and self._screen.live:
            await self._show(call_view.transfer(destination))
        ended = f"transferred the call to {destination}" if destination else "hung up"
        await self._note(f"The agent {ended} after {self._clock()}.")
        self._gone.set()

    async def _type(self) -> None:
        """Do what the caller types, until the caller hangs up."""
        while True:
            try:
                if self._keyboard.waits:
                    await self._answer()
                line = await self._keyboard.line()
            except KeyboardInterrupt:
                break
            except EOFError:
                if await self._agent_ends():
                    return
                break
            match read_call_line(line):
                case HangUp():
                    break
                case _ if self._over:
                    pass
                case Say(text):
                    await self._say(text)
                case Dial(keys):
                    await self._dial(keys)
                case Help():
                    await self._show(self._space(), call_view.commands())
                case Misread(message):
                    await self._show(render.problem(message))
        await self._show(self._voice.cut())
        await self._note(f"You hung up after {self._clock()}.")

    async def _answer(self) -> None:
        """Wait until the agent has finished. Raises EOFError if it never does."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._voice.quiet.wait()
        except TimeoutError:
            self.failed = True
            await self._show(render.problem(f"The agent did not answer within {ANSWER_TIMEOUT:.0f} s."))
            raise EOFError from None

    async def _agent_ends(self) -> bool:
        """After the last line of a pipe, let the agent end the call, as it may do after its answer."""
        if self._keyboard.waits:
            await asyncio.sleep(LINGER)
        if self._over:
            await self._gone.wait()
        return self._over

    async def _say(self, text: str) -> None:
        await self._interrupt()
        if text:
            await self._show(self._space(), call_view.caller(text))
            self._voice.asked(await self._line.say(text, "zh-CN" if CHINESE.search(text) else None))

    async def _dial(self, keys: str) -> None:
        await self._interrupt()
        await self._show(self._space(), call_view.caller(f"[dials {keys}]"))
        self._voice.asked(await self._line.press(keys))

    async def _interrupt(self) -> None:
        """Stop the agent, if it speaks; or let it finish, if it cannot be interrupted."""
        speech = self._line.speech
        speech.advance(time.monotonic())
        if speech.ended:
            return
        if not speech.interruptible:
            await self._note("The agent cannot be interrupted here. It hears you when it has finished.")
            await self._voice.quiet.wait()
            return
        self._voice.shown = True  # before anything else can show it
        await self._show(self._voice.interrupted(await self._line.interrupt()))

    async def _show(self, *rows: RenderableType | None) -> None:
        if shown := [row for row in rows if row is not None]:
            await self._keyboard.show(*shown)

    def _space(self) -> RenderableType | None:
        """An empty line, in a terminal."""
        return Text() if self._screen.live else None

    async def _note(self, text: str) -> None:
        await self._show(render.plain(text, "note"))

    def _clock(self) -> str:
        return call_view.clock(time.monotonic() - self._began)

    def _toolbar(self) -> str:
        speaks = " · speaking, Enter interrupts" if not self._voice.shown and self._line.speech.interruptible else ""
        return f" {self._call.number} → {self._call.to} · {self._line.language} · {self._clock()}{speaks}"
