"""What OpenAPI says of the messages and tools of Anthropic's API. `content.py` and `tools.py` check them."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _content(*blocks: Schema) -> Schema:
    """A text, or up to 1000 blocks of these kinds."""
    return {"anyOf": [_TEXT, {"type": "array", "items": {"anyOf": list(blocks)}, "maxItems": 1000}, {"type": "null"}]}


_TEXT_BLOCK: Final = _object("type", "text", type={"const": "text"}, text=_TEXT)
_BASE64: Final = _object("type", "media_type", "data", type={"const": "base64"}, media_type=_TEXT, data=_TEXT)
_URL: Final = _object("type", "url", type={"const": "url"}, url=_TEXT)
_PLAIN: Final = _object("type", "data", type={"const": "text"}, data=_TEXT)
_IMAGE: Final = _object("type", "source", type={"const": "image"}, source={"anyOf": [_BASE64, _URL]})
_DOCUMENT: Final = _object("type", "source", type={"const": "document"}, source={"anyOf": [_BASE64, _PLAIN]})
_RESULT: Final = _object(
    "type",
    "tool_use_id",
    type={"const": "tool_result"},
    tool_use_id=_TEXT,
    content=_content(_TEXT_BLOCK, _IMAGE, _DOCUMENT),
)
_CALL: Final = _object(
    "type",
    "id",
    "name",
    type={"const": "tool_use"},
    id={"type": "string", "minLength": 1},
    name={"type": "string", "minLength": 1},
    input={"type": ["object", "null"]},
)
_THOUGHT: Final = _object("type", type={"enum": ["thinking", "redacted_thinking"]})

MESSAGES: Final[Schema] = {
    "maxItems": 2000,
    "items": {
        "anyOf": [
            _object("role", role={"const": "user"}, content=_content(_TEXT_BLOCK, _IMAGE, _DOCUMENT, _RESULT)),
            _object("role", role={"const": "assistant"}, content=_content(_TEXT_BLOCK, _CALL, _THOUGHT)),
            _object("role", role={"const": "system"}, content=_content(_TEXT_BLOCK)),
        ]
    },
}
SYSTEM: Final = _content(_TEXT_BLOCK)
FORMAT: Final[Schema] = {
    "anyOf": [_object("type", "schema", type={"const": "json_schema"}, schema={"type": "object"}), {"type": "null"}]
}
TOOLS: Final[Schema] = {
    "anyOf": [
        {
            "type": "array",
            "items": _object(
                "name",
                "input_schema",
                type={"enum": ["custom", None]},
                name={"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,128}$"},
                input_schema={"type": "object"},
            ),
        },
        {"type": "null"},
    ]
}
