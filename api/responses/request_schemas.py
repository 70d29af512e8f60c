"""What OpenAPI says of the input and the tools of a response.

`input_items.py` and `wire.py` check them: their errors name the field. What depends on other fields, such as the call
that an output answers, no schema can say.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_FILLED: Final[Schema] = {"type": "string", "minLength": 1}
_NAME: Final[Schema] = {"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,128}$"}
_NULL: Final[Schema] = {"type": "null"}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


_PART: Final[Schema] = {
    "anyOf": [
        _object("type", "text", type={"enum": ["input_text", "output_text", "text", "summary_text"]}, text=_TEXT),
        _object("type", "refusal", type={"const": "refusal"}, refusal=_TEXT),
        _object("type", "image_url", type={"const": "input_image"}, image_url=_FILLED),
        _object("type", "file_data", type={"const": "input_file"}, file_data=_FILLED),
        _object("type", "input_audio", type={"const": "input_audio"}, input_audio={"type": "object"}),
    ]
}
_PARTS: Final[Schema] = {"anyOf": [_TEXT, {"type": "array", "items": _PART, "maxItems": 1000}]}
_ITEM: Final[Schema] = {
    "anyOf": [
        _object(
            "role",
            "content",
            type={"const": "message"},
            role={"enum": ["user", "assistant", "system", "developer"]},
            content=_PARTS,
        ),
        _object(
            "type", "name", "call_id", type={"const": "function_call"}, name=_FILLED, call_id=_FILLED, arguments=_TEXT
        ),
        _object("type", "call_id", "output", type={"const": "function_call_output"}, call_id=_FILLED, output=_PARTS),
        _object("type", type={"const": "reasoning"}),
        _object("type", "id", type={"const": "item_reference"}, id=_FILLED),
    ]
}

INPUT: Final[Schema] = {
    "anyOf": [_TEXT, {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": 2000}],
}
TOOLS: Final[Schema] = {
    "anyOf": [
        {
            "type": "array",
            "items": _object(
                "type",
                "name",
                type={"const": "function"},
                name=_NAME,
                description={"anyOf": [_TEXT, _NULL]},
                parameters={"anyOf": [{"type": "object"}, _NULL]},
            ),
        },
        _NULL,
    ]
}
TOOL_CHOICE: Final[Schema] = {"anyOf": [{"enum": ["none", "auto", "required"]}, {"type": "object"}, _NULL]}
NOT_SUPPORTED: Final[Schema] = {"enum": [None]}
FORMAT: Final[Schema] = {
    "anyOf": [
        _object(type={"enum": ["text", "json_object"]}),
        _object("type", "name", "schema", type={"const": "json_schema"}, name=_TEXT, schema={"type": "object"}),
        _NULL,
    ]
}
