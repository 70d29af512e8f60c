"""Compares what the servers have stored after a soak with what they acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from bench.soak.gateway import ConnectionCut, Gateway
from bench.soak.ledger import Ledger, Message, Thread

CONCURRENCY = 16
Exchange = tuple[str, list[str]]
"""A message of the user, and the texts that the assistant said after it."""


@dataclass(slots=True)
class Audit:
    """What is lost or doubled, in words, and how much was checked."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    threads: int = 0
    messages: int = 0
    tool_calls: int = 0

    def check_thread(self, thread: Thread, stored: Sequence[Exchange]) -> None:
        """Check one thread: acknowledged messages are there once, in order, with their answers."""
        self.threads += 1
        self.messages += len(thread.messages)
        counts = Counter(text for text, _ in stored)
        self.doubled += [f"{thread.path}: {text!r} is stored {n} times" for text, n in counts.items() if n > 1]
        unknown = counts.keys() - {message.text for message in thread.messages}
        self.doubled += [f"{thread.path}: nobody sent {text!r}" for text in unknown]
        answers = dict(stored)
        acknowledged = [message for message in thread.messages if message.answer is not None]
        for message in acknowledged:
            self._check_answer(thread, message, answers)
        order = [text for text, _ in stored if text in {message.text for message in acknowledged}]
        if not self.doubled and order != [message.text for message in acknowledged if message.text in answers]:
            self.lost.append(f"{thread.path}: the messages are in another order")

    def _check_answer(self, thread: Thread, message: Message, answers: Mapping[str, list[str]]) -> None:
        if message.text not in answers:
            self.lost.append(f"{thread.path}: {message.text!r} was acknowledged, and is not stored")
            return
        said = answers[message.text]
        if message.answer not in said:
            self.lost.append(f"{thread.path}: the answer to {message.text!r} is stored as {said}")
        elif len(said) > 1:
            self.doubled.append(f"{thread.path}: {message.text!r} is answered {len(said)} times")

    def check_tools(self, expected: Mapping[str, int], marks: Path) -> None:
        """Check the calls of the tools: each at most once, and those of whole turns once."""
        calls = Counter(marks.read_text().splitlines() if marks.exists() else ())
        self.tool_calls = calls.total()
        self.doubled += [f"the tool of {name} ran {number} times" for name, number in calls.items() if number > 1]
        self.lost += [f"the tool of {name} did not run" for name, n in expected.items() if calls[name] < n]


async def audit(gateway: Gateway, ledger: Ledger, marks: Path) -> Audit:
    """Read all threads and check them. One that cannot be read is lost."""
    found = Audit()
    found.check_tools(ledger.tool_calls, marks)
    free = asyncio.Semaphore(CONCURRENCY)

    async def check(thread: Thread) -> None:
        async with free:
            try:
                stored = await _stored(gateway, thread)
            except ConnectionCut as exc:
                found.lost.append(f"{thread.path} cannot be read: {exc}")
                return
        found.check_thread(thread, stored)

    async with asyncio.TaskGroup() as group:
        for thread in ledger.threads:
            group.create_task(check(thread))
    return found


async def _stored(gateway: Gateway, thread: Thread) -> list[Exchange]:
    received = await gateway.read("GET", thread.path)
    if received.status == 404:  # no message arrived
        return []
    if received.status != 200:
        raise ConnectionCut(f"{received.status} {bytes(received.raw[:200])!r}")
    body = orjson.loads(bytes(received.raw))
    if thread.kind == "persona":
        return [(each["user_message"], [each["agent_message"]]) for each in body]
    exchanges: list[Exchange] = []
    for message in body["messages"]:
        if message["role"] == "user":
            exchanges.append((message["content"], []))
        elif message["role"] == "assistant" and message["content"]:
            exchanges[-1][1].append(message["content"])
    return exchanges
