"""The file of `switchboard rehearse`: phone calls with what the caller does and what the agent must do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from api.rehearsal.carrier import CALLED, CALLER
from api.rehearsal.phone_line import KEYS
from api.rehearsal.speech import PACE
from config.errors import ConfigError, Problem
from config.parsing.sections import Integer, Name, NonNegative, Seconds, Section
from config.parsing.validation import validate
from config.parsing.yaml_document import Document, read_yaml

Value = TypeVar("Value")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"is not a regular expression: {exc}") from exc
    return text


def _digits(text: str) -> str:
    if not text or set(text) - set(KEYS):
        raise ValueError(f'must be keys of a phone, such as "12#": {KEYS}')
    return text


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _not_empty(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values:
        raise ValueError("must list at least one")
    return values


def _not_false(value: object) -> object:
    if value is False:
        raise ValueError("must be a number in quotes, or true for any number")
    return value


Texts = Annotated[
    tuple[Name, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str]), AfterValidator(_not_empty)
]


class Limits(Section):
    """The longest times, in seconds, that a call may show."""

    first_word_within: Seconds | None = Field(
        None, description="Seconds from what the caller says or dials to the first word of the answer."
    )
    silence_within: Seconds | None = Field(
        None, description="Seconds from an interruption to the last text that still comes."
    )


class Expectation(Limits):
    """What the agent must do in a step. All of it must be true."""

    contains: Texts | None = Field(
        None, description="A text, or several, that the caller must hear in this step. Upper and lower case are alike."
    )
    matches: Annotated[Name, AfterValidator(_pattern)] | None = Field(
        None, description="A regular expression of Python that must match in what the caller hears."
    )
    transfer: Annotated[Name | Literal[True], BeforeValidator(_not_false)] | None = Field(
        None, description="The agent transfers the call to this number; `true` for any number."
    )
    end: bool = Field(False, description="`true`: the agent hangs up.")

    @property
    def ends(self) -> bool:
        """Whether the call must end."""
        return self.end or self.transfer is not None


class Step(Section):
    """One thing that the caller does, and what must come of it. Without `say`, `dial` and `wait` the caller listens."""

    say: Name | None = Field(None, description="The caller says this, once the agent has finished.")
    language: Name | None = Field(None, description="The language of `say`. Default: that of the call.")
    dial: Annotated[str, AfterValidator(_digits)] | None = Field(
        None, description='The caller presses these keys, such as `"12#"`.'
    )
    wait: Seconds | None = Field(
        None, description="The caller is silent for so many seconds, and hears what the agent says by itself."
    )
    interrupt_after: Annotated[Integer, Field(ge=1)] | None = Field(
        None,
        description="The caller interrupts the answer after so many words; in Chinese, Japanese and Korean, of so many "
        "characters.",
    )
    expect: Expectation = Field(Expectation(), description="What the agent must do.")

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        done = [name for name in ("say", "dial", "wait") if getattr(self, name) is not None]
        if len(done) > 1:
            raise ValueError(f"a step is one of say, dial and wait; this one has {' and '.join(done)}")
        for problem in _misfits(self):
            raise ValueError(problem)
        return self


def _misfits(step: Step) -> Iterator[str]:
    if step.language is not None and step.say is None:
        yield "language is that of say, which this step does not have"
    if step.wait is not None and step.interrupt_after is not None:
        yield "interrupt_after needs an answer; a step with wait has none"
    if step.expect.first_word_within is not None and step.say is None and step.dial is None:
        yield "first_word_within counts from say or dial; this step has neither"
    if step.expect.silence_within is not None and step.interrupt_after is None:
        yield "silence_within counts from an interruption; this step has no interrupt_after"
    if step.expect.transfer is not None and step.expect.end:
        yield "a call is transferred or ended; this step expects both"


class Call(Section):
    """One phone call."""

    name: Name = Field(description="What the report calls it.")
    number: Name = Field(CALLER, alias="from", description=f"The caller's number. Default `{CALLER}`.")
    to: Name = Field(CALLED, description=f"The number that is called, such as one of agent.yaml. Default `{CALLED}`.")
    language: Name | None = Field(None, description="The caller's language, such as `zh-CN`. Default: the server's.")
    parameters: dict[Name, str] = Field(
        {}, description="`customParameters` of the call: `model` or `agent` say who answers."
    )
    steps: Annotated[tuple[Step, ...], AfterValidator(_not_empty)] = Field(description="What happens, in order.")


class ScriptFile(Section):
    """A script of `switchboard rehearse`."""

    calls: Annotated[tuple[Call, ...], AfterValidator(_not_empty)] = Field(description="The calls, in order.")
    pace: NonNegative = Field(
        PACE,
        description="Letters per second at which the agent is heard. Default 15; 0: all is heard when it comes.",
    )
    timeout: Seconds = Field(
        30.0, description="Seconds in which the agent must go on; then the step fails. Default 30."
    )
    limits: Limits = Field(Limits(), description="Limits for all steps; those of a step win.")


@dataclass(frozen=True, slots=True)
class Script:
    """A valid script. `document` knows the lines of its keys."""

    file: ScriptFile
    document: Document


def load_script(file: Path) -> Script:
    """Read the script. Raises ConfigError with every problem."""
    document = read_yaml(file)
    if document.value is None:
        raise ConfigError(document.problems or [Problem("the file is empty", file=file)])
    script, invalid, _ = validate(ScriptFile, document, document.value)
    problems = [*document.problems, *invalid]
    if script is not None and not problems:
        problems += _unreachable(script, document)
    if script is None or problems:
        raise ConfigError(problems)
    return Script(script, document)


def _unreachable(script: ScriptFile, document: Document) -> Iterator[Problem]:
    """A problem for each step that can never be reached."""
    for number, call in enumerate(script.calls):
        for index, step in enumerate(call.steps[:-1]):
            if step.expect.ends:
                path = ("calls", number, "steps", index + 1)
                yield document.problem(path, "the call has ended before this step")
                break
