"""callers.yaml -> Callers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from config.callers.caller import HASH_PREFIX, Caller, Callers, is_token_id
from config.errors import ConfigError, Problem
from config.parsing.sections import NonNegative, Positive, Section
from config.parsing.validation import did_you_mean, validate
from config.parsing.yaml_document import Document, parse_yaml, read_yaml

RESERVED = ("agent", "other")
"""Names with a meaning of their own in the statistics."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def caller_name(name: str) -> str:
    """Return the name if it can be one. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("must have 1 to 32 letters, digits, and after the first . _ and -")
    if name in RESERVED or is_token_id(name):
        raise ValueError("this name has a meaning of its own in the statistics; choose another one")
    return name


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.lower()):
        raise ValueError(
            f"must be {HASH_PREFIX} and 64 hexadecimal digits, never the token itself; `switchboard token new` makes it"
        )
    return text.lower()


def _expiry(value: Any) -> Any:
    """The moment, in UTC. A day ends at midnight, UTC, which is also the time zone of a time without one."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return datetime.combine(date.fromisoformat(value), time.max, UTC)
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):  # pydantic would read a number, such as 20301231, as seconds
        raise ValueError("must be a day, such as 2030-12-31, or a time, such as 2030-12-31T18:00:00Z") from None


def _patterns(names: tuple[str, ...]) -> tuple[str, ...]:
    if any(not each.strip() for each in names):
        raise ValueError("a model name is empty")
    return names


class _Entry(Section):
    name: Annotated[str, AfterValidator(caller_name)]
    token_hash: Annotated[str, AfterValidator(_hash)]
    models: Annotated[tuple[str, ...], AfterValidator(_patterns)] | None = None
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    parallel_turns: Positive | None = None
    monthly_budget: NonNegative | None = None
    expires: Annotated[datetime, BeforeValidator(_expiry)] | None = None
    users: Literal["all", "own"] = "all"

    @property
    def caller(self) -> Caller:
        fields = self.model_dump(exclude={"users"})
        return Caller(**fields, own_users=self.users == "own")


class _CallersFile(Section):
    callers: tuple[_Entry, ...]


def load_callers(file: Path) -> Callers:
    """Read callers.yaml. Raises ConfigError with every problem."""
    callers, problems = check_callers(file)
    if callers is None:
        raise ConfigError(problems)
    return callers


def check_callers(file: Path) -> tuple[Callers | None, tuple[Problem, ...]]:
    """Read callers.yaml. Returns the callers, or None and every problem. Never raises."""
    return _callers(read_yaml(file))


def parse_callers(text: str, file: Path) -> tuple[Callers | None, tuple[Problem, ...]]:
    """`check_callers` of a text that is to become the file."""
    return _callers(parse_yaml(text, file))


def unknown_models(callers: Callers, known: Iterable[str]) -> Iterator[str]:
    """A warning for each model of a caller that is none of the `known` ones. The file of models may change later."""
    names = set(known)
    for caller in callers.by_name.values():
        for model in caller.models or ():
            if "*" not in model and not model.startswith("agent:") and model not in names:
                yield f"callers.yaml: {caller.name} may use {model!r}, which is no model{did_you_mean(model, names)}"


def _callers(document: Document) -> tuple[Callers | None, tuple[Problem, ...]]:
    if document.value is None:
        return None, document.problems or (Problem("the file is empty", file=document.file),)
    found, invalid, _ = validate(_CallersFile, document, document.value)
    problems = (*document.problems, *invalid, *_repetitions(document))
    if found is None or problems:
        return None, problems
    return Callers(each.caller for each in found.callers), ()


def _repetitions(document: Document) -> Iterator[Problem]:
    """Problems of names and tokens that several callers have, also of those that are invalid otherwise."""
    entries = document.value.get("callers") if isinstance(document.value, dict) else None
    for key in ("name", "token_hash"):
        first: dict[str, int] = {}
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            value = entry.get(key) if isinstance(entry, dict) else None
            if not isinstance(value, str):
                continue
            before = first.setdefault(value.lower() if key == "token_hash" else value, number)
            if before != number:
                line = document.lines.get(("callers", before, key))
                message = "two callers cannot have the same token" if key == "token_hash" else "two callers cannot have"
                message += " this name" if key == "name" else ""
                yield document.problem(("callers", number, key), f"{message}; see line {line}")
