"""The tool for `make fuzz` finds what is wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import StringIO
from itertools import islice

import pytest
from rich.console import Console

from bench.fuzz.__main__ import show
from bench.fuzz.connection import Attack, answer_to
from bench.fuzz.hostile import Bystander, run_attacks
from bench.fuzz.mutations import mutated_requests
from bench.fuzz.operations import Fault, Findings
from bench.fuzz.run import FuzzResult
from bench.fuzz.target import FuzzTarget

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"tasks":1}'
ASK = Attack("a request", lambda: [b"GET / HTTP/1.1\r\n\r\n"], (200,), within=0.3)


@asynccontextmanager
async def answering(handle: Handler) -> AsyncIterator[FuzzTarget]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield FuzzTarget("127.0.0.1", server.sockets[0].getsockname()[1], "token")


async def test_all_answers_of_a_connection_are_read() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(OK + OK + b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with answering(handle) as target:
        answer = await answer_to(target, ASK)
    assert (answer.statuses, answer.closed) == ([200, 200, 400], True)


@pytest.mark.parametrize(
    ("answer", "closes", "check"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", True, "answer"),
        (b"HTTP/1.1 201 Created\r\n\r\n", True, "answer"),
        (OK + b"HTTP/1.1 500 Internal Server Error\r\n\r\n", True, "answer"),
        (b"", True, "answer"),
        (OK, False, "closes"),
        (OK, True, None),
    ],
)
async def test_a_wrong_answer_and_an_open_connection_are_faults(answer: bytes, closes: bool, check: str | None) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(1000)
        is_attack = asked == b"GET / HTTP/1.1\r\n\r\n"
        writer.write(answer if is_attack else OK)
        if is_attack and not closes:
            await reader.read()
        writer.close()

    async with answering(handle) as target:
        findings = await run_attacks(target, os.getpid(), [ASK], Bystander(target))
    assert {each.check for each in findings.faults} - {"leak"} == ({check} if check else set())


async def test_a_caller_who_gets_no_answer_is_a_fault() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(1000)
        writer.write(OK if b"chat" not in asked else b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        writer.close()

    async with answering(handle) as target:
        bystander = Bystander(target)
        talking = asyncio.create_task(bystander.talk())
        while not bystander.answers:
            await asyncio.sleep(0.01)
        talking.cancel()
    assert [each.details for each in bystander.faults][:1] == ["was answered 503"]


def test_the_same_seed_damages_in_the_same_way() -> None:
    target = FuzzTarget("127.0.0.1", 1, "token")

    def first(seed: int) -> list[bytes]:
        return [b"".join(each.pieces()) for each in islice(mutated_requests(target, seed), 50)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert len(set(first(1))) > 40


def test_the_report_counts_cases_and_shows_each_kind_of_fault_once() -> None:
    findings = Findings()
    for details in ("first", "second"):
        one = Findings()
        one.cases["GET /x"] += 2
        one.statuses["GET /x", 200] += 1
        one.faults[Fault("status", "GET /x", "Undocumented", details, "curl x")] += 1
        findings.add(one)
    written = StringIO()
    show(FuzzResult(findings, 7, 0.5), Console(file=written, width=120))
    shown = written.getvalue()
    assert "4 cases, of which 2 were answered" in shown
    assert "2 x status | GET /x | Undocumented" in shown
    assert shown.count("first") == 1
    assert "second" not in shown
    assert shown.rstrip().endswith("FAILED")
