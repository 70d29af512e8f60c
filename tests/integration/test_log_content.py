"""What the log says: nothing of what was said, unless SWITCHBOARD_LOG_CONTENT is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from router.fake.server.fake_provider import FakeProvider
from tests.support.log_watch import LogWatch
from tests.support.server_process import ROOT, client_of_process, running, server_in
from tests.support.serving import direct, fake

SENTENCE = "my card number is four one one one"
PROVIDER_TEXT = "The server had an error while processing your request."

LEAKING = f"""
import logging
import httpx
import structlog

SENTENCE = {SENTENCE!r}


def ask():
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=transport, headers={{"authorization": "Bearer sk-of-ann-123"}}) as http:
        http.post("http://server/chat", json={{"messages": [{{"content": SENTENCE}}]}})


def test_says_it():
    ask()
    structlog.get_logger("api.anything").info("asked", query=SENTENCE)


def test_says_the_key():
    ask()
    logging.getLogger("some.library").warning("sent %s", "Bearer sk-of-ann-123")


def test_says_nothing():
    ask()
    structlog.get_logger("api.anything").info("asked", characters=len(SENTENCE))
"""


def test_a_test_that_logs_what_it_said_or_its_key_fails(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rE"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they take seconds to import
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "3 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    assert f"A log line contains {SENTENCE!r}" in done.stdout
    assert "A log line contains 'sk-of-ann-123'" in done.stdout
    assert "ERROR test_leaking.py::test_says_nothing" not in done.stdout


def test_the_files_of_servers_are_read_as_they_grow(tmp_path: Path) -> None:
    watch, file = LogWatch(), tmp_path / "serve.log"
    watch.follow(file)
    watch.learn(httpx.Request("POST", "http://server", json={"query": [{"text": SENTENCE}], "id": "short"}))
    assert watch.leaks() == []
    file.write_text(f"one line\nquery={SENTENCE[:10]}")
    assert watch.leaks() == []
    with file.open("a") as log:
        log.write(f"{SENTENCE[10:]}\n")
    assert watch.leaks() == [f"A log line contains {SENTENCE!r}: query={SENTENCE}"]
    assert watch.leaks() == []


@pytest.mark.logs_content
async def test_the_setting_shows_messages_answers_tools_and_providers_and_the_start_says_so(tmp_path: Path) -> None:
    async with FakeProvider() as provider:
        models = [fake(), direct("broken", provider.base_url, "fake-503", fallbacks=["fake"])]
        server = server_in(tmp_path, *models, agent={"tools": ["multiply"]}, log_content=True)
        async with running(server), client_of_process(server) as client:
            await client.invoke(f'/say {SENTENCE}\n/call multiply {{"a": 6.5, "b": 7}}')
            body = {"model": "broken", "messages": [{"role": "user", "content": SENTENCE}]}
            await client.http.post("/v1/chat/completions", json=body)
        log = server.log
    assert "content_is_logged" in log.partition("turn_content")[0]
    for shown in (SENTENCE, f"You said: {SENTENCE}", "'a': 6.5", "45.5", PROVIDER_TEXT):
        assert shown in log, shown


async def test_without_it_the_log_has_names_and_numbers(tmp_path: Path) -> None:
    async with FakeProvider() as provider:
        models = [fake(), direct("broken", provider.base_url, "fake-503", fallbacks=["fake"])]
        server = server_in(tmp_path, *models, agent={"tools": ["multiply"]}, log_level="DEBUG")
        async with running(server), client_of_process(server) as client:
            await client.invoke(f'/say {SENTENCE}\n/call multiply {{"a": 6.5, "b": 7}}')
            body = {"model": "broken", "messages": [{"role": "user", "content": SENTENCE}]}
            assert (await client.http.post("/v1/chat/completions", json=body)).status_code == 200
            script = {"model": "fake", "messages": [{"role": "user", "content": f"/say Hi\n/dance {SENTENCE}"}]}
            assert (await client.http.post("/v1/chat/completions", json=script)).status_code == 400
        log = server.log
    assert "attempt_failed" in log and "provider_overloaded" in log
    for hidden in (SENTENCE, "45.5", PROVIDER_TEXT, "sk-provider", "content_is_logged", "turn_content"):
        assert hidden not in log, hidden
