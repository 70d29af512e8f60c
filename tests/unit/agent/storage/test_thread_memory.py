"""Threads that a worker keeps for their next turn have a limit."""

from __future__ import annotations

import gc

from langgraph.checkpoint.base import empty_checkpoint

from agent.storage.thread_memory import KEPT_BYTES, KEPT_THREADS, KnownThread, ThreadMemory
from agent.storage.thread_rows import Place


def known_threads() -> int:
    gc.collect()
    return sum(type(each) is KnownThread for each in gc.get_objects())


def keep(memory: ThreadMemory, threads: int, size: int = 0) -> None:
    """Each is first not stored, and then it is."""
    for number in range(threads):
        place, checkpoint = Place(f"t{number}", ""), empty_checkpoint()
        known = KnownThread(1, checkpoint, {}, size=size)
        memory.keep(place, known)
        known.stored_id = checkpoint["id"]
        memory.keep(place, known)


def test_their_number_is_limited() -> None:
    before, memory = known_threads(), ThreadMemory()
    keep(memory, KEPT_THREADS + 50)
    assert known_threads() - before == KEPT_THREADS


def test_their_size_is_limited() -> None:
    before, memory = known_threads(), ThreadMemory()
    keep(memory, 50, size=KEPT_BYTES // 20)
    assert known_threads() - before == 20
