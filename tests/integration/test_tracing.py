"""The spans of a real server, as a collector receives them: which there are, how they nest, and what they say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.tracing import exporter
from router.fake.server.fake_provider import FakeProvider
from tests.support.otlp_collector import Collector, Trace, otlp_collector
from tests.support.serving import Served, direct, fake, serving
from tests.support.session_rig import eventually
from tests.support.task_client import TaskClient

SECRET = "the words of a caller"
AGENT = {"tools": ["multiply", "book_hotel", "transferCall"], "review": ["book_hotel"]}
CHAT = "POST /v1/chat/completions"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with otlp_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        yield collector


@pytest.fixture
async def server(collector: Collector, provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Served]:
    models = [
        fake(),
        direct("provider", provider.base_url, "fake-ok"),
        direct("slow", provider.base_url, "fake-ok?gap=50ms&tokens=600"),
        direct("silent", provider.base_url, "fake-silent", first_token_timeout=20),
        direct("broken", provider.base_url, "fake-503"),
        direct("flaky", provider.base_url, "fake-429"),
    ]
    router = {"num_retries": 1, "fallbacks": [{"flaky": ["fake"]}], "retry_after": 0}
    async with serving(tmp_path, *models, agent=AGENT, router=router) as served:
        yield served


class Caller:
    """A caller that traces, too. Each request is a trace of its own, and `span_id` its span there."""

    def __init__(self, http: httpx.AsyncClient, collector: Collector) -> None:
        self.http = http
        self.collector = collector
        self.trace_id, self.span_id = token_hex(16), token_hex(8)
        http.headers["traceparent"] = f"00-{self.trace_id}-{self.span_id}-01"

    async def ask(self, model: str, text: str = "Hi", **fields: Any) -> httpx.Response:
        return await self.http.post("/v1/chat/completions", json=body(model, text, **fields))

    async def trace(self) -> Trace:
        return await self.collector.trace(self.trace_id)


def body(model: str, text: str = "Hi", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.fixture
async def caller(server: Served, collector: Collector) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as http:
        yield Caller(http, collector)


async def test_a_turn_has_a_span_below_that_of_its_request_and_one_for_the_attempt(caller: Caller) -> None:
    before = time.time()
    response = await caller.ask("provider", SECRET, stream=True, user="ann", metadata={"session_id": "call-1"})
    assert response.status_code == 200
    trace = await caller.trace()
    assert trace.tree == [CHAT, ["invoke_agent agent", ["chat fake-ok"]]]
    request, turn, attempt = trace.one("POST"), trace.one("invoke_agent"), trace.one("chat")
    assert request.parent_id == caller.span_id and request["http.response.status_code"] == 200
    assert {each.service for each in trace.spans} == {"switchboard"}
    assert {each.error for each in trace.spans} == {None}
    assert before <= request.began <= turn.began <= attempt.began
    assert attempt.ended <= turn.ended <= request.ended <= time.time()
    assert (turn.kind, attempt.kind) == ("INTERNAL", "CLIENT")
    chunk = response.text.partition("data: ")[2].partition('"id":"chatcmpl-')[2].partition('"')[0]
    assert (
        turn.attributes.items()
        >= {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "switchboard",
            "gen_ai.agent.name": "agent",
            "gen_ai.request.model": "provider",
            "gen_ai.response.finish_reasons": ["stop"],
            "switchboard.turn.id": chunk,
            "switchboard.request.id": response.headers["x-request-id"],
            "switchboard.outcome": "stop",
            "switchboard.attempts": 1,
        }.items()
    )
    assert (
        attempt.attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "fake-ok",
            "gen_ai.response.model": "fake-ok",
            "gen_ai.response.finish_reasons": ["stop"],
            "server.address": "127.0.0.1",
            "switchboard.outcome": "ok",
            "switchboard.attempt.number": 1,
            "switchboard.attempt.why": "first",
        }.items()
    )
    for span in (turn, attempt):
        assert span["gen_ai.usage.input_tokens"] > 0 and span["gen_ai.usage.output_tokens"] > 0
        assert 0 < span["gen_ai.response.time_to_first_chunk"] <= span.ended - span.began
    assert SECRET not in "".join(each.text for each in trace.spans)


async def test_a_failover_shows_each_attempt_and_why_it_was_made(caller: Caller) -> None:
    assert (await caller.ask("flaky")).status_code == 200
    trace = await caller.trace()
    turn, attempts = trace.one("invoke_agent"), trace.named("chat")
    assert [each["switchboard.attempt.why"] for each in attempts] == ["first", "retry", "fallback"]
    assert [each["switchboard.attempt.number"] for each in attempts] == [1, 2, 3]
    assert [each.attributes.get("error.type") for each in attempts] == ["rate_limited", "rate_limited", None]
    assert [each.attributes.get("http.response.status_code") for each in attempts] == [429, 429, None]
    assert all(each.error for each in attempts[:2]) and attempts[2].error is None
    assert [each["switchboard.model"] for each in attempts] == ["flaky", "flaky", "fake"]
    assert (turn["switchboard.outcome"], turn["switchboard.model"], turn.error) == ("stop", "fake", None)
    assert turn["switchboard.attempts"] == 3


async def test_a_tool_has_a_span_between_the_two_model_calls(caller: Caller) -> None:
    script = '/call multiply {"a": 6, "b": 7}\n/then\n/say ' + SECRET
    assert (await caller.ask("fake", script)).status_code == 200
    trace = await caller.trace()
    assert trace.tree == [CHAT, ["invoke_agent agent", ["chat echo"], ["execute_tool multiply"], ["chat echo"]]]
    tool, calls = trace.one("execute_tool"), trace.named("chat")
    assert calls[0].ended <= tool.began <= tool.ended <= calls[1].began
    assert [each["switchboard.attempt.step"] for each in calls] == [1, 2]
    assert [each["gen_ai.response.finish_reasons"] for each in calls] == [["tool_calls"], ["stop"]]
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "multiply",
        "gen_ai.tool.call.id": tool["gen_ai.tool.call.id"],
        "gen_ai.tool.type": "extension",
        "switchboard.outcome": "ok",
    }
    assert SECRET not in "".join(each.text for each in trace.spans)


async def test_a_tool_that_fails_is_an_error_of_the_tool_alone(caller: Caller) -> None:
    assert (await caller.ask("fake", '/call multiply {"a": "x"}\n/then\n/say Sorry.')).status_code == 200
    trace = await caller.trace()
    tool = trace.one("execute_tool")
    assert tool.error and tool["error.type"] == "tool_error"
    assert trace.one("invoke_agent").error is None


async def test_a_hand_off_is_carried_out_by_the_caller(caller: Caller) -> None:
    look_up = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    assert (await caller.ask("fake", "/call look_up {}", tools=[look_up])).status_code == 200
    trace = await caller.trace()
    assert trace.one("execute_tool look_up")["gen_ai.tool.type"] == "function"
    turn = trace.one("invoke_agent")
    assert turn["gen_ai.response.finish_reasons"] == ["tool_calls"] and turn.error is None


@pytest.mark.parametrize(("model", "prefix"), [("slow", "data: "), ("silent", ": keep-alive"), ("silent", None)])
async def test_a_hang_up_is_no_error(caller: Caller, provider: FakeProvider, model: str, prefix: str | None) -> None:
    """After the first text, after a keep-alive alone, and before the response has begun."""
    if prefix is None:
        asking = asyncio.create_task(caller.ask(model, stream=True))
        await eventually(lambda: bool(provider.log), 5)
        asking.cancel()
        await asyncio.wait([asking])
        await caller.http.aclose()
    else:
        async with caller.http.stream("POST", "/v1/chat/completions", json=body(model, stream=True)) as response:
            async with aclosing(response.aiter_lines()) as lines:
                async for line in lines:
                    if line.startswith(prefix):
                        break
    trace = await caller.trace()
    assert len(trace.spans) == 3 and {each.error for each in trace.spans} == {None}
    turn, attempt = trace.one("invoke_agent"), trace.one("chat")
    assert turn["switchboard.outcome"] == attempt["switchboard.outcome"] == "cancelled"
    assert not [each for each in trace.spans if "error.type" in each.attributes]
    assert "gen_ai.response.finish_reasons" not in turn.attributes


async def test_an_error_is_one_in_all_spans(caller: Caller) -> None:
    response = await caller.ask("broken")
    assert response.status_code >= 500
    trace = await caller.trace()
    request, turn, attempts = trace.one("POST"), trace.one("invoke_agent"), trace.named("chat")
    assert all(each.error is not None for each in (request, turn, *attempts))
    assert turn["error.type"] == turn["switchboard.outcome"] == "all_deployments_failed"
    assert {each["error.type"] for each in attempts} == {"provider_overloaded"}
    assert {each["http.response.status_code"] for each in attempts} == {503}


async def test_a_refused_request_has_a_span_without_a_turn(caller: Caller) -> None:
    assert (await caller.ask("nobody")).status_code == 404
    trace = await caller.trace()
    assert trace.tree == [CHAT] and trace.one("POST")["http.response.status_code"] == 404


async def test_a_review_is_an_event_until_the_tool_runs(caller: Caller) -> None:
    client = TaskClient(caller.http)
    asked = await client.invoke('/call book_hotel {"hotel_name": "Ritz"}\n/then\n/say Done.')
    assert asked["status"] == "interrupted"
    turn = (await caller.trace()).one("invoke_agent")
    assert turn["gen_ai.conversation.id"] == "s" and turn.error is None
    assert turn["gen_ai.response.finish_reasons"] == ["interrupted"]
    event = turn.events["switchboard.tool.review"]
    assert event["gen_ai.tool.name"] == "book_hotel"
    accepting = Caller(caller.http, caller.collector)
    await client.resume(response_type="accept")
    trace = await accepting.trace()
    assert trace.tree[1] == ["invoke_agent agent", ["execute_tool book_hotel"], ["chat echo"]]
    assert trace.one("invoke_agent")["gen_ai.conversation.id"] == "s"


async def test_a_task_belongs_to_the_trace_of_the_request_that_queued_it(caller: Caller) -> None:
    client = TaskClient(caller.http)
    caller.http.headers["x-request-id"] = "req-of-the-task"
    task_id = await client.submit("Hi", "t")
    await client.ended(task_id)
    trace = await caller.collector.trace(caller.trace_id, "CONSUMER")
    trace = await caller.collector.trace(caller.trace_id, "SERVER", "POST /agent/invoke/async")
    task, request = trace.one("process task"), trace.one("POST /agent/invoke/async")
    assert task.parent_id == request.span_id and task["switchboard.task.id"] == task_id
    turn = trace.one("invoke_agent")
    assert turn.parent_id == task.span_id and turn["gen_ai.conversation.id"] == "t"
    assert turn["switchboard.request.id"] == "req-of-the-task"


async def test_a_query_string_is_hidden(caller: Caller) -> None:
    assert (await caller.http.get("/agent/longterm/ann", params={"query": SECRET})).status_code == 200
    request = (await caller.trace()).one("GET /agent/longterm/{user_id}")
    assert request["url.query"] == "REDACTED" and SECRET not in request.text


async def test_polls_and_probes_have_no_spans(caller: Caller) -> None:
    for path in ("/health", "/health/live", "/metrics", "/stats", "/"):
        assert (await caller.http.get(path)).status_code == 200
    assert (await caller.http.get("/v1/models")).status_code == 200
    trace = await caller.trace()
    assert [each.name for each in trace.spans] == ["GET /v1/models"]


async def test_the_last_spans_are_sent_when_the_server_stops(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "voice")
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.url, headers=served.headers) as http:
        assert (await http.post("/v1/chat/completions", json=body("fake"))).status_code == 200
        assert collector.spans == []
    assert {each.name for each in collector.spans} == {CHAT, "invoke_agent agent", "chat echo"}
    assert {each.service for each in collector.spans} == {"voice"}


async def test_a_collector_that_hangs_keeps_no_server_from_ending(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "FLUSH_TIMEOUT", 0.1)
    collector.hangs = True
    with capture_logs() as logged:
        async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.url, headers=served.headers) as http:
            assert (await http.post("/v1/chat/completions", json=body("fake"))).status_code == 200
            began = time.monotonic()
        took = time.monotonic() - began
    assert took < 5 and "spans_lost" in [each["event"] for each in logged]


async def test_a_collector_that_is_away_costs_one_warning(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.7")  # shorter than the pause before the first retry
    collector.refuses = True
    with capture_logs() as logged:
        await _outage(collector, tmp_path)
    told = [each["event"] for each in logged if each["event"].startswith("spans")]
    assert told == ["spans_not_sent", "spans_sent_again"]
    assert not [each for each in caplog.messages if "export" in each.lower()]


async def _outage(collector: Collector, folder: Path) -> None:
    """Two batches that the collector refuses, and one that it takes."""
    async with serving(folder) as served, httpx.AsyncClient(base_url=served.url, headers=served.headers) as http:
        for _ in range(2):
            seen = collector.requests
            assert (await http.post("/v1/chat/completions", json=body("fake"))).status_code == 200
            await eventually(lambda seen=seen: collector.requests > seen)
        collector.refuses = False
        assert (await http.post("/v1/chat/completions", json=body("fake"))).status_code == 200
        await eventually(lambda: bool(collector.spans))
