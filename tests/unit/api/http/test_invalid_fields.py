from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from api.http.body import validate_body
from config.errors import RequestError


class Part(BaseModel):
    kind: Literal["a", "b"] = "a"
    size: int = 0


class Body(BaseModel):
    part: Part | None = None
    parts: Annotated[list[Part], Field(min_length=1)] = [Part()]
    stop: str | list[str] | None = None
    choice: Literal["none", "auto"] | dict[str, Any] | None = None
    names: dict[Annotated[str, Field(max_length=3)], str] = {}
    few: Annotated[dict[str, str], Field(max_length=1)] = {}
    is_on: bool = False


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"part": 5}, "part", "part: Input should be an object."),
        ({"part": {"kind": "c"}}, "part.kind", "part.kind: Input should be 'a' or 'b'."),
        ({"part": {"size": "x"}}, "part.size", "part.size: Input should be an integer."),
        ({"parts": 5}, "parts", "parts: Input should be a list."),
        ({"parts": []}, "parts", "parts: List should have at least 1 item, not 0."),
        ({"parts": [{}, {"size": None}, 7]}, "parts[1].size", "parts[1].size: Input should be an integer."),
        ({"stop": 5}, "stop", "stop: Input should be a string or a list."),
        ({"stop": ["x", 5]}, "stop[1]", "stop[1]: Input should be a string."),
        ({"choice": 5}, "choice", "choice: Input should be 'none' or 'auto' or an object."),
        ({"names": {"long": "x"}}, "names.long", "names.long: The key should have at most 3 characters."),
        ({"few": {"a": "x", "b": "y"}}, "few", "few: The object should have at most 1 item, not more."),
        ({"is_on": "perhaps"}, "is_on", "is_on: Input should be true or false."),
    ],
)
def test_the_field_and_what_it_must_be_are_named_in_the_words_of_json(
    body: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(RequestError) as caught:
        validate_body(Body, body)
    assert (caught.value.param, str(caught.value)) == (param, says)


def test_a_missing_field_is_named() -> None:
    class Required(BaseModel):
        messages: list[dict[str, Any]]

    with pytest.raises(RequestError) as caught:
        validate_body(Required, {})
    assert (caught.value.param, str(caught.value)) == ("messages", "messages: Field required.")
