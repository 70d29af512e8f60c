import time

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fake.sample_json import sample, sample_arguments


def test_a_value_in_the_schema_is_used():
    assert sample({"type": "string", "const": "a"}) == "a"
    assert sample({"type": "string", "default": "b", "enum": ["a", "b"]}) == "b"
    assert sample({"type": "string", "enum": ["+1", "+2"]}) == "+1"


def test_optional_properties_are_omitted_unless_the_schema_contains_their_value():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "note": {"type": "string"}, "to": {"type": "string", "enum": ["+1"]}},
        "required": ["a"],
    }
    assert sample(schema) == {"a": 0, "to": "+1"}


def test_arguments_come_from_the_tools_parameters():
    assert sample_arguments({"type": "function", "function": {"name": "now"}}) == {}
    parameters = {"type": "object", "properties": {"a": {"type": "number", "minimum": 3}}, "required": ["a"]}
    assert sample_arguments({"function": {"name": "f", "parameters": parameters}}) == {"a": 3}


def test_recursion_is_limited():
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert "next" in sample(node)
    assert sample({"$ref": "#"}) is not None
    assert sample({"allOf": [{"$ref": "#"}]}) is not None


def test_a_huge_lower_bound_does_not_fill_the_memory():
    assert len(sample({"type": "array", "minItems": 10**12, "items": {"type": "integer"}})) <= 1000
    assert len(sample({"type": "string", "minLength": 10**12})) <= 1000


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]},
        {"type": ["string", "null"], "minLength": 2},
        {
            "type": "object",
            "properties": {"at": {"$ref": "#/$defs/t"}},
            "required": ["at"],
            "$defs": {"t": {"enum": [1]}},
        },
        {"type": "object", "properties": {"at": {"allOf": [{"type": "integer"}]}}, "required": ["at"]},
        {"type": "number", "exclusiveMinimum": 4},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    ],
)
def test_the_sample_fits_its_schema(schema):
    jsonschema.validate(sample(schema), schema)


_leaves = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]
    + [{"enum": ["x", 1]}, {"type": "string", "minLength": 3}, {"type": "integer", "minimum": 7}]
)


def _nested(inner):
    objects = st.dictionaries(st.sampled_from("abc"), inner, min_size=1).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties))).map(
            lambda required: {"type": "object", "properties": properties, "required": sorted(required)}
        )
    )
    arrays = st.builds(
        lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 2)
    )
    return objects | arrays | st.builds(lambda each: {"anyOf": [each, {"type": "null"}]}, inner)


@given(st.recursive(_leaves, _nested, max_leaves=6))
def test_samples_of_nested_schemas_fit_them(schema):
    jsonschema.validate(sample(schema), schema)


KEYS = st.sampled_from(
    "type properties required items minItems minLength minimum exclusiveMinimum enum const default examples anyOf "
    "oneOf allOf $ref a".split()
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 10**6)
    | st.sampled_from(["object", "array", "integer", "#", "#/a", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(ANYTHING)
def test_what_is_no_schema_has_a_sample_that_can_be_sent(schema):
    orjson.dumps(sample(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {str(at): {"$ref": "#"} for at in range(50)},
            "required": list(map(str, range(50))),
        },
        {"type": "array", "minItems": 1000, "items": {"$ref": "#"}},
        {"allOf": [{"$ref": "#"}] * 50},
        {"anyOf": [{"allOf": [{"$ref": "#"}] * 50}]},
    ],
)
def test_a_schema_that_grows_without_end_is_sampled_in_a_moment(schema):
    began = time.process_time()
    assert len(orjson.dumps(sample(schema))) < 1_000_000
    assert time.process_time() - began < 2
