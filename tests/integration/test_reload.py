"""Hot reload as operators use it: real files are edited while the real server serves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from langchain_core.tools import tool
from structlog.testing import capture_logs

import api.reload
from agent.tools.tool_set import SERVER_TOOLS
from router.fake.server.fake_provider import FakeProvider
from tests.support.serving import Served, direct, fake, serving, through_litellm

PATIENCE = 15
"""Seconds, for a busy machine; a reload takes a fraction of one."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Edits the files of a server and looks at it from outside."""

    folder: Path
    http: httpx.AsyncClient

    def save(self, *models: Mapping[str, Any], **sections: Any) -> None:
        self.write("models.yaml", yaml.safe_dump({"model_list": list(models), **sections}))

    def write(self, name: str, text: str) -> None:
        """As editors do: a new file takes the old one's name."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.replace(self.folder / name)

    async def health(self) -> dict[str, Any]:
        response = await self.http.get("/health")
        assert response.status_code == 200
        found: dict[str, Any] = response.json()
        return found

    async def models(self) -> list[str]:
        return [each["id"] for each in (await self.http.get("/v1/models")).json()["data"]]

    async def sees_models(self, *names: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.models() != list(names):
                await asyncio.sleep(0.01)

    async def sees_problems(self, *problems: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while (await self.health())["reload"]["problems"] != list(problems):
                await asyncio.sleep(0.01)

    async def says(self, text: str, **body: Any) -> str:
        asked = {"messages": [{"role": "user", "content": text}], **body}
        response = await self.http.post("/v1/chat/completions", json=asked)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])

    async def says_goodbye_with(self, tool: str | None) -> None:
        asked = {"messages": [{"role": "user", "content": "Goodbye!"}]}
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = (await self.http.post("/v1/chat/completions", json=asked)).json()
                calls = answer["choices"][0]["message"].get("tool_calls") or [{"function": {"name": None}}]
                if calls[0]["function"]["name"] == tool:
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.chdir(tmp_path)
    async with serving(tmp_path, fake("old"), agent={"tools": ["multiply"]}, keep_alive_interval=0.05) as served:
        yield served


@pytest.fixture
async def operator(tmp_path: Path, server: Served) -> AsyncIterator[Operator]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=PATIENCE) as http:
        yield Operator(tmp_path, http)


async def test_a_saved_models_yaml_serves_within_a_second(operator: Operator) -> None:
    loop = asyncio.get_running_loop()
    times = []
    for name in ("first", "second", "third"):
        began = loop.time()
        operator.save(fake(name))
        await operator.sees_models(name)
        times.append(loop.time() - began)
    assert min(times) < 1
    assert await operator.says("Hi", model="third") == "You said: Hi"
    gone = await operator.http.post("/v1/chat/completions", json={"model": "old", "messages": []})
    assert gone.status_code in (400, 404)


async def test_a_running_turn_keeps_its_snapshot(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, swapped = asyncio.Event(), asyncio.Event()

    @tool
    async def multiply(a: int, b: int) -> str:
        """Multiply."""
        begun.set()
        await swapped.wait()
        return f"the product is {a * b}"

    monkeypatch.setitem(SERVER_TOOLS, "multiply", multiply)
    asked = {"model": "old", "messages": [{"role": "user", "content": '/call multiply {"a": 6, "b": 7}'}]}
    older = asyncio.create_task(operator.http.post("/v1/chat/completions", json=asked))
    await begun.wait()
    operator.save(fake("new"))
    operator.write("agent.yaml", "system_prompt: Be brief.\ntools: [endCall]")
    await operator.sees_models("new")
    await operator.says_goodbye_with("endCall")
    assert not older.done()
    swapped.set()
    # After the tool the model is asked again: its group is in no file any more, and neither is the tool.
    answer = await older
    assert "the product is 42" in answer.json()["choices"][0]["message"]["content"]
    assert (answer.json()["model"], answer.headers["x-switchboard-attempts"]) == ("old", "2")


async def test_a_stream_of_a_provider_that_is_taken_out_ends_whole(operator: Operator) -> None:
    async with FakeProvider() as provider:
        operator.save(direct("slow", provider.base_url, "fake-ok?tokens=20&gap=50ms"))
        await operator.sees_models("slow")
        asked = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with operator.http.stream("POST", "/v1/chat/completions", json=asked) as response:
            async with aclosing(response.aiter_lines()) as lines:
                chunks = [orjson.loads((await anext(line async for line in lines if '"content"' in line))[6:])]
                operator.save(fake("new"))
                await operator.sees_models("new")
                chunks += [orjson.loads(line[6:]) async for line in lines if line.startswith("data: {")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["model"] for chunk in chunks} == {"slow"}


async def test_a_broken_file_keeps_the_old_one_and_shows_until_it_is_fixed(operator: Operator) -> None:
    before = (await operator.health())["reload"]
    assert (before["ok"], before["problems"]) == (True, [])
    with capture_logs() as logs:
        operator.write("models.yaml", "model_list:\n- model_name: new\n  litellm_params: {modell: fake/echo}\n")
        async with asyncio.timeout(PATIENCE):
            while (broken := (await operator.health())["reload"])["ok"]:
                await asyncio.sleep(0.01)
    assert all(problem.startswith("models.yaml:3: model_list[0].litellm_params") for problem in broken["problems"])
    assert broken["at"] > before["at"]
    told = [each for each in logs if each["event"] == "reload_refused"]
    assert len(told) == len(broken["problems"])
    assert {(each["file"], each["line"]) for each in told} == {(str(operator.folder / "models.yaml"), 3)}
    assert await operator.models() == ["old"]
    assert await operator.says("Hi") == "You said: Hi"
    operator.save(fake("new"))
    await operator.sees_models("new")
    await operator.sees_problems()


async def test_a_file_that_vanishes_keeps_the_old_one(operator: Operator) -> None:
    (operator.folder / "models.yaml").unlink()
    await operator.sees_problems("models.yaml: the file does not exist")
    assert await operator.models() == ["old"]
    operator.save(fake("new"))
    await operator.sees_models("new")
    await operator.sees_problems()


async def test_a_broken_models_yaml_does_not_hold_up_agent_yaml(operator: Operator) -> None:
    operator.write("models.yaml", "")
    await operator.sees_problems("models.yaml: the file is empty")
    operator.write("agent.yaml", "system_prompt: Hi.\ntools: [multiplyy]")
    await operator.sees_problems(
        "models.yaml: the file is empty",
        "agent.yaml:2: tools[0]: unknown tool 'multiplyy'; did you mean 'multiply'?",
    )
    operator.write("agent.yaml", "system_prompt: Hi.\ntools: [endCall]")
    await operator.sees_problems("models.yaml: the file is empty")


async def test_agent_yaml_switches_the_tools_of_the_turns_that_follow(operator: Operator) -> None:
    await operator.says_goodbye_with(None)
    operator.write("agent.yaml", "system_prompt: Be kind.\ntools: [endCall]")
    await operator.says_goodbye_with("endCall")


async def test_a_key_that_is_added_to_the_environment_file_makes_its_deployment_ready(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELOADED_KEY", "")  # so that it is put back afterwards; an empty one counts as not set
    operator.save(fake("old"), fake("keyed", api_key="os.environ/RELOADED_KEY"))
    async with asyncio.timeout(PATIENCE):
        while len((await operator.health())["deployments"]) < 2:
            await asyncio.sleep(0.01)
    assert await operator.models() == ["old"]
    operator.write(".env", "RELOADED_KEY=sk-1\n")
    await operator.sees_models("old", "keyed")
    assert os.environ["RELOADED_KEY"] == "sk-1"


async def test_a_first_deployment_of_another_kind_of_provider_is_warmed_up_while_turns_run(operator: Operator) -> None:
    async with FakeProvider() as provider:
        operator.save(through_litellm("litellm", provider.base_url, "fake-ok"))
        await operator.sees_models("litellm")
        assert await operator.says("Hi", model="litellm")


async def test_kubernetes_exchange_of_links_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mount = tmp_path / "mount"
    for name in ("one", "two"):
        (mount / name).mkdir(parents=True)
        (mount / name / "agent.yaml").write_text(f"system_prompt: {name}\nmax_steps: {len(name)}")
    (mount / "two" / "agent.yaml").write_text("system_prompt: two\nmax_steps: none")
    (mount / "..data").symlink_to("one")
    (mount / "agent.yaml").symlink_to("..data/agent.yaml")
    async with (
        serving(tmp_path, fake(), agent_file=mount / "agent.yaml") as served,
        httpx.AsyncClient(base_url=served.url) as http,
    ):
        (mount / "..data_tmp").symlink_to("two")
        (mount / "..data_tmp").replace(mount / "..data")
        async with asyncio.timeout(PATIENCE):
            while (await http.get("/health")).json()["reload"]["ok"]:
                await asyncio.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
async def test_sighup_reloads_both_files(operator: Operator) -> None:
    with capture_logs() as logs:
        before = (await operator.health())["reload"]["at"]
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while not {"models_ready", "agent_ready"} <= {each["event"] for each in logs}:
                await asyncio.sleep(0.01)
        assert (await operator.health())["reload"]["at"] > before
    assert await operator.models() == ["old"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
async def test_the_sighup_handler_is_restored_when_the_server_stops(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    async with serving(tmp_path, fake()):
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before


async def test_a_watcher_that_fails_is_logged_and_the_files_are_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def out_of_watches(*_: object, **__: object) -> AsyncIterator[Any]:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api.reload, "awatch", out_of_watches)
    with capture_logs() as logs:
        async with (
            serving(tmp_path, fake("old")) as served,
            httpx.AsyncClient(base_url=served.url, headers=served.headers) as http,
        ):
            operator = Operator(tmp_path, http)
            operator.save(fake("new"))
            await operator.sees_models("new")
    assert [each["log_level"] for each in logs if each["event"] == "watching_failed"] == ["error"]


async def test_no_task_is_left_at_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path, fake()):
        assert {"reload: watch", "reload: refresh"} <= {task.get_name() for task in asyncio.all_tasks()}
    assert not {"reload: watch", "reload: refresh"} & {task.get_name() for task in asyncio.all_tasks()}
