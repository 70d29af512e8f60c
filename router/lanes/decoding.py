"""The bytes of a provider's response, unpacked in small steps: a few packed kilobytes can hold gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

from config.errors import BadAnswer

ENCODINGS: Final = "gzip, deflate"
"""What is asked for; without it, the HTTP client would ask for whatever happens to be installed."""
STEP: Final = 64 * 1024
"""Bytes that are unpacked at a time."""
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_BY_ITS_HEAD: Final = 32 + zlib.MAX_WBITS


async def body_of(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """What comes off the network, as it comes; unpacked where the provider packed it.

    Raises:
        BadAnswer: it is packed in a way that was not asked for, or is not what it says it is.
        aiohttp.ClientError, OSError: the connection broke.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in _PACKED | {"identity", ""}:
        raise BadAnswer("the provider packed its answer in a way that was not asked for", provider_text=encoding[:100])
    unpack = zlib.decompressobj(_BY_ITS_HEAD) if encoding in _PACKED else None
    async for data in response.content.iter_any():
        if unpack is None:
            yield data
            continue
        while data:
            try:
                step = unpack.decompress(data, STEP)
            except zlib.error as exc:
                raise BadAnswer("the provider's answer is not packed as it says", provider_text=str(exc)) from exc
            if step:
                yield step
            data = unpack.unconsumed_tail
