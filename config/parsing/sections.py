"""Base class for the sections of a configuration file.

The pydantic model of a section is the single source for both validation (`validation.py`) and the JSON schema
(`editor_schema.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from config.parsing.yaml_document import KeyPath


class Section(BaseModel):
    """A mapping in a configuration file; its fields are the supported keys.

    Unknown keys are errors, except those in `ignored` or matching `ignored_pattern`: they are removed before validation
    and collected in the validation context, by section. `label` names the section in warnings. `unknown_keys` is for
    files that are read with `unknown_keys.remove_unknown_keys`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    label: ClassVar[str] = ""
    ignored: ClassVar[frozenset[str]] = frozenset()
    ignored_pattern: ClassVar[str | None] = None
    unknown_keys: ClassVar[Literal["refused", "ignored", "ignored unless misspelled"]] = "refused"

    @classmethod
    def is_ignored(cls, key: str) -> bool:
        """Whether LiteLLM knows the key, but it has no effect here."""
        known = key in cls.ignored or bool(cls.ignored_pattern and re.search(cls.ignored_pattern, key))
        return known and key not in cls.model_fields

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        patterns = [f"^({'|'.join(sorted(map(re.escape, cls.ignored)))})$"] if cls.ignored else []
        patterns += [cls.ignored_pattern] if cls.ignored_pattern else []
        if patterns:  # as patterns, so that editors accept these keys but do not suggest them
            schema["patternProperties"] = {pattern: True for pattern in patterns}
        return schema

    @model_validator(mode="before")
    @classmethod
    def _remove_ignored_keys(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        ignored = [key for key in value if cls.is_ignored(key)]
        if info.context is not None:
            info.context.setdefault(cls, {}).update(dict.fromkeys(ignored))
        return {key: each for key, each in value.items() if key not in ignored}


def _reject_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


# pydantic reads `true` as the number 1, which is never intended in a file.
NotBool = BeforeValidator(_reject_bool)

NotBlank = Annotated[str, AfterValidator(_not_blank)]
Name = Annotated[str, Field(min_length=1)]
Number = Annotated[float, NotBool]
NonNegative = Annotated[float, Field(ge=0), NotBool]
Seconds = Annotated[float, Field(gt=0), NotBool]
Integer = Annotated[int, NotBool]
Count = Annotated[int, Field(ge=0), NotBool]
Positive = Annotated[int, Field(ge=1), NotBool]


def section_at(model: type[Section], path: KeyPath) -> type[Section] | None:
    """The section at `path` in a file whose root is `model`, or None."""
    for part in path:
        if isinstance(part, int):
            continue
        found = model.model_fields.get(part)
        inner = next(_sections_in(found.annotation), None) if found else None
        if inner is None:
            return None
        model = inner
    return model


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
