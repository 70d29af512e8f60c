"""`filler` of agent.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.profile.agent_file import DEFAULT_AGENT_FILE, load_agent
from config.profile.filler import FillerSettings


def write(folder: Path, filler: str) -> Path:
    file = folder / "agent.yaml"
    file.write_text(f"system_prompt: x\nfiller:\n  {filler}\n", "utf-8")
    return file


def test_sentences_by_language(tmp_path: Path) -> None:
    file = write(tmp_path, "after: 0.05\n  en: [' One moment. ', Just a second.]\n  zh: 请稍等。")
    filler = load_agent(file).filler
    assert filler == FillerSettings({"en": ("One moment.", "Just a second."), "zh": ("请稍等。",)}, after=0.05)
    assert filler.in_language("zh-CN") == ("请稍等。",)
    assert filler.in_language("fr") == ("One moment.", "Just a second.")


def test_a_sentence_comes_after_a_second_and_none_if_none_is_set(tmp_path: Path) -> None:
    assert load_agent(write(tmp_path, "en: One moment.")).filler == FillerSettings({"en": ("One moment.",)}, after=1.0)
    assert load_agent(write(tmp_path, "")).filler is None


def test_the_shipped_agent_has_sentences() -> None:
    filler = load_agent(DEFAULT_AGENT_FILE).filler
    assert filler is not None and filler.after == 1
    assert "请稍等。" in filler.in_language("zh-CN") and "One moment, please." in filler.in_language("en-US")


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("after: 2", 2, "filler", "must have sentences of at least one language"),
        ("afer: 2\n  en: [x]", 3, "filler.afer", "must be `after`, or a language such as `en`"),
        ("en: [x]\n  english: [y]", 4, "filler.english", "must be `after`, or a language such as `en`"),
        ("en: [x]\n  EN: [y]", 2, "filler", "en is listed twice"),
        ("en: [x]\n  no: [y]", 4, "filler", "the key 'no' must be text; put it in quotes"),
        ("en: []", 3, "filler.en", "must have at least one sentence"),
        ("en: [One moment., ' ']", 3, "filler.en[1]", "must not be empty"),
        ("en: ''", 3, "filler.en", "must not be empty"),
        ("en: {a: b}", 3, "filler.en", "must be a list, not a mapping"),
        ("en: [1]", 3, "filler.en[0]", "must be text, not a number; put it in quotes"),
        ("after: 0\n  en: [x]", 3, "filler.after", "must be greater than 0"),
        ("after: yes\n  en: [x]", 3, "filler.after", "must be a number, not true or false"),
        ("- en", 2, "filler", "must be a mapping (`key: value`), not a list"),
    ],
)
def test_each_fault_is_named_with_its_place(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_agent(file)
    problem = raised.value.problems[0]
    assert (problem.file, problem.line, problem.key) == (file, line, key)
    assert message in problem.message
