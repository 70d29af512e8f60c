"""What OpenAPI says of the messages and tools of a chat completion.

`messages.py` and `tools.py` check them: their errors name the field. What depends on other fields, such as the call
that a tool message answers, no schema can say.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_NULL: Final[Schema] = {"type": "null"}
_NAME: Final[Schema] = {"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,128}$"}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _NULL]}


_PART: Final[Schema] = {
    "anyOf": [
        _object("type", "text", type={"const": "text"}, text=_TEXT),
        _object("type", type={"type": "string", "not": {"const": "text"}}),
    ]
}
PART_TYPES: Final = (
    *("text", "image_url", "input_audio", "file", "audio_url", "video_url", "document"),
    *("guarded_text", "grounding_source", "query"),
)
"""The parts of a user's message that LiteLLM takes, at some providers."""
_USER_PART: Final[Schema] = {
    "anyOf": [
        _PART["anyOf"][0],
        _object("type", "image_url", type={"const": "image_url"}, image_url={"type": ["string", "object"]}),
        _object("type", "file", type={"const": "file"}, file={"type": "object"}),
        _object("type", type={"enum": [each for each in PART_TYPES if each not in ("text", "image_url", "file")]}),
    ]
}
_CONTENT: Final[Schema] = {"anyOf": [_TEXT, {"type": "array", "items": _PART, "maxItems": 1000}, _NULL]}
_USER_CONTENT: Final[Schema] = {"anyOf": [_TEXT, {"type": "array", "items": _USER_PART, "maxItems": 1000}, _NULL]}
_FUNCTION: Final = _object("name", name=_TEXT)
_ID: Final[Schema] = {"type": "string", "minLength": 1}
_CALL: Final[Schema] = {
    "anyOf": [
        _object("id", "function", id=_ID, type={"const": "function"}, function=_FUNCTION),
        _object("id", "type", "custom", id=_ID, type={"const": "custom"}, custom=_FUNCTION),
    ]
}

MESSAGES: Final[Schema] = {
    "maxItems": 2000,
    "items": {
        "anyOf": [
            _object("role", role={"enum": ["system", "developer"]}, content=_CONTENT),
            _object("role", role={"const": "user"}, content=_USER_CONTENT),
            _object(
                "role",
                role={"const": "assistant"},
                content=_CONTENT,
                refusal={"description": "The text of a refusal. What is not a text is ignored."},
                tool_calls=_or_null({"type": "array", "items": _CALL, "maxItems": 128}),
                function_call=_or_null(_FUNCTION),
            ),
            _object("role", "tool_call_id", role={"const": "tool"}, content=_CONTENT, tool_call_id=_TEXT),
            _object("role", "name", role={"const": "function"}, content=_CONTENT, name=_TEXT),
        ]
    },
}

FUNCTION: Final = _object(
    "name", name=_NAME, description=_or_null(_TEXT), parameters=_or_null({"type": "object"}), strict={}
)
TOOL: Final = _object("function", type={"const": "function"}, function=FUNCTION)
FALLBACK: Final[Schema] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 256},
        _object("model", model={"type": "string", "minLength": 1}),
    ]
}


def items(schema: Schema) -> Schema:
    """For a field that is a list or null."""
    return {"anyOf": [{"type": "array", "items": schema}, _NULL]}
