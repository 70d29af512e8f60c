"""Decompresses a provider's response in small steps, because a few compressed kilobytes can expand to gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

from config.errors import BadAnswer

ENCODINGS: Final = "gzip, deflate"
"""The Accept-Encoding header. By default the HTTP client would request every encoding that is installed."""
STEP: Final = 64 * 1024
"""Bytes to decompress at a time."""
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_DETECT_FORMAT: Final = 32 + zlib.MAX_WBITS


async def iter_decompressed(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The bytes of the response body as they arrive, decompressed.

    Raises:
        BadAnswer: the encoding was not requested, or the body does not match it.
        aiohttp.ClientError, OSError: the connection broke.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in _COMPRESSED | {"identity", ""}:
        raise BadAnswer("the provider used a content encoding that was not requested", provider_text=encoding[:100])
    decompressor = zlib.decompressobj(_DETECT_FORMAT) if encoding in _COMPRESSED else None
    async for data in response.content.iter_any():
        if decompressor is None:
            yield data
            continue
        while data:
            try:
                step = decompressor.decompress(data, STEP)
            except zlib.error as exc:
                raise BadAnswer(
                    "the provider's answer does not match its content encoding", provider_text=str(exc)
                ) from exc
            if step:
                yield step
            data = decompressor.unconsumed_tail
