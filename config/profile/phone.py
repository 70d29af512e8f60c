"""`phone` of agent.yaml: what a phone line says by itself, and which agent answers which number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.parsing.sections import Count, Name, Seconds, Section
from config.profile.languages import is_language, nearest_language

Interruptible = Literal["none", "any", "speech", "dtmf"]
"""What of the caller stops the agent's speech: nothing, anything, words, keys."""

ANY_OF_MANY: Final = "multi"
"""Twilio's word for a line that understands several languages at once, in place of one."""

GOODBYE: Final = {"en": "Goodbye.", "zh": "再见。", "de": "Auf Wiederhören.", "es": "Adiós.", "fr": "Au revoir."}
ERROR: Final = {
    "en": "Sorry, something went wrong. Could you say that again?",
    "zh": "抱歉，出了点问题，请您再说一遍。",
    "de": "Entschuldigung, da ist etwas schiefgegangen. Können Sie das noch einmal sagen?",
    "es": "Perdón, algo ha salido mal. ¿Puede repetirlo?",
    "fr": "Désolé, il y a eu un problème. Pouvez-vous répéter ?",
}
REVIEW: Final = {
    "en": "One moment, I am asking a colleague.",
    "zh": "请稍等，我问一下同事。",
    "de": "Einen Moment, ich frage eine Kollegin.",
    "es": "Un momento, voy a consultarlo.",
    "fr": "Un instant, je demande à un collègue.",
}
STILL_THERE: Final = {
    "en": "Are you still there?",
    "zh": "您还在吗？",
    "de": "Sind Sie noch da?",
    "es": "¿Sigue ahí?",
    "fr": "Vous êtes toujours là ?",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence by language, of which there is at least one."""

    by_language: Mapping[str, str]

    def in_language(self, language: str) -> str:
        """The sentence in the language that is nearest, otherwise the first one."""
        return self.by_language[nearest_language(language, [*self.by_language])]


@dataclass(frozen=True, slots=True)
class Reminder:
    """Said after `after` seconds of silence, at most `times` in a row. Then the line says goodbye, if it `hangs_up`."""

    after: float = 10.0
    say: Sentence = Sentence(STILL_THERE)
    times: int = 2
    hang_up: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """How the carrier speaks and listens; None leaves it to the carrier. `speech_model` is that of the listener."""

    voice: str | None = None
    tts_provider: str | None = None
    transcription_provider: str | None = None
    speech_model: str | None = None


@dataclass(frozen=True, slots=True)
class NumberProfile:
    """Who answers a number, and how. `agent` is a persona's id or name. Without it and `model`, the default answers.

    `greeting` None: the caller speaks first. `languages` are those that may be spoken beside `language`.
    """

    greeting: Sentence | None = None
    language: str = "en-US"
    voice: Voice = field(default_factory=Voice)
    languages: Mapping[str, Voice] = field(default_factory=dict)
    hints: tuple[str, ...] = ()
    model: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """`dtmf`: a key is a message (`text`), or the keys up to # are one (`collect`). `sounds` are addresses by name.

    `max_call_length` is in seconds.
    """

    profile: NumberProfile = field(default_factory=NumberProfile)
    numbers: Mapping[str, NumberProfile] = field(default_factory=dict)
    dtmf: Literal["text", "collect"] = "text"
    interruptible: Interruptible = "any"
    preemptible: bool = False
    sounds: Mapping[str, str] = field(default_factory=dict)
    reminder: Reminder | None = None
    max_call_length: float = 3600.0
    goodbye: Sentence = Sentence(GOODBYE)
    error: Sentence = Sentence(ERROR)
    review: Sentence = Sentence(REVIEW)

    def profile_of(self, number: str) -> NumberProfile:
        """The profile of the number that was called."""
        return self.numbers.get(bare_number(number), self.profile)


def bare_number(number: str) -> str:
    """The number without the marks that people write in it. An address or a name stays as it is."""
    return re.sub(r"[\s().\-/]", "", number) if re.fullmatch(r"[+\d\s().\-/]+", number) else number


def _tag(text: str) -> str:
    if text != ANY_OF_MANY and not is_language(text):
        raise ValueError("must be a language such as `en-US`")
    return text


def _sentence(value: Any) -> Any:
    return {"en": value} if isinstance(value, str) else value


def _filled(value: Mapping[str, str]) -> Mapping[str, str]:
    if not value or not all(text.strip() for text in value.values()):
        raise ValueError("must not be empty")
    return value


Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Tag = Annotated[str, AfterValidator(_tag)]
SentenceField = Annotated[
    dict[Tag, str],
    AfterValidator(_filled),
    BeforeValidator(_sentence, json_schema_input_type=str | dict[Tag, str]),
]
"""A sentence, or a mapping from language to sentence."""


class ReminderSection(Section):
    """What the line does when the caller is silent."""

    after: Seconds = Field(10.0, description="Seconds of silence, after the agent's speech has presumably been played.")
    say: SentenceField | None = Field(None, description='Default: "Are you still there?" in some languages.')
    times: Count = Field(2, description="How often in a row.")
    hang_up: bool = Field(False, description="Then say goodbye and hang up.")

    @property
    def value(self) -> Reminder:
        said = Sentence(self.say) if self.say else Sentence(STILL_THERE)
        return Reminder(self.after, said, self.times, self.hang_up)


class VoiceSection(Section):
    """How the carrier speaks and listens."""

    voice: Name | None = Field(None, description="The carrier's name of the voice. Default: the carrier's.")
    tts_provider: Name | None = Field(None, description="Who speaks, such as `ElevenLabs`. Default: the carrier's.")
    transcription_provider: Name | None = Field(
        None, description="Who listens, such as `Deepgram`. Default: the carrier's."
    )
    speech_model: Name | None = Field(None, description="That provider's model. Default: the carrier's.")

    def over_voice(self, base: Voice) -> Voice:
        """`base` with what the section says."""
        given = {each.name: value for each in fields(Voice) if (value := getattr(self, each.name)) is not None}
        return replace(base, **given)


class NumberSection(VoiceSection):
    """Who answers a number. A key that is missing is that of `phone`."""

    greeting: SentenceField | None = Field(None, description="What the line says first. Default: nothing.")
    language: Tag | None = Field(
        None, description="The language of the line, such as `en-US`, or Twilio's `multi`. Default `en-US`."
    )
    languages: dict[Tag, VoiceSection] | None = Field(
        None, description="Further languages that callers speak, each with its voice. Default: none."
    )
    hints: tuple[Name, ...] | None = Field(None, description="Words that callers often say, such as names.")
    model: Name | None = Field(None, description="Group of models.yaml. Default: the server's default model.")
    agent: Name | None = Field(None, description="Persona that answers, by id or name. Default: this file's agent.")

    @model_validator(mode="after")
    def _one_answers(self) -> NumberSection:
        if self.model is not None and self.agent is not None:
            raise ValueError("must have at most one of model and agent: a persona has its own model")
        return self

    def over(self, base: NumberProfile) -> NumberProfile:
        """`base` with what the section says."""
        given = {name: value for name in ("language", "hints") if (value := getattr(self, name)) is not None}
        given["voice"] = self.over_voice(base.voice)
        if self.languages is not None:
            given["languages"] = {tag: each.over_voice(Voice()) for tag, each in self.languages.items()}
        if self.greeting is not None:
            given["greeting"] = Sentence(self.greeting)
        if self.model is not None or self.agent is not None:
            given |= {"model": self.model, "agent": self.agent}
        return replace(base, **given)


class PhoneSection(NumberSection):
    """Phone lines: what they say by themselves, and who answers."""

    dtmf: Literal["text", "collect"] = Field(
        "text", description="`text`: each key is a message to the agent; `collect`: those up to # are one message."
    )
    interruptible: Interruptible | bool = Field(
        "any", description="What stops the agent's speech: `none`, `any`, `speech` or `dtmf`; `true` is `any`."
    )
    preemptible: bool = Field(False, description="Newer text of the agent stops the older at once.")
    sounds: dict[Name, Address] | None = Field(
        None, description="Addresses of sounds by name, which the agent's tool `playSound` plays. Default: none."
    )
    reminder: ReminderSection | None = Field(None, description="When the caller is silent. Default: nothing.")
    max_call_length: Seconds = Field(3600.0, description="Seconds after which the line says goodbye and hangs up.")
    goodbye: SentenceField | None = Field(None, description="Said before the line hangs up by itself.")
    error: SentenceField | None = Field(None, description="Said when a turn fails.")
    review: SentenceField | None = Field(None, description="Said while a person decides about a tool call.")
    numbers: dict[Name, NumberSection] | None = Field(None, description="Who answers which called number.")

    @property
    def value(self) -> PhoneSettings:
        profile = self.over(NumberProfile())
        sentences = {
            name: Sentence(said) for name in ("goodbye", "error", "review") if (said := getattr(self, name)) is not None
        }
        stops: Interruptible = "any" if self.interruptible is True else self.interruptible or "none"
        return PhoneSettings(
            profile=profile,
            numbers={bare_number(number): each.over(profile) for number, each in (self.numbers or {}).items()},
            dtmf=self.dtmf,
            interruptible=stops,
            preemptible=self.preemptible,
            sounds=self.sounds or {},
            reminder=self.reminder.value if self.reminder else None,
            max_call_length=self.max_call_length,
            **sentences,
        )
