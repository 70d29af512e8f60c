"""Files of a LiteLLM proxy start unchanged: 30 shapes, from LiteLLM's documentation and from public repositories.

The comments at the top of each file say which models it serves and embeds with, and which warnings it causes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.models.deployments import Registry
from config.models.models_file import check_models

FILES = sorted((Path(__file__).parent / "litellm_files").glob("*.yaml"))


@pytest.fixture(autouse=True)
def all_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.models.model_list.missing_package", lambda *_: None)


def read(file: Path) -> Registry:
    """The file with every variable set that it refers to."""
    variables = re.findall(r"os\.environ/(\w+)", file.read_text("utf-8"))
    registry, problems = check_models(
        file, {each: "http://set" if each.endswith("_BASE") else "set" for each in variables}
    )
    assert problems == ()
    return registry


def comments(file: Path, name: str) -> list[str]:
    return re.findall(rf"^# {name}: ?(.*)$", file.read_text("utf-8"), re.MULTILINE)


def names(text: str) -> list[str]:
    return [each for each in text.split(", ") if each]


def test_there_are_thirty_shapes() -> None:
    assert len(FILES) == 30


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_a_litellm_proxy_serves_its_models(file: Path) -> None:
    registry = read(file)
    assert [list(registry.names())] == [names(each) for each in comments(file, "serves")]
    assert [each.group for each in registry.embeddings] == names("".join(comments(file, "embeds")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_warns_of_what_the_file_says(file: Path) -> None:
    warnings = read(file).warnings
    for expected in comments(file, "warns"):
        assert any(expected in each for each in warnings), (expected, warnings)
    assert bool(warnings) == bool(comments(file, "warns")), warnings
