"""The soak's accounts detect everything that is lost, doubled, late or leaked."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from struct import unpack
from typing import Any

import pytest

from bench.memory import memory_growth
from bench.soak.audit import Audit
from bench.soak.callers.chat import judge_stream
from bench.soak.callers.rig import Rig
from bench.soak.callers.task import TaskEvents
from bench.soak.gateway import ConnectionCut, Received, open_gateway
from bench.soak.hang_ups import HangUps
from bench.soak.ledger import Disturbance, Ledger, Message, Thread
from bench.soak.loop_lag import LoopLag
from bench.soak.pictures import draw
from bench.soak.proxy import upstream
from bench.soak.report import as_json
from bench.soak.resources import Holdings, ProcessResources
from bench.soak.result import SoakResult
from bench.soak.sampler import Sample, memory_courses
from bench.soak.stack import Layout
from bench.soak.traffic import FAILING, PLAIN, RESCUED, TEXT, Pace, TurnPlan, models_file
from bench.soak.verdict import Outcome, judge_error, judge_text
from config.models.models_file import load_models
from router.fake.server.fake_provider import FakeProvider
from router.fake.server.recorded_requests import RecordedRequest

WORDS = TEXT.split()
HELD = ProcessResources(threads=4, descriptors=20, files=15, tcp=0, unix=5, memory=200.0)
IDLE = Holdings({1: HELD}, tasks=9, in_flight=0, provider=0, database={"idle": 8}, redis=4)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (TEXT, "whole"),
        (" ".join(WORDS[:40]), "lost"),
        (" ".join(WORDS[:20] + WORDS[21:]), "lost"),
        (" ".join(WORDS[:20] + WORDS[19:]), "doubled"),
        (" ".join(WORDS + WORDS), "doubled"),
        ("", "lost"),
    ],
)
def test_each_word_of_an_answer_counts(text: str, outcome: str) -> None:
    assert judge_text(text)[0] == outcome


@pytest.mark.parametrize(
    ("code", "given", "outcome"),
    [
        ("storage_unavailable", {"status": 503, "headers": {"retry-after": "1"}}, "clean error"),
        ("storage_unavailable", {"status": 503, "headers": {}}, "broken"),
        ("storage_unavailable", {}, "clean error"),
        ("all_deployments_failed", {"fault": True}, "clean error"),
        ("all_deployments_failed", {}, "broken"),
        ("internal_error", {"fault": True}, "broken"),
    ],
)
def test_an_error_is_clean_only_where_it_is_expected(code: str, given: Any, outcome: str) -> None:
    assert judge_error(code, **given)[0] == outcome


def streamed(text: str, end: str = "data: [DONE]\n\n") -> Received:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in (({"role": "assistant", "content": ""}, None), ({"content": text}, None), ({}, "stop"))
    ]
    chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    received = Received(status=200)
    received.raw += ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end).encode()
    return received


def test_a_stream_is_whole_only_with_all_its_words_and_its_end() -> None:
    assert judge_stream(streamed(TEXT), fault=False) == (("whole", ""), "")
    assert judge_stream(streamed(TEXT, end=""), fault=False)[0][0] == "lost"
    assert judge_stream(streamed(TEXT[:50]), fault=False)[0][0] == "lost"
    assert judge_stream(streamed(TEXT, end="data: [DONE]\n\ndata: [DONE]\n\n"), fault=False)[0][0] == "broken"


def test_events_of_a_task_are_put_together_over_several_connections() -> None:
    found = TaskEvents()
    found.read(b'id: 1\ndata: {"type":"tool_call"}\n\nid: 2\ndata: {"type":"text_chunk","content":"One "}\n\nid: 3\nda')
    found.read(b'data: {"type":"error","code":"server_stopping"}\n\n')
    assert (found.last_id, found.end, found.text) == (2, None, "One ")
    found.read(b'id: 3\ndata: {"type":"restarted"}\n\nid: 4\ndata: {"type":"text_chunk","content":"One two"}\n\n')
    found.read(b'id: 5\ndata: {"type":"completed"}\n\n')
    assert (found.text, found.doubled, found.end) == ("One two", False, {"type": "completed"})
    found.read(b'id: 5\ndata: {"type":"completed"}\n\n')
    assert found.doubled


@pytest.mark.parametrize(
    ("stored", "lost", "doubled"),
    [
        ([("a", ["A"]), ("b", []), ("c", ["C"])], 0, 0),
        ([("a", ["A"]), ("c", ["C"])], 0, 0),  # nobody acknowledged b
        ([("a", ["A"]), ("b", [])], 1, 0),
        ([("a", ["A"]), ("c", ["other"])], 1, 0),
        ([("c", ["C"]), ("a", ["A"])], 1, 0),
        ([("a", ["A"]), ("a", ["A"]), ("c", ["C"])], 0, 1),
        ([("a", ["A", "A"]), ("c", ["C"])], 0, 1),
        ([("a", ["A"]), ("c", ["C"]), ("d", [])], 0, 1),
    ],
)
def test_a_thread_has_each_acknowledged_message_once(stored: Any, lost: int, doubled: int) -> None:
    thread = Thread("session", "/s", [Message("a", "A"), Message("b"), Message("c", "C")])
    audit = Audit()
    audit.check_thread(thread, stored)
    assert (len(audit.lost), len(audit.doubled)) == (lost, doubled)


def test_a_tool_runs_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks.log"
    marks.write_text("a\nb\nb\n")
    audit = Audit()
    audit.check_tools({"a": 1, "b": 0, "c": 1, "d": 0}, marks)
    assert (audit.lost, audit.doubled) == (["the tool of c did not run"], ["the tool of b ran 2 times"])


def hang_ups_of_one_turn() -> tuple[HangUps, RecordedRequest]:
    """The caller hangs up at the moment of its request."""
    hang_ups = HangUps(FakeProvider())
    record = RecordedRequest("m", "fake-ok", True, 1, {"messages": [{"role": "user", "content": "turn-1"}]})
    hang_ups.provider.log.add(record)
    hang_ups.watch("turn-1", record.time)
    return hang_ups, record


@pytest.mark.parametrize(("delay", "late"), [(0.2, False), (1.5, True), (None, True)])
def test_a_hang_up_must_reach_the_provider_within_a_second(delay: float | None, late: bool) -> None:
    hang_ups, record = hang_ups_of_one_turn()
    if delay is not None:
        record.ended = record.time + delay
    hang_ups.check(record.time)
    assert not hang_ups.late and not hang_ups.delays
    hang_ups.check(record.time + 1.2)
    assert (hang_ups.late, len(hang_ups.delays)) == ((["turn-1"], 0) if late else ([], 1))


def test_the_time_in_which_the_soaks_own_loop_was_late_is_not_the_servers() -> None:
    hang_ups, record = hang_ups_of_one_turn()
    hang_ups.lag.delays.append((record.time + 0.9, 0.8))
    hang_ups.check(record.time + 1.7)
    assert not hang_ups.late and not hang_ups.delays  # the loop may still see the end in time
    record.ended = record.time + 1.5
    hang_ups.check(record.time + 2.0)
    assert (hang_ups.late, len(hang_ups.delays), hang_ups.held_up) == ([], 1, 1)


async def test_the_lag_of_the_loop_is_measured() -> None:
    lag = LoopLag()
    watching = asyncio.create_task(lag.run())
    await asyncio.sleep(0.05)
    started = time.time()
    while time.time() < started + 0.2:
        pass  # the loop stands still
    await asyncio.sleep(0.05)
    watching.cancel()
    assert 0.15 < lag.between(started, time.time()) < 5
    assert lag.between(started - 9, started - 8) == 0


def turn(ledger: Ledger, outcome: Outcome, *, started: float = 0.0, ended: float = 0.0, code: str = "") -> None:
    ledger.add("chat", TurnPlan("t"), Received(started=started), (outcome, ""), code)
    ledger.turns[-1] = replace(ledger.turns[-1], ended=ended)


def test_a_connection_may_break_only_when_its_process_is_killed() -> None:
    ledger = Ledger(killed=[10.0])
    turn(ledger, "cut", started=8.0, ended=10.5)
    turn(ledger, "cut", started=10.1, ended=10.5)  # a process takes a moment to die
    assert not list(ledger.unexplained("cut", within=2))
    for started, ended in ((8.0, 9.0), (12.1, 12.5), (8.0, 13.0)):
        turn(ledger, "cut", started=started, ended=ended)
    assert len(list(ledger.unexplained("cut", within=2))) == 3


def result(ledger: Ledger, **fields: Any) -> SoakResult:
    given: dict[str, Any] = {
        "soak_seconds": 60, "callers": 2, "layout": Layout(), "started": 0.0, "ledger": ledger,
        "hang_ups": HangUps(FakeProvider()), "audit": Audit(), "before": IDLE, "after": IDLE, "leaks": (),
        "samples": (), "tracebacks": (), "load": (0.0, 0.0), "proxy": True,
    }  # fmt: skip
    return SoakResult(**(given | fields))


def test_what_must_not_be_is_a_failure() -> None:
    ledger = Ledger(disturbances=[Disturbance("PostgreSQL restarts", 10.0, 12.0)])
    turn(ledger, "whole")
    clean = result(ledger)
    assert clean.failures() == []
    late, growing = HangUps(FakeProvider(), late=["t"]), [sample(at, 200.0 + at) for at in range(40)]
    for worse in (
        replace(clean, audit=Audit(lost=["m"])),
        replace(clean, audit=Audit(doubled=["m"])),
        replace(clean, leaks=["a socket"]),
        replace(clean, hang_ups=late),
        replace(clean, samples=growing),
        replace(clean, tracebacks=["Traceback"]),
        replace(clean, ledger=Ledger()),
        replace(clean, ledger=Ledger(turns=ledger.turns, problems=["it did not start"])),
    ):
        assert len(worse.failures()) == 1, worse
    outcomes: tuple[Outcome, ...] = ("lost", "doubled", "broken", "cut", "bad gateway")
    for outcome in outcomes:
        worse_ledger = Ledger(turns=list(ledger.turns))
        turn(worse_ledger, outcome)
        assert len(result(worse_ledger).failures()) == 1
    turn(ledger, "clean error", started=11.0, ended=12.0, code="storage_unavailable")
    assert clean.failures() == ["1 chat turns failed with storage_unavailable while PostgreSQL restarts"]


@pytest.mark.parametrize(
    "after",
    [
        replace(IDLE, processes={1: replace(HELD, files=16)}),
        replace(IDLE, processes={2: replace(HELD, tcp=1)}),
        replace(IDLE, tasks=10),
        replace(IDLE, in_flight=1),
        replace(IDLE, provider=1),
        replace(IDLE, database={"idle": 8, "idle in transaction": 1}),
        replace(IDLE, database={"idle": 99}),
    ],
)
def test_every_kind_of_leak_is_detected(after: Holdings) -> None:
    assert IDLE.leaks_since(IDLE, pool_limit=80) == []
    assert len(after.leaks_since(IDLE, pool_limit=80)) == 1


def test_process_resources_are_read_from_the_system() -> None:
    before = ProcessResources.of(os.getpid())
    read, write = os.pipe()
    after = ProcessResources.of(os.getpid())
    os.close(read)
    os.close(write)
    assert (after.files, after.descriptors) == (before.files + 2, before.descriptors + 2)
    assert before.memory > 1


def sample(at: float, memory: float, pid: int = 1, threads: int = 0) -> Sample:
    return Sample(at, {pid: replace(HELD, memory=memory)}, 3, 8, None, threads, 0.5)


def test_the_slope_of_the_memory_is_that_of_the_second_half_of_a_workers_life() -> None:
    samples = [sample(at * 36, 100 + min(at, 20) + (0.01 * (at - 20) if at > 20 else 0)) for at in range(40)]
    (course,) = memory_courses([*samples, *(sample(at, 1.0, pid=2) for at in range(5))])
    assert course.slope == pytest.approx(1.0, abs=0.05)
    assert memory_growth([100.0] * 10 + [120.0] * 30) == 0.0


def test_threads_that_a_worker_keeps_are_no_growth_until_it_keeps_no_more() -> None:
    filling = [sample(at, 200.0 + 0.014 * threads, threads=threads) for at, threads in enumerate(range(0, 2000, 50))]
    (course,) = memory_courses(filling)
    assert course.growth == pytest.approx(0.0, abs=0.01) and course.slope == pytest.approx(0.0, abs=1)
    full = [sample(at, 200.0 + 0.014 * at * 50, threads=5000 + at * 50) for at in range(40)]
    full.insert(0, sample(-1, 200.0))
    (course,) = memory_courses(full)
    assert course.growth > 10


def test_the_chart_is_a_small_png_from_the_json(tmp_path: Path) -> None:
    ledger = Ledger(disturbances=[Disturbance("Redis restarts", 10.0, 13.0)])
    ledger.add("chat", TurnPlan("t"), Received(started=0.0, tokens=[0.2, 0.25]), ("whole", ""))
    samples = [sample(at, 200.0) for at in range(40)]
    report = json.loads(json.dumps(as_json(result(ledger, samples=samples))))
    content = draw(report, tmp_path / "soak.png").read_bytes()
    width, height = unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG") and 600 < width < 1200 and height < 1400
    assert len(content) < 200_000


def test_all_models_of_the_traffic_exist(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(json.dumps(models_file("http://127.0.0.1:1/v1", Pace())))
    assert {PLAIN, *RESCUED, *FAILING} <= set(load_models(file, {}).names())


def test_nginx_gets_the_servers_of_the_soak_and_the_rest_of_the_shipped_file() -> None:
    named = upstream([1, 2])
    assert "    server 127.0.0.1:1 max_fails=0;\n    server 127.0.0.1:2 max_fails=0;\n    keepalive 64;" in named
    assert "8000" not in named.replace("upstream.conf", "")


async def test_a_request_goes_to_the_next_server_if_one_refuses() -> None:
    async with FakeProvider() as provider:
        up, down = provider.base_url.removesuffix("/v1"), "http://127.0.0.1:1"
        async with open_gateway([down, up], "token") as gateway:
            for _ in range(2):
                assert "data" in await gateway.get("/v1/models")
        async with open_gateway([down], "token") as gateway:
            with pytest.raises(ConnectionCut, match="refused"):
                await gateway.get("/v1/models")


async def test_a_broken_connection_and_a_hang_up_are_told_apart() -> None:
    async with FakeProvider() as provider, open_gateway([provider.base_url.removesuffix("/v1")], "token") as gateway:
        rig = Rig(gateway, HangUps(provider), Pace(), Ledger())
        body = {"stream": True, "messages": [{"role": "user", "content": "t"}]}
        path = "/v1/chat/completions"
        assert await rig.ask("chat", TurnPlan("t"), path, body | {"model": "fake-cut"}) is None
        assert await rig.ask("chat", TurnPlan("t", hang_up_after=0.05), path, body | {"model": "fake-silent"}) is None
        assert [each.outcome for each in rig.ledger.turns] == ["cut", "hung up"]
        assert await rig.ask("chat", TurnPlan("t"), path, body | {"model": "fake-ok"}) is not None
