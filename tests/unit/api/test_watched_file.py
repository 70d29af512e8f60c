"""Following files: what counts as a change, what is refused, and how it is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.watched_file import ModelsReading, WatchedFile
from config.errors import ConfigError, Problem


class Words:
    """A value of one word that may not be "bad"; `used` holds what was put into service."""

    def __init__(self, file: Path, first: str = "one") -> None:
        self.file = file
        self.used: list[str] = []
        file.write_text(first)
        self.followed = WatchedFile(self.read, file)
        assert self.followed.begin() == first

    def read(self) -> str:
        if not self.file.exists():
            raise ConfigError([Problem("the file does not exist", file=self.file)])
        if (text := self.file.read_text()) == "bad":
            raise ConfigError([Problem("no good", file=self.file, line=3, key="a.b"), Problem("nor this", line=9)])
        return text

    async def use(self, value: str) -> None:
        if value == "explosive":
            raise ZeroDivisionError(value)
        self.used.append(value)

    async def follow(self, *, again: bool = False) -> list[str]:
        await self.followed.follow(self.use, again=again)
        return [problem.message for problem in self.followed.problems]


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path / "words")


async def test_only_a_change_of_the_bytes_is_used(words: Words) -> None:
    await words.follow()
    os.utime(words.file, (0, 0))
    await words.follow()
    assert words.used == []
    words.file.write_text("two")
    before = words.followed.at
    await words.follow()
    await words.follow()
    assert words.used == ["two"]
    assert words.followed.at > before


async def test_a_reading_that_is_asked_for_needs_no_change(words: Words) -> None:
    await words.follow(again=True)
    assert words.used == ["one"]


async def test_a_refused_file_is_told_once_with_file_line_and_key(words: Words) -> None:
    words.file.write_text("bad")
    with capture_logs() as logs:
        assert await words.follow() == ["no good", "nor this"]
        assert await words.follow() == ["no good", "nor this"]
    assert logs == [
        {"event": "reload_refused", "log_level": "error", "problem": problem, "file": file, "line": line, "key": key}
        for problem, file, line, key in [("no good", str(words.file), 3, "a.b"), ("nor this", None, 9, None)]
    ]
    assert words.used == []
    words.file.write_text("two")
    assert await words.follow() == []
    assert words.used == ["two"]


async def test_a_file_that_vanishes_is_a_problem_until_it_is_back(words: Words) -> None:
    words.file.unlink()
    assert await words.follow() == ["the file does not exist"]
    words.file.write_text("one")
    assert await words.follow() == []


async def test_a_value_that_cannot_be_put_into_service_is_told_and_not_tried_again(words: Words) -> None:
    words.file.write_text("explosive")
    with capture_logs() as logs:
        assert await words.follow() == ["cannot be put into service; the log tells why"]
        await words.follow()
    assert [each["event"] for each in logs] == ["reload_crashed", "reload_refused"]


async def test_a_cancelled_reading_is_cancelled(words: Words) -> None:
    reached = asyncio.Event()

    async def use(_: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    words.file.write_text("two")
    following = asyncio.create_task(words.followed.follow(use))
    await reached.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_a_link_that_is_exchanged_is_a_change_of_the_bytes(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words").write_text(name)
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "words").symlink_to("..data/words")
    followed = WatchedFile((tmp_path / "words").read_text, tmp_path / "words")
    assert followed.begin() == "old"
    (tmp_path / "..data_tmp").symlink_to("new")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    used: list[str] = []

    async def use(value: str) -> None:
        used.append(value)

    asyncio.run(followed.follow(use))
    assert used == ["new"]


def test_variables_are_added_to_the_environment_and_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT_NAME", "as it was")
    for name in ("EARLY_NAME", "LATE_NAME"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards; an empty one counts as not set
    models = tmp_path / "models.yaml"
    models.write_text("model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: os.environ/LATE_NAME}}]")
    env = tmp_path / ".env"
    env.write_text("EARLY_NAME=1\n")
    read = ModelsReading(models)
    assert read().deployments[0].missing == ("LATE_NAME",)
    env.write_text("EARLY_NAME=2\nKEPT_NAME=changed\nLATE_NAME=new\n")
    assert read().deployments[0].missing == ()
    assert {name: os.environ[name] for name in ("EARLY_NAME", "KEPT_NAME", "LATE_NAME")} == {
        "EARLY_NAME": "",  # what was in .env at the start is the command line's to set
        "KEPT_NAME": "as it was",
        "LATE_NAME": "new",
    }
