"""Generates the smallest value that fits a JSON schema, for tool calls and structured answers of the fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 12
_MAX_LENGTH = 1000
_MAX_STEPS = 5_000
"""A schema of a few lines can ask for more than the memory holds."""

_EMPTY: Mapping[str, Any] = {"string": "", "number": 0, "integer": 0, "boolean": False, "null": None}


def sample(schema: Any) -> Any:
    """The value that `schema` contains (const, default, enum, examples), else the smallest of its type.

    Objects get their required properties, and optional ones whose value the schema contains. Supports `$ref` into the
    same schema, anyOf, oneOf, allOf, and minimum lengths and numbers; not `pattern`, `format` and infinite recursion.
    Never raises: what is no schema has no effect.
    """
    return _Sampler(schema).sample(schema, _MAX_DEPTH)


def sample_arguments(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for an OpenAI tool definition (`{"type": "function", "function": {...}}`)."""
    value = sample(tool.get("function", {}).get("parameters") or {"type": "object"})
    return value if isinstance(value, dict) else {}


class _Sampler:
    """`root` is where references are looked up."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps = 0

    def sample(self, schema: Any, depth: int) -> Any:
        self._steps += 1
        if not isinstance(schema, Mapping) or depth == 0 or self._steps > _MAX_STEPS:
            return None
        schema = self._resolved(schema)
        given, value = _given(schema)
        if given:
            return value
        for key in ("anyOf", "oneOf"):
            if choices := _list(schema.get(key)):
                rest = {name: each for name, each in schema.items() if name != key}
                return self.sample({**rest, **self._resolved(choices[0])}, depth - 1)
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return [self.sample(schema.get("items", {}), depth - 1) for _ in range(_length(schema, "minItems"))]
            case "string":
                return "x" * _length(schema, "minLength")
            case "number" | "integer" if limits := _limits(schema):
                return max(limits)
            case str() as name:
                return _EMPTY.get(name)
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        parts = schema.get("properties")
        properties = parts if isinstance(parts, Mapping) else {}
        required = [each for each in _list(schema.get("required")) if isinstance(each, str)]
        return {
            name: self.sample(properties.get(name, {}), depth - 1)
            for name in dict.fromkeys([*properties, *required])
            if name in required or _given(self._resolved(properties[name]))[0]
        }

    def _resolved(self, schema: Any, depth: int = _MAX_DEPTH) -> Mapping[str, Any]:
        """The schema with `$ref` and `allOf` resolved."""
        self._steps += 1
        if not isinstance(schema, Mapping) or depth == 0 or self._steps > _MAX_STEPS:
            return {}
        folded = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        for part in _list(schema.get("allOf")):
            folded = {**self._resolved(part, depth - 1), **folded}
        if "$ref" in schema:
            target: Any = self._root
            for name in filter(None, str(schema["$ref"]).removeprefix("#").split("/")):
                target = target.get(name) if isinstance(target, Mapping) else None
            folded = {**self._resolved(target, depth - 1), **folded}
        return folded


def _given(schema: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the schema contains a value, and that value."""
    for key in ("const", "default"):
        if key in schema:
            return True, schema[key]
    for key in ("enum", "examples"):
        if values := _list(schema.get(key)):
            return True, values[0]
    return False, None


def _length(schema: Mapping[str, Any], key: str) -> int:
    length = schema.get(key, 0)
    return min(length, _MAX_LENGTH) if isinstance(length, int) else 0


def _limits(schema: Mapping[str, Any]) -> list[float]:
    least = [(schema.get("minimum"), 0), (schema.get("exclusiveMinimum"), 1)]
    return [limit + more for limit, more in least if isinstance(limit, int | float) and not isinstance(limit, bool)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
