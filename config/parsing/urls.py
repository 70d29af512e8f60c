"""HTTP URLs in files and variables. They may contain a key, so messages show them without it."""

from __future__ import annotations

from urllib.parse import urlsplit


def http_url(url: str) -> str:
    """Return the URL if it is complete. Raises ValueError."""
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number
        complete = False
    if not complete:
        raise ValueError("must be an HTTP URL, such as https://example.com/mcp")
    return url


def origin(url: str) -> str:
    """The scheme, host and port. The rest may be secret, even the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
