"""HTTP URLs in files and variables. They may contain a key, so messages show them without it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

ANY_ORIGIN: Final = "*"

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def http_url(url: str, example: str = "https://example.com/mcp") -> str:
    """Return the URL if it is complete. Raises ValueError, which names the example."""
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, or a `[` that is not closed
        complete = False
    if not complete or any(map(str.isspace, url)):
        raise ValueError(f"must be an HTTP URL, such as {example}")
    return url


def base_url(url: str) -> str:
    """Return the base URL of a provider without spaces around it; an empty one is none. Raises ValueError."""
    url = url.strip()  # a value in a file often ends with a line break
    return http_url(url, "http://localhost:1234/v1") if url else url


def origin(url: str) -> str:
    """The scheme, host and port. The rest may be secret, even the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def cors_origins(text: str) -> tuple[str, ...]:
    """The origins in a list with commas, in the form in which browsers send them. Raises ValueError."""
    origins = tuple(_cors_origin(each.strip()) for each in text.split(",") if each.strip())
    if ANY_ORIGIN in origins and len(origins) > 1:
        raise ValueError(f"{ANY_ORIGIN} allows every origin; list it alone, or the origins without it")
    return origins


def _cors_origin(text: str) -> str:
    if text == ANY_ORIGIN:
        return text
    if not (match := _ORIGIN.fullmatch(text.lower())) or int(match[2] or 1) not in range(1, 65536):
        raise ValueError(
            "must be origins separated by commas: scheme://host or scheme://host:port, without a path and without a "
            f"slash at the end, such as https://app.example.com; or {ANY_ORIGIN} alone"
        )
    return match[0].removesuffix(_DEFAULT_PORTS.get(match[1], " "))
