"""`switchboard rehearse` against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from api.cli import app
from tests.support.server_process import ServerProcess, client_of_process, server_in
from tests.support.serving import TOKEN, fake

Json = dict[str, Any]
CALLER = "+14155550123"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    models = fake("fake", "fake/assistant"), fake("fake-paced", "fake/echo?first=200ms&gap=20ms&tokens=64")
    agent = {"phone": {"greeting": "Welcome!"}}
    process = server_in(tmp_path_factory.mktemp("server"), *models, agent=agent)
    with asyncio.Runner() as runner:
        try:
            runner.run(process.start())
            yield process
        finally:
            runner.run(process.kill())


def rehearse(script: Path, url: str, *more: str, token: str = TOKEN) -> tuple[int, str]:
    """The exit code and the output."""
    ran = CliRunner().invoke(app, ["rehearse", str(script), "--url", url, "--token", token, *more])
    return ran.exit_code, ran.output


def script_in(folder: Path, *steps: Json, **call: Any) -> Path:
    file = folder / "script.yaml"
    file.write_text(yaml.safe_dump({"pace": 100, "calls": [{"name": "One", "steps": list(steps), **call}]}))
    return file


def test_several_callers_as_json(server: ServerProcess, tmp_path: Path) -> None:
    steps = {"say": "Hello"}, {"say": "A human, please.", "expect": {"transfer": "+1234567890"}}
    code, output = rehearse(script_in(tmp_path, *steps), server.url, "--calls", "3", "--json")
    assert code == 0, output
    whole = orjson.loads(output)
    assert whole["ok"] and [each["ended_by"] for each in whole["calls"]] == ["transfer"] * 3
    assert whole["latency_ms"]["first_word"]["count"] == 6


async def test_the_server_keeps_what_an_interrupted_caller_heard(server: ServerProcess, tmp_path: Path) -> None:
    steps = {"expect": {"contains": "welcome"}}, {"say": "Go on.", "interrupt_after": 5}, {"say": "/say Yes."}
    call = {"from": CALLER, "parameters": {"model": "fake-paced"}}
    script = script_in(tmp_path, *steps, **call)
    code, output = await asyncio.to_thread(rehearse, script, server.url, "--json")
    assert code == 0, output
    (played,) = orjson.loads(output)["calls"]
    heard = played["steps"][1]["heard"]
    assert len(heard.split()) == 5
    async with client_of_process(server, CALLER) as client:
        stored = [text for role, text in await client.transcript(played["call_id"]) if role == "assistant"]
    assert stored == [heard, "Yes."]


def test_a_failed_expectation_is_told_with_its_line_and_key(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(
        "pace: 0\ncalls:\n- name: One\n  steps:\n  - say: Hello\n    expect:\n      contains: goodbye\n"
        "- name: Two\n  steps:\n  - say: Bye\n    expect: {transfer: true}\n"
    )
    code, output = rehearse(script, server.url)
    assert code == 1
    where = f"{script}:7: calls[0].steps[0].expect.contains"
    assert f'{where}: "goodbye" is not in what the caller heard: "You said: Hello"' in output
    assert "calls[1].steps[0].expect.transfer: the agent ended the call" in output
    assert "2 of 2 calls failed." in output


def test_an_invalid_script_is_exit_code_2(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("calls:\n- name: One\n  steps:\n  - {sya: Hello}\n")
    code, output = rehearse(script, "http://127.0.0.1:9")
    assert code == 2 and f"{script}:4: calls[0].steps[0].sya: unknown key; did you mean 'say'?" in output


def test_a_wrong_token_and_an_absent_server_are_told(server: ServerProcess, tmp_path: Path) -> None:
    script = script_in(tmp_path, {"say": "Hello"})
    code, output = rehearse(script, server.url, token="wrong")
    assert code == 1 and "1 of 1 call failed." in output
    code, output = rehearse(script, "http://127.0.0.1:9")
    assert code == 1 and "The server cannot be reached." in output
