"""Stores and compares embedding vectors, and wraps an embedder that may fail.

A vector is stored as float32 of length 1, so that the cosine similarity of two vectors is their dot product.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from math import sqrt
from operator import mul
from typing import Final, TypeVar

import structlog

from config.errors import ModelUnavailable, RequestError, SwitchboardError
from router.embedding import Embedder

log = structlog.get_logger(__name__)

Key = TypeVar("Key")

COOLDOWN: Final = 30.0
"""Seconds without requests after a failure. Otherwise every turn would wait for the timeout."""

TEXT_CHARS: Final = 2_000
"""Characters of a text that are embedded; embedding models refuse texts beyond their limit."""

PROBE_TEXT: Final = "Good morning."
"""A text that every working embedding model accepts."""


def pack(vector: Sequence[float]) -> bytes:
    """The vector scaled to length 1, as little-endian float32. A zero vector stays zero and is similar to nothing."""
    length = sqrt(sum(map(mul, vector, vector))) or 1.0
    return _little_endian(array("f", [each / length for each in vector])).tobytes()


def nearest(query: bytes, rows: Iterable[tuple[Key, bytes]], limit: int) -> list[Key]:
    """The keys of the rows whose vectors are most similar to `query`, best first; ties in the order of the rows.

    Rows of another length cannot be compared and are left out. A row of 1,536 numbers takes 0.05 ms.
    """
    numbers = _unpack(query)
    scored = ((sum(map(mul, numbers, _unpack(vector))), key) for key, vector in rows if len(vector) == len(query))
    return [key for _, key in nlargest(limit, scored, key=lambda each: each[0])]


class CooldownEmbedder:
    """Wraps `embedder` with a timeout and a cooldown after a failure. Logs the beginning and the end of an outage."""

    def __init__(self, embedder: Embedder, clock: Callable[[], float] = time.monotonic) -> None:
        self._embedder = embedder
        self._clock = clock
        self._cooldown_until: float | None = None

    @property
    def space(self) -> str:
        return self._embedder.space

    async def embed(self, texts: Sequence[str], timeout: float) -> list[bytes] | None:
        """One packed vector for each text; None on a failure, after `timeout` seconds, and during the cooldown.

        Raises:
            RequestError: the model refuses these texts, but accepts others.
        """
        if self._cooldown_until is not None and self._clock() < self._cooldown_until:
            return None
        try:
            async with asyncio.timeout(timeout):
                vectors = await self._embed([text[:TEXT_CHARS] for text in texts])
        except RequestError:
            raise
        except TimeoutError:
            reason = f"no answer within {timeout:g} s"
        except SwitchboardError as error:
            reason = str(error)
        except Exception:
            # A bug of ours must not end the turn.
            log.exception("embedding_crashed", model=self._embedder.group)
            reason = "it crashed"
        else:
            self._report_recovery()
            return [pack(each) for each in vectors]
        self._report_outage(reason)
        return None

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            return await self._embedder.embed(texts)
        except RequestError as error:
            try:
                await self._embedder.embed([PROBE_TEXT])
            except RequestError:
                # The texts are not the cause; a parameter in models.yaml may be.
                raise ModelUnavailable(f"The embedding model refuses every text: {error}") from error
            raise

    def _report_outage(self, reason: str) -> None:
        if self._cooldown_until is None:
            log.warning(
                "embedding_unavailable",
                model=self._embedder.group,
                reason=reason,
                effect="the newest memories are used",
            )
        self._cooldown_until = self._clock() + COOLDOWN

    def _report_recovery(self) -> None:
        if self._cooldown_until is not None:
            self._cooldown_until = None
            log.info("embedding_recovered", model=self._embedder.group)


def _unpack(vector: bytes) -> array[float]:
    numbers = array("f")
    numbers.frombytes(vector)
    return _little_endian(numbers)


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
