from __future__ import annotations

from router.sized_cache import SizedCache


def test_what_was_used_longest_ago_is_dropped_when_there_are_too_many() -> None:
    cache: SizedCache[str, int] = SizedCache(2, 100)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_entries_are_dropped_until_the_new_one_fits() -> None:
    cache: SizedCache[str, int] = SizedCache(10, 10)
    for name in "abc":
        cache.put(name, 0, 3)
    cache.put("d", 1, 7)
    assert [name for name in "abcd" if cache.get(name) is not None] == ["c", "d"]
    assert cache.size == 10


def test_what_is_larger_than_the_whole_cache_is_not_kept_and_drops_nothing() -> None:
    cache: SizedCache[str, int] = SizedCache(10, 10)
    cache.put("a", 1, 3)
    cache.put("b", 2, 11)
    assert (cache.get("a"), cache.get("b"), len(cache), cache.size) == (1, None, 1, 3)


def test_a_value_that_is_put_again_counts_once() -> None:
    cache: SizedCache[str, int] = SizedCache(10, 10)
    cache.put("a", 1, 6)
    cache.put("a", 2, 4)
    assert (cache.get("a"), len(cache), cache.size) == (2, 1, 4)
    cache.clear()
    assert (cache.get("a"), len(cache), cache.size) == (None, 0, 0)
