"""The keys of a configuration file: a table for each section, from its JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.docs.reference.tables import code, link, table
from config.parsing.editor_schema import json_schema
from config.parsing.sections import Section

Schema = Mapping[str, Any]

FORWARDED = "Forwarded to the provider."
_REFERENCE = "^(os\\.environ/"
_NAMES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
_PLURALS = {"number": "numbers", "text": "texts", "mapping": "mappings", "list": "lists"}


def sections(model: type[Section], see: Mapping[str, str]) -> str:
    """A heading and a table for each section. `see` has links to more about a key."""
    return _Keys(model, see).text()


class _Keys:
    """The sections of one file. A key that means the same as in an earlier section is only named."""

    def __init__(self, model: type[Section], see: Mapping[str, str]) -> None:
        self._whole = json_schema(model, title="")
        self._definitions: Mapping[str, Schema] = self._whole["$defs"]
        self._see = see
        self._described: set[tuple[str, str]] = set()

    def text(self) -> str:
        return "\n".join(self._section(place, schema) for place, schema in self._parts("", self._whole, set()))

    def _parts(self, place: str, schema: Schema, met: set[str]) -> Iterator[tuple[str, Schema]]:
        """The section and those below it, each definition once, with places such as `model_list[].litellm_params`."""
        yield place, schema
        for key, value in schema["properties"].items():
            for suffix, name in _references(value):
                if name not in met and "properties" in self._definitions[name]:
                    met.add(name)
                    below = f"{place}{'.' if place else ''}{key}{suffix}"
                    yield from self._parts(below, self._definitions[name], met)

    def _section(self, place: str, schema: Schema) -> str:
        text = f"## {code(place) if place else 'Sections'}\n\n"
        if about := " ".join(schema.get("description", "").split()):
            text += f"{about}\n\n"
        rows: list[tuple[str, str, str]] = []
        same, forwarded, plain = [], [], []
        for key, value in schema["properties"].items():
            meaning = value.get("description", "")
            if meaning == FORWARDED:
                forwarded.append(code(key))
            elif not meaning:
                plain.append(code(key))
            elif (key, meaning) in self._described:
                same.append(code(key))
            else:
                self._described.add((key, meaning))
                need = "Required. " if key in schema.get("required", ()) else ""
                rows.append((code(key), self._kind(value), need + meaning + link(self._see.get(key))))
        if isinstance(more := schema.get("additionalProperties"), dict) and "description" in more:
            rows.append((code("NAME"), self._kind(more), more["description"]))
        rows.sort(key=lambda row: not row[2].startswith("Required. "))
        text += table(("key", "value", "meaning"), rows) if rows else ""
        text += f"\nAs above: {', '.join(same)}.\n" if same else ""
        text += f"Keys: {', '.join(plain)}.\n" if plain else ""
        return text + (
            _folded(f"{len(forwarded)} more keys, forwarded to the provider", forwarded) if forwarded else ""
        )

    def _kind(self, schema: Schema) -> str:
        """The kind of value in words. A reference to the environment is possible anywhere, and not mentioned."""
        if "enum" in schema:
            return ", ".join(map(code, schema["enum"]))
        if "$ref" in schema:
            inner = self._definitions[schema["$ref"].rpartition("/")[2]]
            return "mapping" if "properties" in inner else self._kind(inner)
        if choices := (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            return " or ".join(dict.fromkeys(self._kind(each) for each in choices if not _is_implied(each)))
        match schema.get("type"):
            case "array":
                return f"list of {_plural(self._kind(schema.get('items', {})))}"
            case "object":
                values = schema.get("additionalProperties")
                what = self._kind(values) if isinstance(values, dict) else ""
                return f"mapping of names to {_plural(what)}" if what else "mapping"
            case "null":
                return "nothing"
            case str(name):
                return _NAMES[name]
            case _:
                return "any"


def _folded(summary: str, keys: list[str]) -> str:
    return f"\n<details markdown>\n<summary>{summary}</summary>\n\n{', '.join(keys)}\n\n</details>\n"


def _references(schema: Schema, suffix: str = "") -> Iterator[tuple[str, str]]:
    """The definitions that a value may have, each with `[]` for a list and `.NAME` for a mapping on the way."""
    if "$ref" in schema:
        yield suffix, schema["$ref"].rpartition("/")[2]
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _references(each, suffix)
    if isinstance(schema.get("items"), dict):
        yield from _references(schema["items"], f"{suffix}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _references(schema["additionalProperties"], f"{suffix}.NAME")


def _is_implied(schema: Schema) -> bool:
    """Whether a choice needs no mention: no value, or a reference to the environment."""
    return schema.get("type") == "null" or str(schema.get("pattern", "")).startswith(_REFERENCE)


def _plural(kind: str) -> str:
    return " or ".join(_plural_of_one(each) for each in kind.split(" or "))


def _plural_of_one(kind: str) -> str:
    first, space, rest = kind.partition(" ")
    if first == "whole":
        return f"whole {_PLURALS[rest]}"
    return f"{_PLURALS.get(first, first)}{space}{rest}"
