"""Traces tasks: the log lines and spans of a task name the HTTP request that queued it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Protocol

from structlog.contextvars import bound_contextvars, get_contextvars

from agent.tasks.kind import SESSION
from agent.tasks.record import TaskRecord

ORIGIN: Final = "origin"
"""The key under which a stored task has the ids of the request that queued it."""

LOGGED: Final = ("request_id", "trace_id")


class TaskTracer(Protocol):
    """Makes the spans of tasks. A carrier names a span: it has `traceparent` and `tracestate`, as the W3C defines."""

    def carrier(self) -> Mapping[str, str]:
        """The span in which the caller runs; empty without one."""

    def task(self, record: TaskRecord, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
        """A span for the block, which runs the task. The span of `carrier` queued it."""


class NoTracer:
    """A `TaskTracer` that makes no spans."""

    def carrier(self) -> Mapping[str, str]:
        return {}

    def task(self, record: TaskRecord, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
        return nullcontext()


def origin(tracer: TaskTracer) -> dict[str, Any]:
    """What a task stores of the request that queues it."""
    ids = get_contextvars()
    known = {name: ids[name] for name in LOGGED if name in ids} | dict(tracer.carrier())
    return {ORIGIN: known} if known else {}


@contextmanager
def traced(record: TaskRecord, tracer: TaskTracer) -> Iterator[None]:
    """The block runs the task."""
    queued_by: Mapping[str, str] = record.request.get(ORIGIN, {})
    ids = {name: queued_by[name] for name in LOGGED if name in queued_by}
    if record.kind == SESSION:
        ids["session_id"] = record.session_id
    with (
        bound_contextvars(task_id=record.task_id, **ids),
        tracer.task(record, queued_by),
    ):
        yield
