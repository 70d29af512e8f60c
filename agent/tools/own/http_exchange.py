"""One HTTP request for one call of an HTTP tool, and its answer in words for the model.

The operator wrote the URL; arguments can change its path and its query, and never its scheme, host or port.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, cast
from urllib.parse import quote

import httpx
import orjson
import structlog
from langchain_core.tools import ToolException

from config.profile.own_tools import TEMPLATE, HttpTool

log = structlog.get_logger(__name__)

MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read and given to the model."""

MAX_ID: Final = 1024
"""Characters of a header that names the caller. A longer one is left out."""

_HAS_BODY: Final = ("POST", "PUT", "PATCH")
_STEP: Final = re.compile(r"[/\\]")
_TEXTUAL: Final = re.compile(
    r"text/|application/(?:[\w.+-]*\+)?(?:json|xml|x-ndjson|yaml|javascript|x-www-form-urlencoded)\b"
)


def open_client() -> httpx.AsyncClient:
    """A client that follows no redirects, uses no proxy of the environment and keeps no cookies. It blocks."""
    return httpx.AsyncClient(
        verify=httpx.create_ssl_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - `call` bounds the whole call
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Without compression, a few bytes cannot become many.
        headers={
            "accept": "application/json, text/*;q=0.9, */*;q=0.1",
            "accept-encoding": "identity",
            "user-agent": "switchboard",
        },
    )


async def call(
    client: httpx.AsyncClient, tool: HttpTool, arguments: Mapping[str, Any], ids: Mapping[str, str | None]
) -> str:
    """Call the tool with valid `arguments`. `ids` are the call, user and session, by the name of their header.

    Raises:
        ToolException: there is no answer, or its status is no success; the text is for the model.
    """
    try:
        request = build_request(client, tool, arguments, ids)
        async with asyncio.timeout(tool.timeout):
            return await _exchange(client, request, tool)
    except TimeoutError as exc:
        raise _failure(tool, f"The tool did not answer within {tool.timeout:g} seconds. Continue without it.") from exc
    except httpx.InvalidURL as exc:
        raise _failure(tool, "Invalid arguments: they are too long.") from exc
    except httpx.ConnectError as exc:
        raise _failure(tool, "The tool's service cannot be reached. Continue without it.") from exc
    except httpx.HTTPError as exc:
        raise _failure(
            tool, "The connection to the tool's service broke. Continue without it.", type(exc).__name__
        ) from exc


def build_request(
    client: httpx.AsyncClient, tool: HttpTool, arguments: Mapping[str, Any], ids: Mapping[str, str | None]
) -> httpx.Request:
    """The request for a call. Arguments that the URL does not take are the JSON body, or the query without a body.

    Raises:
        ToolException: an argument cannot stand in the URL.
    """
    in_url = set(TEMPLATE.findall(tool.url))
    url = httpx.URL(TEMPLATE.sub(lambda found: _quoted(found[1], arguments.get(found[1])), tool.url))
    rest = {name: value for name, value in arguments.items() if name not in in_url}
    headers = httpx.Headers({"content-type": "application/json"} if tool.method in _HAS_BODY else {})
    headers.update({name: text for name, value in ids.items() if value and len(text := _ascii(value)) <= MAX_ID})
    headers.update({name: value.get_secret_value() for name, value in tool.headers.items()})
    if tool.method in _HAS_BODY:
        return client.build_request(tool.method, url, content=orjson.dumps(rest), headers=headers)
    query = {name: value for name, value in _query(rest).items() if name not in url.params}  # the operator's come first
    return client.build_request(tool.method, url.copy_merge_params(query), headers=headers)


async def _exchange(client: httpx.AsyncClient, request: httpx.Request, tool: HttpTool) -> str:
    response = await client.send(request, stream=True)
    try:
        status = response.status_code
        if 300 <= status < 400:
            raise _failure(
                tool,
                f"The tool's service answered with a redirect (HTTP status {status}), which is not followed.",
                status,
            )
        text = await _text(response)
        if not response.is_success:
            raise _failure(tool, f"The tool's service answered with HTTP status {status}: {text or 'no text'}", status)
        return text or f"The tool's service answered with HTTP status {status} and no text."
    finally:
        await response.aclose()


async def _text(response: httpx.Response) -> str:
    """The text of the answer, read up to `MAX_ANSWER`."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not _TEXTUAL.match(kind):
        return f"[an answer of the type {kind[:100]}, which cannot be shown here]"
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return "[a compressed answer, which cannot be read here]"
    read = bytearray()
    body = cast(AsyncGenerator[bytes, None], response.aiter_raw())  # httpx types it as an iterator
    async with aclosing(body) as parts:
        async for part in parts:
            read += part
            if len(read) > MAX_ANSWER:
                break
    try:
        text = bytes(read[:MAX_ANSWER]).decode(response.charset_encoding or "utf-8", errors="replace")
    except LookupError:  # an unknown encoding
        text = bytes(read[:MAX_ANSWER]).decode(errors="replace")
    if len(read) <= MAX_ANSWER:
        return text.strip()
    return f"{text.rstrip(chr(0xFFFD))}\n[cut here: these are the first {MAX_ANSWER:,} bytes]"


def _quoted(name: str, value: Any) -> str:
    """The argument `name` as one part of a path or query, percent-encoded."""
    if value is None or isinstance(value, list | dict) or value == "":
        raise ToolException(f"Invalid arguments: {name} must be a text or a number that is not empty.")
    text = _plain(value)
    # Many servers resolve steps also where they are percent-encoded.
    if any(step in (".", "..") for step in _STEP.split(text)):
        raise ToolException(f"Invalid arguments: {name} must not have the steps `.` and `..` of a path.")
    return quote(text, safe="")


def _query(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Lists are repeated parameters. Objects are JSON."""
    lists = {
        name: value if isinstance(value, list) else [value] for name, value in arguments.items() if value is not None
    }
    return {name: [_plain(each) for each in values] for name, values in lists.items()}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _ascii(value: str) -> str:
    """The value as visible ASCII: everything else is percent-encoded, and so is the percent sign."""
    return quote(value, safe="!#$&'()*+,-./:;=?@[]_|~")


def _failure(tool: HttpTool, words: str, detail: str | int | None = None) -> ToolException:
    # Neither the URL nor the answer is logged: both may hold keys and what callers said.
    log.warning("http_tool_failed", tool=tool.name, problem=words.partition(":")[0], detail=detail)
    return ToolException(words)
