"""A collector of spans that speaks OTLP over HTTP, for tests of what a server sends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

TIMEOUT = 10.0


@dataclass(frozen=True)
class Span:
    """A span as it arrived. Ids are hex, times are seconds since 1970; `error` is the text of an error's status."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    began: float
    ended: float
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    error: str | None

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    @property
    def text(self) -> str:
        """Everything that a reader of the span sees."""
        return repr(self)


@dataclass
class Collector:
    """`spans` in the order of their arrival. One that `refuses` answers 503; one that `hangs` does not answer."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    requests: int = 0
    refuses: bool = False
    hangs: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    async def trace(self, trace_id: str, kind: str = "SERVER", name: str = "") -> Trace:
        """The spans of a trace, once the one of this kind and name, which ends last, has arrived."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                spans = [each for each in self.spans if each.trace_id == trace_id]
                if any(each.kind == kind and each.name.startswith(name) for each in spans):
                    return Trace(spans)
                await asyncio.sleep(0.01)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            service = str(_attributes(of_resource.resource.attributes).get("service.name"))
            for of_scope in of_resource.scope_spans:
                self.spans += [_span(service, each) for each in of_scope.spans]


@dataclass(frozen=True)
class Trace:
    spans: list[Span]

    def named(self, prefix: str) -> list[Span]:
        """The spans whose name begins so, the earliest first."""
        return sorted((each for each in self.spans if each.name.startswith(prefix)), key=lambda each: each.began)

    def one(self, prefix: str) -> Span:
        (found,) = self.named(prefix)
        return found

    @property
    def tree(self) -> Any:
        """The names, as nested lists: `[name, child, ...]`."""
        known = {each.span_id for each in self.spans}
        (root,) = [each for each in self.spans if each.parent_id not in known]
        return self._below(root)

    def _below(self, span: Span) -> list[Any]:
        children = sorted((each for each in self.spans if each.parent_id == span.span_id), key=lambda each: each.began)
        return [span.name, *map(self._below, children)]


@contextmanager
def otlp_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.requests += 1
            if collector.hangs:
                collector.ended.wait(TIMEOUT)
            if not collector.refuses and self.path == "/v1/traces":
                collector.take(body)
            self.send_response(503 if collector.refuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.ended.set()
            server.shutdown()
            thread.join()


def _span(service: str, span: trace_pb2.Span) -> Span:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return Span(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        began=span.start_time_unix_nano / 1e9,
        ended=span.end_time_unix_nano / 1e9,
        attributes=_attributes(span.attributes),
        events={each.name: _attributes(each.attributes) for each in span.events},
        error=span.status.message if failed else None,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in pairs}


def _value(value: AnyValue) -> Any:
    if value.HasField("array_value"):
        return [_value(each) for each in value.array_value.values]
    return getattr(value, str(value.WhichOneof("value")))
