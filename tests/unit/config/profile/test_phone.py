"""`phone` of agent.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from config.profile.agent_file import check_agent, load_agent
from config.profile.phone import NumberProfile, PhoneSettings, Sentence, Voice


def phone(folder: Path, **keys: object) -> PhoneSettings:
    file = folder / "agent.yaml"
    file.write_text(yaml.safe_dump({"system_prompt": "Be kind.", "phone": keys}))
    return load_agent(file, {}).phone


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("system_prompt: x\n")
    assert load_agent(file, {}).phone == PhoneSettings() == phone(tmp_path)


def test_a_number_has_what_it_says_and_the_rest_of_the_line(tmp_path: Path) -> None:
    settings = phone(
        tmp_path,
        greeting="Hello",
        voice="Anna",
        tts_provider="Google",
        model="fast",
        hints=["Ritz"],
        numbers={"+1 (888) 555-0100": {"agent": "Concierge", "voice": "Berta", "language": "de-DE"}},
    )
    expected = NumberProfile(
        greeting=Sentence({"en": "Hello"}),
        language="de-DE",
        voice=Voice("Berta", "Google"),
        hints=("Ritz",),
        agent="Concierge",
    )
    assert settings.profile_of("+18885550100") == expected
    assert settings.profile_of("+18885550199").model == "fast"


@pytest.mark.parametrize(
    ("given", "value"), [(True, "any"), (False, "none"), ("speech", "speech"), ("dtmf", "dtmf"), ("none", "none")]
)
def test_what_interrupts(tmp_path: Path, given: object, value: str) -> None:
    assert phone(tmp_path, interruptible=given).interruptible == value


def test_a_sentence_in_the_nearest_language() -> None:
    sentence = Sentence({"en": "Hi", "de": "Hallo"})
    assert [sentence.in_language(each) for each in ("en-GB", "de-AT", "DE", "fr", "")] == [
        "Hi",
        "Hallo",
        "Hallo",
        "Hi",
        "Hi",
    ]


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"greetings": "Hi"}, "phone.greetings", "did you mean 'greeting'"),
        ({"greeting": ""}, "phone.greeting", "must not be empty"),
        ({"greeting": {}}, "phone.greeting", "must not be empty"),
        ({"error": {"english": "Oh"}}, "phone.error", "must be a language"),
        ({"language": "english"}, "phone.language", "must be a language"),
        ({"model": "a", "agent": "b"}, "phone", "at most one of model and agent"),
        ({"numbers": {"+1": {"model": "a", "agent": "b"}}}, "phone.numbers.+1", "at most one of model and agent"),
        ({"reminder": {"after": 0}}, "phone.reminder.after", "greater than 0"),
        ({"dtmf": "tone"}, "phone.dtmf", "text"),
        ({"sounds": {"bell": "bell.mp3"}}, "phone.sounds", ""),
    ],
)
def test_each_fault_is_named_with_its_place(tmp_path: Path, keys: dict[str, object], key: str, says: str) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump({"system_prompt": "x", "phone": keys}))
    profile, problems = check_agent(file, {})
    assert profile is None
    assert any((each.key or "").startswith(key) and says in each.message for each in problems), problems
