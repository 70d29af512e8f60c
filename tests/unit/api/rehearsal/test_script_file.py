"""The file of `switchboard rehearse`: what is read, and that every problem has its line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.rehearsal.script_file import Script, load_script
from config.errors import ConfigError
from tests.support.properties import TEXT, few, json_values

KEYS = (
    "calls name from to language parameters steps say dial wait interrupt_after expect contains matches transfer end "
    "first_word_within silence_within pace timeout limits"
)
STEPS = st.lists(st.dictionaries(st.sampled_from(KEYS.split()), json_values(KEYS), max_size=4), max_size=3)


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "script.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def problems(folder: Path, text: str) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(ConfigError) as raised:
        load_script(written(folder, text))
    return [(each.line, each.key, each.message) for each in raised.value.problems]


def test_a_script_is_read(tmp_path: Path) -> None:
    text = """
calls:
  - name: A room
    from: "+14155550123"
    parameters: {model: fast}
    steps:
      - expect: {contains: Hello}
      - say: A room, please.
        interrupt_after: 3
      - dial: "12#"
        expect: {contains: [twelve, rooms], transfer: true}
"""
    script = load_script(written(tmp_path, text)).file
    (call,) = script.calls
    assert (call.number, call.to, call.parameters) == ("+14155550123", "+18885550100", {"model": "fast"})
    assert (script.pace, script.timeout, script.limits.first_word_within) == (15, 30, None)
    assert call.steps[0].expect.contains == ("Hello",) and call.steps[2].expect.contains == ("twelve", "rooms")
    assert [each.expect.ends for each in call.steps] == [False, False, True]


def test_every_problem_has_its_line_and_key(tmp_path: Path) -> None:
    text = """pase: 3
calls:
  - name: One
    form: "+1"
    steps:
      - {say: a, dial: "1"}
      - say: 12
      - dial: "1a"
      - {say: x, expect: {matches: "(", contain: x, transfer: false}}
      - {wait: 1, interrupt_after: 3}
      - {say: x, expect: {silence_within: 1}}
      - {wait: 1, expect: {first_word_within: 1}}
      - {language: zh-CN}
      - {say: x, expect: {end: true, transfer: true}}
      - {say: x, expect: {contains: []}}
  - steps: []
"""
    steps = "calls[0].steps"
    assert sorted(problems(tmp_path, text), key=lambda each: (each[0], each[1])) == [
        (1, "pase", "unknown key; did you mean 'pace'?"),
        (4, "calls[0].form", "unknown key; did you mean 'from'?"),
        (6, f"{steps}[0]", "a step is one of say, dial and wait; this one has say and dial"),
        (7, f"{steps}[1].say", "must be text, not a number; put it in quotes"),
        (8, f"{steps}[2].dial", 'must be keys of a phone, such as "12#": 0123456789*#'),
        (9, f"{steps}[3].expect.contain", "unknown key; did you mean 'contains'?"),
        (
            9,
            f"{steps}[3].expect.matches",
            "is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (9, f"{steps}[3].expect.transfer", "must be a number in quotes, or true for any number"),
        (10, f"{steps}[4]", "interrupt_after needs an answer; a step with wait has none"),
        (11, f"{steps}[5]", "silence_within counts from an interruption; this step has no interrupt_after"),
        (12, f"{steps}[6]", "first_word_within counts from say or dial; this step has neither"),
        (13, f"{steps}[7]", "language is that of say, which this step does not have"),
        (14, f"{steps}[8]", "a call is transferred or ended; this step expects both"),
        (15, f"{steps}[9].expect.contains", "must list at least one"),
        (16, "calls[1].name", "this key is required"),
        (16, "calls[1].steps", "must list at least one"),
    ]


def test_a_step_after_the_end_of_the_call_is_a_problem(tmp_path: Path) -> None:
    text = "calls:\n- name: One\n  steps:\n  - {say: bye, expect: {end: true}}\n  - say: hello\n"
    assert problems(tmp_path, text) == [(5, "calls[0].steps[1]", "the call has ended before this step")]


@pytest.mark.parametrize("text", ["", "calls: [", "calls:", "- 1", "calls: []"])
def test_what_is_no_script_is_a_problem(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


@few
@given(STEPS, st.dictionaries(st.sampled_from(KEYS.split()), json_values(KEYS), max_size=3))
def test_any_file_is_a_script_or_a_config_error(tmp_path: Path, steps: list[Any], others: dict[str, Any]) -> None:
    value = {"calls": [{"name": "One", "steps": steps}], **others}
    file = written(tmp_path, yaml.safe_dump(value, allow_unicode=True))
    try:
        assert isinstance(load_script(file), Script)
    except ConfigError as error:
        assert error.problems and all(each.file == file for each in error.problems)


@few
@given(TEXT | st.binary(max_size=40))
def test_any_text_is_no_script_or_a_config_error(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ConfigError):
        load_script(written(tmp_path, text))
