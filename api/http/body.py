"""Reads and validates JSON request bodies; every kind of invalid body has its own error."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from api.http.errors import BodyTooLarge, ClientDisconnected, InvalidBody
from api.http.held import release_at_end
from api.http.invalid_fields import first_invalid_field
from api.http.large_bodies import SMALL, LargeBodies
from config.errors import RequestError
from config.settings import Settings

M = TypeVar("M", bound=BaseModel)

MAX_DEPTH = 64
"""Maximum levels of nesting. Tool schemas, the deepest valid content, stay far below."""


async def read_body(
    request: Request, model: type[M], *, optional: bool = False, error: type[RequestError] = InvalidBody
) -> M:
    """Read the body as `model`. Raises as `read_json_object` and `validate_body` do."""
    settings: Settings = request.state.settings
    value = await read_json_object(request, limit=settings.max_body_bytes, optional=optional)
    return validate_body(model, value, error=error)


async def read_json_object(request: Request, *, limit: int, optional: bool = False) -> dict[str, Any]:
    """Read the body as a JSON object. An empty body is an empty object if `optional`.

    Raises:
        BodyTooLarge: the body has more than `limit` bytes; the rest is not read.
        ClientDisconnected: the client disconnected before it had sent the whole body.
        ServerBusy: other large bodies had all of the memory for too long.
        RequestError: the body is compressed, not JSON, not an object, nested too deeply, or contains a lone surrogate.
    """
    body = await read_bytes(request, limit)
    if optional and not body:
        return {}
    try:
        return json_object(body)
    except RequestError as exc:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RequestError("The body is compressed. Send it as it is, without Content-Encoding.") from exc
        raise


def json_object(body: bytes, name: str = "The body") -> dict[str, Any]:
    """Parse `body` as a JSON object; errors call it `name`.

    Raises:
        RequestError: it is not JSON, not an object, nested too deeply, or contains a lone surrogate.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"{name} is not valid JSON: {exc.msg} (line {exc.lineno}, column {exc.colno}).") from exc
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be a JSON object, not {_kind(value)}.")
    # Counting brackets is cheap but includes those in strings, so the exact depth decides.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise RequestError(f"{name} is nested more than {MAX_DEPTH} levels deep.")
    return value


def request_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """OpenAPI request-body schema, for a route that reads its body itself to report errors in OpenAI's format."""
    schema = model.model_json_schema()
    # References would have to be resolved from the root of the OpenAPI document.
    schema = _with_definitions(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def validate_body(model: type[M], value: dict[str, Any], *, error: type[RequestError] = RequestError) -> M:
    """Validate `value` and return it as `model`.

    Raises:
        RequestError: `error` for the first invalid field; `param` is its path, such as `messages[2].content`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        param, message = first_invalid_field(exc.errors(include_url=False, include_context=False), value)
        raise error(f"{param or 'The body'}: {message}.", param=param or None) from exc


async def read_bytes(request: Request, limit: int) -> bytes:
    """Read the body. Raises BodyTooLarge, ClientDisconnected and ServerBusy as `read_json_object` does."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes.")
    parts: list[bytes] = []
    size, is_held = 0, False
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"The body is larger than {limit} bytes.")
            parts.append(part)
            if size > SMALL and not is_held:
                is_held = True
                await _hold(request, int(length) if length.isdigit() else limit)
    except ClientDisconnect as exc:
        raise ClientDisconnected("The client disconnected.") from exc
    return b"".join(parts)


async def _hold(request: Request, size: int) -> None:
    """Wait until the body may be read on. Its memory is given back when the response has been sent."""
    bodies: LargeBodies = request.state.large_bodies
    await bodies.hold(size)
    release_at_end(request, partial(bodies.release, size))


def depth(value: Any) -> int:
    """The levels of nesting of a JSON value; an empty object has one."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
    return deepest


def _with_definitions(schema: Any, definitions: dict[str, Any]) -> Any:
    """The JSON schema with each reference replaced by its definition. Recursive definitions are not supported."""
    match schema:
        case {"$ref": str(reference), **beside}:
            found = definitions[reference.removeprefix("#/$defs/")]
            return _with_definitions({**found, **beside}, definitions)
        case dict():
            return {key: _with_definitions(value, definitions) for key, value in schema.items()}
        case list():
            return [_with_definitions(each, definitions) for each in schema]
    return schema


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
