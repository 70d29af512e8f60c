"""Turns tracing on where the standard variables of OpenTelemetry ask for it. Otherwise nothing of it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from api.tracing.tracing import Tracing

log = structlog.get_logger(__name__)

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
PROTOCOL: Final = "http/protobuf"

MISSING: Final = "OpenTelemetry's SDK, or its OTLP exporter, is not installed"
REMEDY: Final = "pip install 'switchboard[otel]'"


def open_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """The tracing that `environ` asks for; None if it asks for none.

    What cannot be done is a warning: turns do not depend on spans.
    """
    if not is_wanted(environ):
        return None
    exporter, protocol = environ.get(EXPORTER) or "otlp", _first(environ, PROTOCOLS) or PROTOCOL
    if exporter != "otlp":
        _warn(f"{EXPORTER} is {exporter!r}", "set it to otlp or none")
        return None
    if protocol != PROTOCOL:
        _warn(f"the OTLP protocol is {protocol!r}", f"set {PROTOCOLS[-1]}={PROTOCOL}; its usual port is 4318")
        return None
    try:
        from api.tracing.tracing import Tracing
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("opentelemetry"):
            raise
        _warn(MISSING, REMEDY)
        return None
    return Tracing()


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether spans are to be sent: an address for them is set, or the exporter."""
    if environ.get(DISABLED, "").strip().lower() == "true":
        return False
    return environ.get(EXPORTER) != "none" and bool(_first(environ, ENDPOINTS) or environ.get(EXPORTER))


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := environ.get(name))), None)


def _warn(reason: str, remedy: str) -> None:
    log.warning("tracing_is_off", reason=reason, remedy=remedy)
