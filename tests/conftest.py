"""Fixtures of all tests: environment variables are restored, and connections beyond the loopback fail the test."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from config.litellm_environment import prepare_litellm

prepare_litellm()
for name in [each for each in os.environ if each.endswith("_API_KEY") or each.startswith("SWITCHBOARD_")]:
    del os.environ[name]  # the developer's keys must not affect the tests

# Nobody needs a certificate on the loopback, and each HTTP client reads all that the system trusts in 25 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "one_certificate.pem")

settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def restore_environment() -> Iterator[None]:
    """Undo a test's changes to the environment, such as a loaded `.env`."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    connect = socket.socket.connect

    def connect_to_loopback_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to connect to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback_only)
    yield
