"""The spans of this process: of HTTP requests, of turns with their attempts and tools, and of tasks.

FastAPI makes those of HTTP requests. Only `api.tracing.switch` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, contextmanager
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.semconv.attributes.url_attributes import URL_QUERY
from opentelemetry.trace import SpanKind, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

from agent.statistics.turn_counts import EndedTurn
from agent.tasks.kind import SESSION
from agent.tasks.record import TaskRecord
from api.tracing import attributes as names
from api.tracing.exporter import exporting
from api.tracing.turn_spans import TurnSpans

log = structlog.get_logger(__name__)

SERVICE: Final = "switchboard"

UNTRACED: Final = ("/health", "/metrics", "/stats", "/console", "/docs", "/openapi.json")
"""Paths that programs and pages ask for again and again."""


class Tracing:
    """Makes spans; they are sent while `exporting` is entered.

    OpenTelemetry's own variables configure the sampling, the batches and where the spans go.
    """

    def __init__(self) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(_WithoutQuery())
        self._tracer = self._provider.get_tracer(SERVICE, version("switchboard"))
        self._propagator = TraceContextTextMapPropagator()
        self._turns = TurnSpans(self._tracer)

    @property
    def of_requests(self) -> TelemetryConfig:
        """How FastAPI traces HTTP requests. It takes a caller's `traceparent` over."""
        return {
            "tracer_provider": self._provider,
            "tracing": True,
            "metrics": False,  # /metrics has them
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": _is_untraced,
        }

    def exporting(self) -> AbstractAsyncContextManager[None]:
        """Send the spans in the background while this is entered."""
        return exporting(self._provider)

    def trace_id(self) -> str | None:
        """The trace of what runs now."""
        current = trace.get_current_span().get_span_context()
        return format_trace_id(current.trace_id) if current.is_valid else None

    def turn_ended(self, turn: EndedTurn) -> None:
        """Make the spans of the turn, under the span in which it ran."""
        try:
            self._turns.record(turn)
        except Exception:
            log.exception("turn_not_traced")  # the turn itself succeeded

    def carrier(self) -> Mapping[str, str]:
        """See `agent.tasks.tracing.TaskTracer`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    @contextmanager
    def task(self, record: TaskRecord, carrier: Mapping[str, str]) -> Iterator[None]:
        """See `agent.tasks.tracing.TaskTracer`. The span belongs to the trace of the request that queued the task."""
        with (
            self._tracer.start_as_current_span(
                "process task",
                context=self._propagator.extract(carrier),
                kind=SpanKind.CONSUMER,
                attributes={
                    names.TASK_ID: record.task_id,
                    names.TASK_ATTEMPT: record.attempts,
                    **({names.CONVERSATION: record.session_id} if record.kind == SESSION else {}),
                },
            ),
            bound_contextvars(trace_id=self.trace_id()),
        ):
            yield


class _WithoutQuery(SpanProcessor):
    """Hides the query strings that FastAPI notes: a search in a user's memories is what somebody said."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if URL_QUERY in (span.attributes or {}):
            span.set_attribute(URL_QUERY, "REDACTED")


def _resource() -> Resource:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say of this process, with our name as the default."""
    given = Resource.create()
    own = {SERVICE_NAME: SERVICE, SERVICE_VERSION: version("switchboard")}
    if not str(given.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        del own[SERVICE_NAME]
    return given.merge(Resource(own))


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    path: str = scope["path"]
    return path == "/" or path.startswith(UNTRACED)
