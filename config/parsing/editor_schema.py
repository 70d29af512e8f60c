"""JSON schema of a configuration file, for completion and checks in editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from config.parsing.sections import Section


def json_schema(model: type[Section], *, title: str) -> dict[str, Any]:
    """The file's JSON schema (draft 2020-12). It accepts what `validate` accepts."""
    schema = model.model_json_schema(schema_generator=_EditorSchema)
    return {"$schema": _EditorSchema.schema_dialect, "title": title, **schema}


class _EditorSchema(GenerateJsonSchema):
    """Omits generated titles; a number or boolean may also be a reference to the environment."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return _or_string(super().int_schema(schema), r"[0-9]+")

    def float_schema(self, schema: Any) -> JsonSchemaValue:
        return _or_string(super().float_schema(schema), r"[0-9]+(\.[0-9]+)?")

    def bool_schema(self, schema: Any) -> JsonSchemaValue:
        return _or_string(super().bool_schema(schema), "true|false")


def _or_string(schema: JsonSchemaValue, pattern: str) -> JsonSchemaValue:
    return {"anyOf": [schema, {"type": "string", "pattern": rf"^(os\.environ/.+|{pattern})$"}]}
