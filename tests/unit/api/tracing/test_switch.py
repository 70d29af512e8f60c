"""When spans are made, by OpenTelemetry's variables, and what is said when they cannot be."""

from __future__ import annotations

import sys

import pytest
from structlog.testing import capture_logs

from api.tracing.switch import REMEDY, is_wanted, open_tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


@pytest.mark.parametrize(
    "environ",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "false"},
    ],
)
def test_an_address_or_the_exporter_turns_tracing_on(environ: dict[str, str]) -> None:
    assert is_wanted(environ)
    assert open_tracing(environ) is not None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "voice"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "True"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_otherwise_it_is_off_without_a_word(environ: dict[str, str]) -> None:
    with capture_logs() as logged:
        assert open_tracing(environ) is None
    assert not logged


@pytest.mark.parametrize(
    ("more", "named"),
    [({"OTEL_TRACES_EXPORTER": "console"}, "console"), ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf")],
)
def test_what_is_not_supported_is_a_warning(more: dict[str, str], named: str) -> None:
    with capture_logs() as logged:
        assert open_tracing({**ENDPOINT, **more}) is None
    assert [each["event"] for each in logged] == ["tracing_is_off"] and named in str(logged[0])


@pytest.mark.parametrize("missing", ["opentelemetry.sdk.resources", "opentelemetry.exporter"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("api.tracing.tracing", "api.tracing.exporter"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [each for each in sys.modules if each.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with capture_logs() as logged:
        assert open_tracing(ENDPOINT) is None
    (warning,) = logged
    assert warning["remedy"] == REMEDY and "not installed" in warning["reason"]
