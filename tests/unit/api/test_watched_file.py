"""Watched files: what counts as a change, what is rejected, and what is logged."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.reload import ModelsReader
from api.watched_file import WatchedFile
from config.errors import ConfigError, Problem


class Words:
    """A watched file with one word; "bad" is invalid. `applied` holds the values that were applied."""

    def __init__(self, file: Path, first: str = "one") -> None:
        self.file = file
        self.applied: list[str] = []
        file.write_text(first)
        self.watched = WatchedFile(self.read, file)
        assert self.watched.load() == first

    def read(self) -> str:
        if not self.file.exists():
            raise ConfigError([Problem("the file does not exist", file=self.file)])
        if (text := self.file.read_text()) == "bad":
            raise ConfigError([Problem("no good", file=self.file, line=3, key="a.b"), Problem("nor this", line=9)])
        return text

    async def apply(self, value: str) -> None:
        if value == "explosive":
            raise ZeroDivisionError(value)
        self.applied.append(value)

    async def refresh(self, *, force: bool = False) -> list[str]:
        await self.watched.refresh(self.apply, force=force)
        return [problem.message for problem in self.watched.problems]


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path / "words")


async def test_only_a_change_of_the_contents_is_applied(words: Words) -> None:
    await words.refresh()
    os.utime(words.file, (0, 0))
    await words.refresh()
    assert words.applied == []
    words.file.write_text("two")
    before = words.watched.loaded_at
    await words.refresh()
    await words.refresh()
    assert words.applied == ["two"]
    assert words.watched.loaded_at > before


async def test_a_forced_refresh_needs_no_change(words: Words) -> None:
    await words.refresh(force=True)
    assert words.applied == ["one"]


async def test_an_invalid_file_is_logged_once_with_file_line_and_key(words: Words) -> None:
    words.file.write_text("bad")
    with capture_logs() as logs:
        assert await words.refresh() == ["no good", "nor this"]
        assert await words.refresh() == ["no good", "nor this"]
    assert logs == [
        {"event": "reload_refused", "log_level": "error", "problem": problem, "file": file, "line": line, "key": key}
        for problem, file, line, key in [("no good", str(words.file), 3, "a.b"), ("nor this", None, 9, None)]
    ]
    assert words.applied == []
    words.file.write_text("two")
    assert await words.refresh() == []
    assert words.applied == ["two"]


async def test_a_file_that_vanishes_is_a_problem_until_it_is_back(words: Words) -> None:
    words.file.unlink()
    assert await words.refresh() == ["the file does not exist"]
    words.file.write_text("one")
    assert await words.refresh() == []


async def test_a_value_that_cannot_be_applied_is_logged_and_not_tried_again(words: Words) -> None:
    words.file.write_text("explosive")
    with capture_logs() as logs:
        assert await words.refresh() == ["the file could not be applied; see the log"]
        await words.refresh()
    assert [each["event"] for each in logs] == ["reload_crashed", "reload_refused"]


async def test_a_refresh_can_be_cancelled(words: Words) -> None:
    reached = asyncio.Event()

    async def apply(_: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    words.file.write_text("two")
    refreshing = asyncio.create_task(words.watched.refresh(apply))
    await reached.wait()
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing


def test_a_replaced_link_is_a_change_of_the_contents(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words").write_text(name)
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "words").symlink_to("..data/words")
    watched = WatchedFile((tmp_path / "words").read_text, tmp_path / "words")
    assert watched.load() == "old"
    (tmp_path / "..data_tmp").symlink_to("new")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    applied: list[str] = []

    async def apply(value: str) -> None:
        applied.append(value)

    asyncio.run(watched.refresh(apply))
    assert applied == ["new"]


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
    read = ModelsReader(models)
    assert read().deployments[0].missing == ("LATE_NAME",)
    env.write_text("EARLY_NAME=2\nKEPT_NAME=changed\nLATE_NAME=new\n")
    assert read().deployments[0].missing == ()
    assert {name: os.environ[name] for name in ("EARLY_NAME", "KEPT_NAME", "LATE_NAME")} == {
        "EARLY_NAME": "",  # what was in .env at the start is the command line's to set
        "KEPT_NAME": "as it was",
        "LATE_NAME": "new",
    }
