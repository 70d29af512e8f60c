"""Fixtures of all tests: environment variables are restored; connections beyond the loopback, and log lines with what
a test said or with its keys, fail the test.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from config.litellm_environment import prepare_litellm
from config.log_content import allow_content
from tests.support.by_file import ByFile
from tests.support.log_watch import WATCH
from tests.support.properties import FUZZ

gc.disable()  # a quarter of the time that the imports take
prepare_litellm()
for name in [each for each in os.environ if each.endswith("_API_KEY") or each.startswith("SWITCHBOARD_")]:
    del os.environ[name]  # the developer's keys must not affect the tests

# Nobody needs a certificate on the loopback, and each HTTP client reads all that the system trusts in 25 ms.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "one_certificate.pem")

settings.register_profile("default", deadline=None, max_examples=100 * FUZZ)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_content: the log lines of the test may quote content")
    WATCH.install()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    """What the tests were imported from stays until the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def log_watch_learns() -> Iterator[None]:
    with WATCH.learning():
        yield


@pytest.fixture(scope="module", autouse=True)
def log_watch_of_module() -> Iterator[None]:
    """The last lines of the servers of all tests of a module come after its last test."""
    yield
    found = WATCH.leaks()
    WATCH.forget()
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def log_lines_quote_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    WATCH.reinstall()
    yield
    found = WATCH.leaks()
    if found and request.node.get_closest_marker("logs_content") is None:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(scope="session")
def postgres_for_all() -> Iterator[Any]:
    """One for each process of the tests. A test may leave it stopped."""
    from tests.support.postgres_server import postgres_server  # imports the server's storage

    with postgres_server() as server:
        yield server


@pytest.fixture
def content_is_logged() -> Iterator[None]:
    """As with SWITCHBOARD_LOG_CONTENT=true."""
    allow_content(True)
    yield
    allow_content(False)


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
