"""`filler` of agent.yaml: what a caller hears while one of the agent's own tools runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from config.parsing.sections import NotBlank, Seconds, Section
from config.profile.languages import is_language, nearest_language

AFTER = 1.0


@dataclass(frozen=True, slots=True)
class FillerSettings:
    """The sentences of each language, which take turns, spoken when a tool has run for `after` seconds.

    Every language has at least one sentence, and there is at least one language.
    """

    sentences: Mapping[str, tuple[str, ...]]
    after: float = AFTER

    def in_language(self, tag: str) -> tuple[str, ...]:
        """The sentences in the language that is nearest to the BCP-47 `tag`, otherwise those of the first language."""
        return self.sentences[nearest_language(tag, [*self.sentences])]


def _language(key: str) -> str:
    if not is_language(key):
        raise ValueError("must be `after`, or a language such as `en` or `zh-CN`")
    return key


def _not_empty(sentences: tuple[str, ...]) -> tuple[str, ...]:
    if not sentences:
        raise ValueError("must have at least one sentence")
    return sentences


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Sentences = Annotated[
    tuple[NotBlank, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    AfterValidator(_not_empty),
]


class FillerSection(Section):
    """What a caller hears while one of the agent's own tools runs. Every key but `after` is a language."""

    model_config = ConfigDict(extra="allow")

    after: Seconds = Field(AFTER, description="Seconds that a tool runs before a sentence is spoken.")
    __pydantic_extra__: dict[
        Annotated[str, AfterValidator(_language)],
        Annotated[
            Sentences,
            Field(description="Any other key is a language, such as `en` or `zh-CN`: its sentences, which take turns."),
        ],
    ] = Field(init=False)

    @model_validator(mode="after")
    def _has_each_language_once(self) -> FillerSection:
        languages = [each.lower() for each in self.model_extra or ()]
        if not languages:
            raise ValueError("must have sentences of at least one language, such as `en: [One moment.]`")
        if repeated := next((each for each in languages if languages.count(each) > 1), None):
            raise ValueError(f"{repeated} is listed twice")
        return self

    @property
    def value(self) -> FillerSettings:
        return FillerSettings(dict(self.model_extra or {}), self.after)
