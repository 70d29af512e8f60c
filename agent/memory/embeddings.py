"""Vectors as they are kept and compared, and an embedder that may be away.

A vector is kept as float32 of length 1, so that nearness (cosine) is a sum of products.
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

REST: Final = 30.0
"""Seconds for which an embedder that failed is not asked: else every turn would wait for it in vain."""

TEXT_CHARS: Final = 2_000
"""Characters of a text that its vector is made of; embedding models refuse what is longer than they read."""

HARMLESS: Final = "Good morning."
"""What every embedding model takes."""


def pack(vector: Sequence[float]) -> bytes:
    """The vector with length 1, as little-endian float32; one of zeros stays as it is, and is near nothing."""
    length = sqrt(sum(map(mul, vector, vector))) or 1.0
    return _little_endian(array("f", [each / length for each in vector])).tobytes()


def nearest(query: bytes, rows: Iterable[tuple[Key, bytes]], limit: int) -> list[Key]:
    """The keys of the rows that are nearest to `query`, best first; equals in the order of the rows.

    Rows of another length cannot be compared and are left out. It takes 0.05 ms for a row of 1,536 numbers.
    """
    wanted = _unpack(query)
    near = ((sum(map(mul, wanted, _unpack(kept))), key) for key, kept in rows if len(kept) == len(query))
    return [key for _, key in nlargest(limit, near, key=lambda each: each[0])]


class PatientEmbedder:
    """Asks `embedder`, and goes without it while it is away. An outage is logged at its beginning and at its end."""

    def __init__(self, embedder: Embedder, clock: Callable[[], float] = time.monotonic) -> None:
        self._embedder = embedder
        self._clock = clock
        self._rests_until: float | None = None

    @property
    def space(self) -> str:
        return self._embedder.space

    async def embed(self, texts: Sequence[str], patience: float) -> list[bytes] | None:
        """One packed vector for each text; None when there is none within `patience` seconds, or while it rests.

        Raises:
            RequestError: it refuses these texts, and would take others.
        """
        if self._rests_until is not None and self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(patience):
                vectors = await self._asked([text[:TEXT_CHARS] for text in texts])
        except RequestError:
            raise
        except TimeoutError:
            reason = f"no answer within {patience:g} s"
        except SwitchboardError as error:
            reason = str(error)
        except Exception:
            # A bug is ours, and a turn goes on without its memories in their order.
            log.exception("embedding_crashed", model=self._embedder.group)
            reason = "it crashed"
        else:
            self._back()
            return [pack(each) for each in vectors]
        self._away(reason)
        return None

    async def _asked(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            return await self._embedder.embed(texts)
        except RequestError as error:
            try:
                await self._embedder.embed([HARMLESS])
            except RequestError:
                # A wrong parameter in models.yaml, say: nothing is the matter with the texts.
                raise ModelUnavailable(f"The embedding model refuses every text: {error}") from error
            raise

    def _away(self, reason: str) -> None:
        if self._rests_until is None:
            log.warning("embedding_away", model=self._embedder.group, reason=reason, now="the newest memories are used")
        self._rests_until = self._clock() + REST

    def _back(self) -> None:
        if self._rests_until is not None:
            self._rests_until = None
            log.info("embedding_back", model=self._embedder.group)


def _unpack(kept: bytes) -> array[float]:
    numbers = array("f")
    numbers.frombytes(kept)
    return _little_endian(numbers)


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
