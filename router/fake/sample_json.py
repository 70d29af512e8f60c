"""The smallest value that fits a JSON schema: what a fake model puts into a tool call or a structured answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEPTH = 12
_LONGEST = 1000  # a caller's schema must not make the fake fill the memory
_EMPTY: Mapping[str, Any] = {"string": "", "number": 0, "integer": 0, "boolean": False, "null": None}


def sample(schema: Any) -> Any:
    """A small value for `schema`: what it names itself (const, default, enum, examples), else the least of its type.

    Objects get their required properties, and the optional ones whose value the schema names. `$ref` into the same
    schema, anyOf, oneOf, allOf, and the lower bounds of lengths and numbers are understood; `pattern`, `format` and
    recursion without an end are not.
    """
    return _sample(schema, schema, _DEPTH)


def sample_arguments(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for an OpenAI tool definition (`{"type": "function", "function": {...}}`)."""
    value = sample(tool.get("function", {}).get("parameters") or {"type": "object"})
    return value if isinstance(value, dict) else {}


def _sample(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth == 0:
        return None
    schema = _resolved(schema, root)
    named, value = _named(schema)
    if named:
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
            _sample(schema.get("items", {}), root, depth - 1) for _ in range(min(schema.get("minItems", 0), _LONGEST))
        ]
    if kind == "string":
        return "x" * min(schema.get("minLength", 0), _LONGEST)
    if kind in ("number", "integer") and ("minimum" in schema or "exclusiveMinimum" in schema):
        return max(schema.get("minimum", float("-inf")), schema.get("exclusiveMinimum", float("-inf")) + 1)
    return _EMPTY.get(kind)


def _object(schema: Mapping[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        name: _sample(properties.get(name, {}), root, depth - 1)
        for name in dict.fromkeys([*properties, *required])
        if name in required or _named(_resolved(properties[name], root))[0]
    }


def _named(schema: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the schema names a value itself, and that value."""
    for key in ("const", "default"):
        if key in schema:
            return True, schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return True, schema[key][0]
    return False, None


def _resolved(schema: Any, root: Any, depth: int = _DEPTH) -> Mapping[str, Any]:
    """The schema with its `$ref` followed and its `allOf` folded in."""
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
