"""Reads a JSON body, whatever arrives: every way in which it can be wrong has its own clear error."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from api.http.errors import BodyTooLarge, CallerGone
from config.errors import RequestError

M = TypeVar("M", bound=BaseModel)

MAX_DEPTH = 64
"""Levels of nesting. Tool schemas are the deepest thing that honest callers send, and stay far below."""


async def read_json_object(request: Request, *, limit: int, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes; an `optional` one may be left out.

    Raises:
        BodyTooLarge: it is larger; reading stops there.
        CallerGone: the caller hung up before it had sent all of it.
        RequestError: it is not JSON, not an object, nested too deeply, or holds a lone surrogate.
    """
    body = await _read(request, limit)
    if optional and not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"The body is not valid JSON: {exc.msg} (line {exc.lineno}, column {exc.colno}).") from exc
    if not isinstance(value, dict):
        raise RequestError(f"The body must be a JSON object, not {_kind(value)}.")
    # Brackets inside strings count too, so only a body that has many is walked.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise RequestError(f"The body is nested more than {MAX_DEPTH} levels deep.")
    return value


def request_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI is told of a route's body, which is read here, since FastAPI's errors are not ours."""
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": model.model_json_schema()}}}
    }


def validated(model: type[M], value: dict[str, Any], *, error: type[RequestError] = RequestError) -> M:
    """`value` as `model`.

    Raises:
        RequestError: as `error`, the first thing that does not fit; `param` names it as in `messages[2].content`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        param = _path(first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise error(f"{param or 'The body'}: {message}.", param=param or None) from exc


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"The body is larger than {limit} bytes.")
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"The body is larger than {limit} bytes.")
            parts.append(part)
    except ClientDisconnect as exc:
        raise CallerGone("The caller hung up.") from exc
    return b"".join(parts)


def _depth(value: Any) -> int:
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


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _path(loc: tuple[int | str, ...]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in loc).removeprefix(".")
