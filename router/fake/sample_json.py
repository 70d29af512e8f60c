"""Generates the smallest value that fits a JSON schema, for tool calls and structured answers of the fakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 12
_MAX_LENGTH = 1000  # a schema must not exhaust the memory
_EMPTY: Mapping[str, Any] = {"string": "", "number": 0, "integer": 0, "boolean": False, "null": None}


def sample(schema: Any) -> Any:
    """The value that `schema` contains (const, default, enum, examples), else the smallest of its type.

    Objects get their required properties, and optional ones whose value the schema contains. Supports `$ref` into the
    same schema, anyOf, oneOf, allOf, and minimum lengths and numbers; not `pattern`, `format` and infinite recursion.
    """
    return _sample(schema, schema, _MAX_DEPTH)


def sample_arguments(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for an OpenAI tool definition (`{"type": "function", "function": {...}}`)."""
    value = sample(tool.get("function", {}).get("parameters") or {"type": "object"})
    return value if isinstance(value, dict) else {}


def _sample(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth == 0:
        return None
    schema = _resolved(schema, root)
    given, value = _given(schema)
    if given:
        return value
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            rest = {name: each for name, each in schema.items() if name != key}
            return _sample({**rest, **_resolved(schema[key][0], root)}, root, depth - 1)
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return [
            _sample(schema.get("items", {}), root, depth - 1)
            for _ in range(min(schema.get("minItems", 0), _MAX_LENGTH))
        ]
    if kind == "string":
        return "x" * min(schema.get("minLength", 0), _MAX_LENGTH)
    if kind in ("number", "integer") and ("minimum" in schema or "exclusiveMinimum" in schema):
        return max(schema.get("minimum", float("-inf")), schema.get("exclusiveMinimum", float("-inf")) + 1)
    return _EMPTY.get(kind)


def _object(schema: Mapping[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        name: _sample(properties.get(name, {}), root, depth - 1)
        for name in dict.fromkeys([*properties, *required])
        if name in required or _given(_resolved(properties[name], root))[0]
    }


def _given(schema: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the schema contains a value, and that value."""
    for key in ("const", "default"):
        if key in schema:
            return True, schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return True, schema[key][0]
    return False, None


def _resolved(schema: Any, root: Any, depth: int = _MAX_DEPTH) -> Mapping[str, Any]:
    """The schema with `$ref` and `allOf` resolved."""
    if not isinstance(schema, Mapping) or depth == 0:
        return {}
    folded = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    for part in schema.get("allOf", ()):
        folded = {**_resolved(part, root, depth - 1), **folded}
    if "$ref" in schema:
        target: Any = root
        for name in filter(None, str(schema["$ref"]).removeprefix("#").split("/")):
            target = target.get(name) if isinstance(target, Mapping) else None
        folded = {**_resolved(target, root, depth - 1), **folded}
    return folded
