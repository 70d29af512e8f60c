"""A cache that is bounded by the size of its entries as well as by their number."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SizedCache(Generic[K, V]):
    """Keeps the most recently used entries: at most `max_entries`, of at most `max_size` in total.

    The unit of a size is up to the user. An entry larger than `max_size` is not kept.
    """

    def __init__(self, max_entries: int, max_size: int) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._entries: dict[K, tuple[V, int]] = {}  # in the order of last use
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """The size of all entries together."""
        return self._size

    def get(self, key: K) -> V | None:
        """The value of `key`, None when there is none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._entries[key] = entry
        return entry[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep `value`, and drop what was used longest ago until it fits."""
        self.drop(key)
        if size > self._max_size:
            return
        self._entries[key] = value, size
        self._size += size
        while len(self._entries) > self._max_entries or self._size > self._max_size:
            self.drop(next(iter(self._entries)))

    def clear(self) -> None:
        self._entries.clear()
        self._size = 0

    def drop(self, key: K) -> None:
        """Forget `key`, if it is there."""
        if (entry := self._entries.pop(key, None)) is not None:
            self._size -= entry[1]
