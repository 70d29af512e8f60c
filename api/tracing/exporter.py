"""Sends spans in the background, over OTLP. A collector that is away costs one warning."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

log = structlog.get_logger(__name__)

FLUSH_TIMEOUT: Final = 3.0
"""Seconds that the end of the process waits for the last spans."""


class OtlpExporter(SpanExporter):
    """OpenTelemetry's exporter. Logs the beginning and the end of an outage instead of each failed attempt."""

    def __init__(self) -> None:
        self._exporter = trace_exporter.OTLPSpanExporter()
        self._messages = _Messages()
        logging.getLogger(trace_exporter.__name__).addFilter(self._messages)
        self._is_away = self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._messages.first = None
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            log.warning("spans_not_sent", reason=self._messages.first, effect="spans are dropped until it works again")
        elif self._is_away and not is_away:
            log.info("spans_sent_again")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        if not self._is_shut_down:
            self._is_shut_down = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
            logging.getLogger(trace_exporter.__name__).removeFilter(self._messages)


class _Messages(logging.Filter):
    """Keeps the first message, and lets none pass."""

    first: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        self.first = self.first or record.getMessage()
        return False


@asynccontextmanager
async def exporting(provider: TracerProvider) -> AsyncIterator[None]:
    """Send the spans of `provider` while this is entered, and the last ones at the end, within FLUSH_TIMEOUT."""
    exporter = OtlpExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield
    finally:
        if not await _finished(provider):
            log.warning("spans_lost", reason="the last ones could not be sent in time", seconds=FLUSH_TIMEOUT)
            exporter.shutdown()  # ends its retries


async def _finished(provider: TracerProvider) -> bool:
    """Shut `provider` down in a thread, which the process does not wait for; returns whether it was in time."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut_down, name="last spans", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_TIMEOUT):
            await done.wait()
    return done.is_set()
